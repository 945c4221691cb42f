"""Sending pictures to an inpainter, and keeping what it makes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from numpy.typing import NDArray

from kelp.cli.calling import of_one_image
from kelp.cli.exits import FAILED
from kelp.cli.output import Document, print_columns, print_document, say
from kelp.cli.patience import patiently
from kelp.cli.removals import Removal
from kelp.client.images import image_tensor
from kelp.codec import InferRequest, Tensor
from kelp.errors import BadGateway, InvalidImage, KelpError, OutOfMemory

if TYPE_CHECKING:
    from kelp.client.sync_calls import SyncCalls

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Painted:
    """encoded: the picture as it was answered; seconds: that the answer took."""

    encoded: bytes
    seconds: float

    @property
    def is_lossless(self) -> bool:
        """Whether what the model left alone is as it was: JPEG changes every pixel a little."""
        return self.encoded.startswith(b"\x89PNG")


def paint(
    client: SyncCalls,
    model: str,
    image: bytes,
    removal: Removal,
    parameters: Mapping[str, Any],
    cold_start_s: float,
    on_waiting: Callable[[float], None] | None = None,
) -> Painted:
    """`image` without what `removal` says; a model that sleeps is waited for. KelpError where it is refused."""
    if removal.mask is not None:
        more = Tensor.from_bytes("mask", [removal.mask])
    else:
        assert removal.points is not None
        more = Tensor.from_array("grid_points", removal.points[None])
    request = InferRequest(model, (image_tensor([image]), more), parameters=dict(parameters), answer="binary")
    begun = time.perf_counter()
    answer = patiently(lambda: client.infer(request, on_waiting=on_waiting), cold_start_s)
    seconds = time.perf_counter() - begun
    tensor = answer.outputs_by_name.get("image")
    if tensor is None or tensor.datatype != "BYTES" or len(tensor.elements) != 1:
        raise BadGateway(f"'{model}' answered no picture, and was asked for one")
    return Painted(bytes(tensor.elements[0]), seconds)


def faults_of(image: bytes, removal: Removal, painted: Painted) -> list[str]:
    """What is wrong with an answer: another size, or, in a lossless one, a change where nothing was masked."""
    before, after = decoded(image), decoded(painted.encoded)
    if after is None:
        return ["the answer is no picture that can be read"]
    if before is None:
        return ["the image cannot be read here"]
    if before.shape != after.shape:
        return [f"answered {_size(after)}, and was asked about {_size(before)}"]
    mask = _mask_of(removal)
    if mask is None or not painted.is_lossless or mask.shape != before.shape[:2]:
        return []
    strayed = int(((before != after).any(axis=2) & (mask == 0)).sum())
    return [f"{strayed} pixels have changed that were not masked"] if strayed else []


def paint_files(
    client: SyncCalls,
    model: str,
    files: Sequence[Path],
    removals: Sequence[Removal],
    *,
    parameters: Mapping[str, Any],
    cold_start_s: float,
    places: Sequence[Path] | None,
    output: Document | None,
) -> None:
    """The files through `model`, each answer saved as it came at its place. typer.Exit(1) where one was refused."""
    from kelp.cli.progress import counting

    results = []
    with counting(model, len(files)) as bar:
        for index, (file, removal) in enumerate(zip(files, removals, strict=True)):
            place = places[index] if places is not None else None
            results.append(_painted(client, model, file, removal, parameters, cold_start_s, place, bar))
            bar.done()
    if output is not None:
        print_document(results, output)
    else:
        rows = [
            [
                result["image"],
                f"{result['filled_percent']:.1f} %" if "filled_percent" in result else "-",
                f"{result['seconds']:.3f} s" if "seconds" in result else "",
                result.get("error") or result.get("saved", "not saved: --save DIR"),
            ]
            for result in results
        ]
        print_columns(("IMAGE", "FILLED", "TIME", "SAVED"), rows)
    if any("error" in result for result in results):
        raise typer.Exit(FAILED)


def _painted(
    client: SyncCalls,
    model: str,
    file: Path,
    removal: Removal,
    parameters: Mapping[str, Any],
    cold_start_s: float,
    place: Path | None,
    bar: Any,
) -> dict[str, Any]:
    from kelp.cli.saving import write_picture

    result: dict[str, Any] = {"image": str(file)}
    image = file.read_bytes()

    def waiting(seconds: float) -> None:
        bar.note(f"{model}, waiting for {seconds:.0f} s")

    try:
        painted = paint(client, model, image, removal, parameters, cold_start_s, waiting)
    except KelpError as error:
        if not isinstance(error, InvalidImage | OutOfMemory):
            raise
        result["error"] = of_one_image(error).message
        say(f"kelp: {file}: {result['error']}")
        return result
    before, after = decoded(image), decoded(painted.encoded)
    if before is not None and after is not None and before.shape == after.shape:
        height, width = after.shape[:2]
        result |= {"width": width, "height": height}
        if (share := _filled(before, after, removal, painted)) is not None:
            result["filled_percent"] = round(100 * share, 2)
    result["seconds"] = round(painted.seconds, 4)
    if place is not None:
        write_picture(place, painted.encoded)
        result["saved"] = str(place)
    return result


def _filled(before: Picture, after: Picture, removal: Removal, painted: Painted) -> float | None:
    """The share of the picture that was filled, 0..1: what has changed, or in a lossy answer what was masked.
    None where nothing tells.
    """
    if painted.is_lossless:
        return float((before != after).any(axis=2).mean())
    mask = _mask_of(removal)
    return None if mask is None or mask.shape != before.shape[:2] else float((mask != 0).mean())


def decoded(encoded: bytes) -> Picture | None:
    """uint8 [H, W, 3] BGR, upright; None where it cannot be read here."""
    import cv2

    found = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    return None if found is None else np.asarray(found, np.uint8)


def _mask_of(removal: Removal) -> Picture | None:
    import cv2

    if removal.mask is None:
        return None
    found = cv2.imdecode(np.frombuffer(removal.mask, np.uint8), cv2.IMREAD_GRAYSCALE)
    return None if found is None else np.asarray(found, np.uint8)


def _size(picture: Picture) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]}"
