"""The typed schema of a model card. Units stand in the field names or their descriptions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from kelp.card.quantity import Bytes, Quantity

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Task = Literal["segment", "detect", "pose", "inpaint", "interact", "track", "classify"]
SAME_NAME = "same_name"  # the type of the error of labels that have one name
MigProfile = Annotated[str, StringConstraints(pattern=r"^[0-9]+g\.[0-9]+gb(\.[a-z.]+)?$")]
LabelType = Literal[
    "any", "rectangle", "polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton", "tag"
]  # fmt: skip


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Attribute(Strict):
    """An attribute of a label, in CVAT's form."""

    name: str
    input_type: Literal["select", "radio", "checkbox", "number", "text"] = "text"
    mutable: bool = False
    values: list[str] = []
    default_value: str = ""


class Sublabel(Strict):
    """One point of a skeleton, in the order of the model's keypoints."""

    name: str
    type: Literal["points"] = "points"
    attributes: list[Attribute] = []


class Label(Strict):
    """A label in CVAT's form. `sublabels` and `svg` belong to skeletons."""

    name: str = Field(min_length=1, max_length=64)
    type: LabelType = "any"
    color: str | None = None
    attributes: list[Attribute] = []
    sublabels: list[Sublabel] = []
    svg: str = ""

    @model_validator(mode="after")
    def _skeleton_has_points(self) -> Label:
        if (self.type == "skeleton") != bool(self.sublabels):
            raise ValueError("a skeleton, and only a skeleton, has sublabels")
        names = [s.name for s in self.sublabels]
        if len(set(names)) != len(names):
            raise ValueError("the names of sublabels must differ")
        return self


class WeightFile(Strict):
    """One file of the model's weights, below `weights.uri`."""

    file: str = Field(description="path below weights.uri; empty when weights.uri is the file itself")
    sha256: Sha256 | None = Field(None, description="of the file; checked before it is opened")


class Weights(Strict):
    """Where the weights lie, and by which role the predictor knows each file.

    `uri`: a path (relative to the card's file) or a storageUri (`https://`, `s3://`, `gs://`, `hf://`; `pvc://` and
    `oci://` on a cluster), of a folder or of one file. One file needs no `files`: it gets the role `model`, and
    `sha256` stands beside `uri`.
    """

    uri: str = Field(min_length=1)
    sha256: Sha256 | None = None
    files: dict[str, WeightFile] = {}

    @model_validator(mode="after")
    def _one_place_for_sha256(self) -> Weights:
        if self.files and self.sha256:
            raise ValueError("with `files`, each file has its own sha256")
        return self

    def by_role(self) -> dict[str, WeightFile]:
        """role → file; a `uri` that is one file has the role `model`."""
        return self.files or {"model": WeightFile(file="", sha256=self.sha256)}


class Scale(Strict):
    """How many replicas, and how long an idle one is kept."""

    min: int = Field(0, ge=0)
    max: int = Field(1, ge=1)
    concurrency: int = Field(16, ge=1, description="requests that one replica holds at once")
    retention: float = Field(300.0, ge=0, description="seconds that an idle replica is kept")

    @model_validator(mode="after")
    def _ordered(self) -> Scale:
        if self.min > self.max:
            raise ValueError("scale.min is above scale.max")
        return self


class Batch(Strict):
    """Micro-batching of concurrent requests."""

    max_images: int = Field(8, ge=1, description="images that go through the model at once")
    window_ms: float = Field(2.0, ge=0, description="how long a batch is kept open after its first request")


class Limits(Strict):
    """What a request may ask of the predictor."""

    body: Bytes = Field(64 * 2**20, description="bytes of a request, REST and gRPC alike")
    image_pixels: int = Field(100_000_000, ge=1, description="pixels of one image")
    queue_requests: int = Field(64, ge=1, description="requests that may wait")
    queue_seconds: float = Field(10.0, gt=0, description="how long a request may wait for the model")
    request_seconds: float = Field(30.0, gt=0, description="how long a request may take, a cold start aside")

    @field_validator("body")
    @classmethod
    def _holds_what_cvat_sends(cls, value: int) -> int:
        # Nuclio's own limit in CVAT's functions: nothing that worked there may be refused here.
        if value < 33_554_432:
            raise ValueError("expected at least 33554432 bytes")
        return value


