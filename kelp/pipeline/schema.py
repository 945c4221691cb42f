"""The typed schema of a pipeline's file: projects, their labels and webhooks, and what leads from one to the next."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from kelp.card.schema import Label, LabelType
from kelp.pipeline.marks import KEY_PATTERN
from kelp.pipeline.settings import SECRETS

Key = Annotated[str, StringConstraints(pattern=KEY_PATTERN)]
Model = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(@[a-z0-9][a-z0-9-]{0,15})?$")]
ImageFormat = Literal["jpeg", "png"]
DetectOn = Literal["started", "created", "completed"]
TaskOn = Literal["task_completed", "jobs_completed"]
KINDS = ("detect", "crop", "remove-grid")
TAG = "="  # begins the tags that pydantic puts into the place of a fault


def _one_or_many(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Many = BeforeValidator(_one_or_many)


class Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), populate_by_name=True, coerce_numbers_to_str=False
    )


class WebhookSpec(Strict):
    """What all three kinds have. `on` and every other parameter: docs/webhooks.md has their meaning."""

    description: str = Field("", max_length=80, description="for people; CVAT shows it in the list of webhooks")
    is_active: bool = True


class Detect(WebhookSpec):
    """Annotate jobs of the project with a model."""

    detect: Model
    on: Annotated[list[DetectOn], Many] | None = Field(None, min_length=1)
    label_map: dict[str, str | None] = {}
    labels: Annotated[list[str], Many] | None = Field(None, min_length=1)
    existing: Literal["add", "skip", "replace"] | None = None
    conv_mask_to_poly: bool | None = None
    shape: Literal["auto", "polygon", "polyline", "mask", "rectangle"] | None = None
    settings: dict[str, bool | int | float | str] = Field({}, description="any setting of the model")

    @property
    def model(self) -> str:
        """The model's name on the wire: `NAME@v2` is NAME-v2."""
        return self.detect.replace("@", "-")


class Crop(WebhookSpec):
    """Make a task of the cropped quadrats in another project."""

    crop: Key = Field(description="the project of this file that the new task goes to")
    on: Annotated[list[TaskOn], Many] | None = Field(None, min_length=1)
    label: str | None = None
    size: int | None = Field(None, ge=32, le=8192)
    format: ImageFormat | None = None
    quality: int | None = Field(None, ge=1, le=100)
    skip_invalid: bool | None = None

    @property
    def target(self) -> str:
        return self.crop


class RemoveGrid(WebhookSpec):
    """Make a task of the quadrats without their grid in another project."""

    remove_grid: Key = Field(alias="remove-grid", description="the project of this file that the new task goes to")
    model_name: Model = Field("pth-lama", alias="model")
    on: Annotated[list[TaskOn], Many] | None = Field(None, min_length=1)
    grid_line_width: float | None = Field(None, ge=1, le=1000)
    format: ImageFormat | None = None
    quality: int | None = Field(None, ge=1, le=100)
    skip_invalid: bool | None = None

    @property
    def target(self) -> str:
        return self.remove_grid

    @property
    def model(self) -> str:
        return self.model_name.replace("@", "-")


def _kind(value: Any) -> str | None:
    """The tag of what a webhook does; None where it does nothing, or two things."""
    if isinstance(value, WebhookSpec):
        return TAG + {Detect: "detect", Crop: "crop", RemoveGrid: "remove-grid"}[type(value)]
    there = [kind for kind in KINDS if isinstance(value, dict) and kind in value]
    return TAG + there[0] if len(there) == 1 else None


Webhook = Annotated[
    Annotated[Detect, Tag("=detect")] | Annotated[Crop, Tag("=crop")] | Annotated[RemoveGrid, Tag("=remove-grid")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message="expected exactly one of detect: MODEL, crop: PROJECT and remove-grid: PROJECT",
    ),
]


class ModelLabels(Strict):
    """The labels of a model's card. type: of all of them, where the project wants another than the card says."""

    model: Model
    type: LabelType | None = None


def _form(value: Any) -> str:
    if isinstance(value, str):
        return "=name"
    is_model = "model" in value if isinstance(value, dict) else isinstance(value, ModelLabels)
    return "=model" if is_model else "=label"


Labels = Annotated[
    Annotated[Model, Tag("=name")] | Annotated[ModelLabels, Tag("=model")] | Annotated[Label, Tag("=label")],
    Discriminator(_form),
]


class Project(Strict):
    """A project of CVAT."""

    name: str | None = Field(None, min_length=1, max_length=256, description="in CVAT; left out: its name in this file")
    id: int | None = Field(None, ge=1, description="of a project that is there already, and stays whatever happens")
    labels: list[Labels] | None = Field(None, description="left out: the labels of the models that annotate it")
    webhooks: dict[Key, Webhook] = {}


class Pipeline(Strict):
    """A whole file."""

    name: Key
    bridge: str | None = Field(None, description="the bridge as CVAT sees it; left out: KELP_PUBLIC_URL")
    secret_from: Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$")] = SECRETS
    enable_ssl: bool = Field(True, description="CVAT verifies the bridge's certificate")
    projects: dict[Key, Project] = Field(min_length=1)

    @field_validator("bridge")
    @classmethod
    def _cvat_takes_it(cls, value: str | None) -> str | None:
        return None if value is None else bridge_address(value)

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Pipeline:
        for key, project in self.projects.items():
            for name, webhook in project.webhooks.items():
                target = None if isinstance(webhook, Detect) else webhook.target
                if target is None:
                    continue
                place = f"projects.{key}.webhooks.{name}"
                if target not in self.projects:
                    there = ", ".join(self.projects)
                    raise ValueError(f"{place}: no project '{target}' in this file; there are: {there}")
                if self._leads_from(target, key):
                    raise ValueError(f"{place}: '{target}' leads back to '{key}': tasks would be made without end")
        return self

    def _leads_from(self, start: str, goal: str) -> bool:
        seen, todo = set(), [start]
        while todo:
            key = todo.pop()
            if key == goal:
                return True
            if key not in seen and key in self.projects:
                seen.add(key)
                hooks = self.projects[key].webhooks.values()
                todo += [hook.target for hook in hooks if not isinstance(hook, Detect)]
        return False


_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOTTED = re.compile(rf"(?:{_LABEL}\.)+(?:[a-z-]{{2,63}}|xn--[a-z0-9]{{1,59}})\.?", re.IGNORECASE)


def bridge_address(value: str) -> str:
    """`value` without a slash at its end. ValueError unless CVAT takes webhooks to it: its own rule for addresses."""
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise ValueError("expected an address such as http://bridge.kelp:8000") from None
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or parts.username:
        raise ValueError("expected an address such as http://bridge.kelp:8000")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if host != "localhost" and not _DOTTED.fullmatch(host):
            raise ValueError(
                "CVAT takes only hosts with a dot whose last part holds no digit, IP addresses and localhost: "
                "http://bridge.kelp:8000, http://bridge.kelp2.svc.cluster.local:8000"
            ) from None
    return value.rstrip("/")
