"""What `kelp bench` and `kelp verify` call: a V2 model's URL, or a function as CVAT calls Nuclio's."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import httpx
import numpy as np
from numpy.typing import NDArray

from kelp.cli.calling import detect_patiently, of_one_image
from kelp.cli.exits import UsageError
from kelp.cli.removals import Removal, even_grid
from kelp.detections import Detections
from kelp.errors import BadGateway, KelpError, Unreachable, error_from_answer

if TYPE_CHECKING:
    from kelp.client.sync_calls import SyncCalls

RemovalFor = Callable[[Path], Removal]
_V2_PATH = re.compile(r"^(?P<base>.*?)/v2/models/(?P<name>[^/]+)(?:/versions/[^/]+)?(?:/infer)?/?$")


@dataclass(frozen=True, slots=True)
class Shape:
    """label; points: [V, 2] x y in pixels, of its outline, box and keypoints together; none for a tag."""

    label: str
    points: NDArray[np.floating[Any]]


class Target(Protocol):
    """Something that answers one image at a time. `labels`: what it may find, None where it does not say; `finds`:
    whether it finds shapes, and does not fill pictures."""

    name: str
    finds: bool

    @property
    def labels(self) -> Sequence[str] | None: ...
    def answer(self, image: bytes, path: Path | None = None) -> list[Shape]:
        """The shapes in an encoded image, which lies at `path`. KelpError where it is not answered, or not sensibly."""
        ...

    def __enter__(self) -> Target: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def target_of(
    url: str,
    *,
    parameters: Mapping[str, Any],
    labels: Sequence[str] | None,
    timeout_s: float,
    removal_for: RemovalFor | None = None,
) -> Target:
    """`…/v2/models/NAME` is a V2 model, everything else a function. `labels` go over what the target says.
    removal_for: what an inpainter is to remove from each file; left out: a grid over the whole picture."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"--function-url {url}: expected an address such as http://127.0.0.1:8100/v2/models/NAME")
    match = _V2_PATH.match(parts.path)
    if match is None:
        return FunctionTarget(url, parameters, labels, timeout_s)
    base = urlunsplit((parts.scheme, parts.netloc, match["base"], "", ""))
    from kelp.cli.servers import v2_client

    name = unquote(match["name"])
    client = v2_client(base, timeout_s=timeout_s, cold_start_s=0.0)
    card = client.metadata(name).get("parameters", {}).get("card", {})
    if card.get("task") == "inpaint":
        return PainterTarget(client, name, card, parameters, timeout_s, removal_for)
    if removal_for is not None:
        raise UsageError(f"--mask and --points are for inpainters; the task of '{name}' is {card.get('task')}")
    known = [label["name"] for label in card.get("labels", [])]
    return ModelTarget(client, name, parameters, labels or known or None, timeout_s)


class ModelTarget:
    """A detector over V2; a cold start is waited out."""

    finds = True

    def __init__(
        self,
        client: SyncCalls,
        name: str,
        parameters: Mapping[str, Any],
        labels: Sequence[str] | None,
        timeout_s: float,
    ) -> None:
        self.name = name
        self.labels = labels
        self._parameters = parameters
        self._timeout_s = timeout_s
        self._client = client

    def answer(self, image: bytes, path: Path | None = None) -> list[Shape]:
        try:
            found = detect_patiently(self._client, self.name, [image], self._parameters, self._timeout_s, None)
        except KelpError as error:
            of_one_image(error)
            raise
        if found.image_count != 1:
            raise BadGateway(f"'{self.name}' answered for {found.image_count} images, and was asked about one")
        return [_shape_of(found, row) for row in range(len(found))]

    def __enter__(self) -> ModelTarget:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()


class PainterTarget:
    """An inpainter over V2: it finds nothing, and answers a picture of the same size, changed where it was told."""

    finds = False
    labels: Sequence[str] | None = ()

    def __init__(
        self,
        client: SyncCalls,
        name: str,
        card: Mapping[str, Any],
        parameters: Mapping[str, Any],
        timeout_s: float,
        removal_for: RemovalFor | None,
    ) -> None:
        self.name = name
        self._client = client
        self._grid_shape = card.get("grid_shape")
        self._parameters = parameters
        self._timeout_s = timeout_s
        self._removal_for = removal_for

    def answer(self, image: bytes, path: Path | None = None) -> list[Shape]:
        from kelp.cli.painting import faults_of, paint

        removal = self._removal_for(path) if self._removal_for is not None and path is not None else None
        removal = removal or even_grid(_size_wh(image), self._grid_shape)
        try:
            painted = paint(self._client, self.name, image, removal, self._parameters, self._timeout_s)
        except KelpError as error:
            of_one_image(error)
            raise
        if faults := faults_of(image, removal, painted):
            raise BadGateway(f"'{self.name}': {faults[0]}")
        return []

    def __enter__(self) -> PainterTarget:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()