class Amounts(Strict):
    """Kubernetes' amounts. `gpu` is `nvidia.com/gpu`; `mig` slices of one, by the name after `nvidia.com/mig-`."""

    cpu: Quantity | None = None
    memory: Quantity | None = None
    gpu: Quantity | None = Field(None, alias="nvidia.com/gpu")
    mig: dict[MigProfile, int] = Field({}, description="MIG slices by profile, such as 1g.10gb: 1")
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="after")
    def _whole_gpus_or_slices(self) -> Amounts:
        if self.gpu is not None and self.mig:
            raise ValueError("expected either nvidia.com/gpu or mig: a container has whole GPUs or slices of one")
        if any(count < 1 for count in self.mig.values()):
            raise ValueError("mig: expected at least 1 slice of a profile")
        return self


class Resources(Strict):
    """Kubernetes' requests and limits. Of GPUs a request equals its limit: what stands in one counts for both."""

    requests: Amounts = Amounts(cpu="2", memory="8Gi")
    limits: Amounts = Amounts(cpu="4", memory="16Gi")


class Toleration(Strict):
    """A taint that the model's pods put up with, in Kubernetes' words."""

    key: str | None = None
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    seconds: int | None = Field(None, ge=0, description="how long, of NoExecute")

    @model_validator(mode="after")
    def _says_which(self) -> Toleration:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError("a toleration with operator Exists has no value")
        if self.operator == "Equal" and self.key is None:
            raise ValueError("a toleration without a key needs operator Exists")
        return self


class Scheduling(Strict):
    """On which nodes of a cluster the model's pods may run."""

    node_selector: dict[str, str] = {}
    tolerations: list[Toleration] = []
    priority_class: str | None = None
    runtime_class: str | None = Field(None, description="such as nvidia, where GPUs need one")


class CvatFace(Strict):
    """How CVAT's own AI tools see the model."""

    type: Literal["detector", "interactor", "tracker", "reid"] = "detector"
    help_message: str = ""
    animated_gif: str = ""
    min_pos_points: int | None = None
    min_neg_points: int | None = None
    startswith_box: bool = False
    startswith_box_optional: bool = False
    supported_shape_types: list[str] = []


class Card(Strict):
    """One deployed model."""

    name: Name = Field(description="the model's name without its version")
    version: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?$")] | None = None
    title: str = ""
    description: str = ""
    runtime: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")] = Field(
        description="the predictor family: yolo, coralscop, lama, sam, onnx…"
    )
    task: Task
    protocol: Literal["rest", "grpc"] = "rest"
    weights: Weights
    labels: list[Label] = Field([], description="left out: the names that the weights carry")
    settings: dict[str, Any] = {}
    grid_shape: tuple[int, int] | None = Field(None, description="rows and columns of the template's points")
    orientation: Literal["image", "mark"] = "image"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    batch: Batch = Batch()
    scale: Scale = Scale()
    limits: Limits = Limits()
    start_timeout: float = Field(600.0, gt=0, description="seconds that a start may take")
    resources: Resources = Resources()
    scheduling: Scheduling = Scheduling()
    canary_percent: int | None = Field(
        None, ge=0, le=100, description="share of requests that a changed model gets; none: all of them at once"
    )
    expose: bool = Field(False, description="V2 may be called from outside the cluster")
    cvat: CvatFace = CvatFace()
    quality: dict[str, Any] = Field({}, description="what was measured, on what")

    @property
    def model_name(self) -> str:
        """The name on the wire, in the cluster and in metrics: `NAME`, or `NAME-VERSION`."""
        return f"{self.name}-{self.version}" if self.version else self.name

    def label_names(self) -> list[str]:
        return [label.name for label in self.labels]

    @model_validator(mode="after")
    def _consistent(self) -> Card:
        if len(self.model_name) > 63:
            raise ValueError("name and version together are longer than 63 characters")
        return self

    # Of one field each, so that they are told beside the faults of the others.
    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: list[Label]) -> list[Label]:
        first: dict[str, int] = {}
        again = []
        for index, label in enumerate(labels):
            if label.name in first:
                again.append((index, first[label.name], label.name))
            first.setdefault(label.name, index)
        if again:
            raise PydanticCustomError(SAME_NAME, "two labels have the same name", {"again": again})
        return labels

    @field_validator("grid_shape")
    @classmethod
    def _grid_has_cells(cls, shape: tuple[int, int] | None) -> tuple[int, int] | None:
        if shape is not None and min(shape) < 2:
            raise ValueError("expected at least 2 rows and 2 columns")
        return shape