class FunctionTarget:
    """A function: POST `{"image": base64}`, answered by CVAT's list of shapes. Of `/api/function_invocations` the query
    `?function=NAME` names the function, as CVAT's header does."""

    finds = True

    def __init__(self, url: str, parameters: Mapping[str, Any], labels: Sequence[str] | None, timeout_s: float) -> None:
        parts = urlsplit(url)
        named = parse_qs(parts.query).get("function", [""])[0]
        self.name = named or parts.path.strip("/").rpartition("/")[2] or parts.netloc.rpartition("@")[2]
        self.labels = labels
        self._url = url
        self._parameters = dict(parameters)
        headers = {"x-nuclio-function-name": named, "x-nuclio-path": "/"} if named else {}
        self._http = httpx.Client(timeout=timeout_s, headers=headers)

    def answer(self, image: bytes, path: Path | None = None) -> list[Shape]:
        body = {"image": base64.b64encode(image).decode("ascii"), **self._parameters}
        try:
            response = self._http.post(self._url, json=body)
        except httpx.HTTPError as error:
            raise Unreachable(f"'{self.name}' does not answer: {error or type(error).__name__}") from None
        try:
            given = response.json()
        except ValueError:
            given = None
        if response.status_code >= 400:
            told = given if isinstance(given, dict) else None
            raise error_from_answer(response.status_code, told, fallback=f"it answered {response.status_code}")
        if not isinstance(given, list):
            raise BadGateway(f"'{self.name}' answered {type(given).__name__} where a JSON list of shapes was expected")
        return [_shape_of_item(item, f"[{index}]") for index, item in enumerate(given)]

    def __enter__(self) -> FunctionTarget:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()


def _size_wh(image: bytes) -> tuple[int, int]:
    """Width and height; of what cannot be read here any: the model is to say what is wrong with it."""
    from kelp.cli.painting import decoded

    picture = decoded(image)
    return (picture.shape[1], picture.shape[0]) if picture is not None else (64, 64)


def _shape_of(found: Detections, row: int) -> Shape:
    parts: list[NDArray[Any]] = [found.box[row].reshape(2, 2)]
    if found.polygon_offsets is not None:
        parts.append(found.polygon(row))
    if found.mask_offsets is not None and len(run := found.cvat_mask(row)):
        left, top, right, bottom = run[-4:].tolist()  # inclusive
        parts.append(np.array([[left, top], [right + 1, bottom + 1]], np.float32))
    if found.keypoints is not None:
        parts.append(found.keypoints[row][found.keypoints[row][:, 2] > 0, :2])
    return Shape(found.labels[int(found.label_id[row])], np.concatenate(parts))


def _shape_of_item(item: Any, where: str) -> Shape:
    """An entry of CVAT's detector form. BadGateway says what is wrong with it."""
    if not isinstance(item, dict) or not isinstance(item.get("label"), str):
        raise BadGateway(f"{where}: expected an object with a label")
    parts = []
    for index, element in enumerate(item.get("elements") or ()):
        if not isinstance(element, dict):
            raise BadGateway(f"{where}.elements[{index}]: expected an object")
        if not element.get("outside"):
            parts.append(_points(element.get("points"), f"{where}.elements[{index}].points"))
    if item.get("points"):
        parts.append(_points(item["points"], f"{where}.points"))
    if item.get("mask"):
        parts.append(_mask_corners(item["mask"], f"{where}.mask"))
    if not parts and item.get("type") != "tag":
        raise BadGateway(f"{where}: a shape without points, mask or elements")
    return Shape(item["label"], np.concatenate(parts) if parts else np.zeros((0, 2)))


def _points(given: Any, where: str) -> NDArray[np.float64]:
    try:
        points = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise BadGateway(f"{where}: expected numbers") from None
    if points.ndim != 1 or len(points) < 2 or len(points) % 2 or not np.isfinite(points).all():
        raise BadGateway(f"{where}: expected a flat list of x, y")
    return points.reshape(-1, 2)


def _mask_corners(given: Any, where: str) -> NDArray[np.float64]:
    """Of a flattened 0/1 crop followed by left, top, right, bottom inclusive."""
    if not isinstance(given, list) or len(given) < 5:
        raise BadGateway(f"{where}: expected the pixels of a crop and its four edges")
    left, top, right, bottom = given[-4:]
    if (right - left + 1) * (bottom - top + 1) != len(given) - 4:
        raise BadGateway(f"{where}: {len(given) - 4} pixels do not fill {left},{top} to {right},{bottom}")
    return np.array([[left, top], [right + 1, bottom + 1]], np.float64)
