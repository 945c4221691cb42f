"""One export, from the card to a file that was checked."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kelp.card import Card
from kelp.settings.model import effective_settings, settings_of
from kelp.weights import default_cache, fetch
from predictors.common.errors import WeightsError
from predictors.yolo.engine import CHECKPOINTS
from predictors.yolo.export.make import Format, check_machine, make
from predictors.yolo.export.pictures import pictures_of
from predictors.yolo.facts import TASKS

_MOST_FAULTS = 5


class Disagrees(WeightsError):
    """The file that was made finds something else than the one it was made from. It is not kept."""

    default_code = "export_disagrees"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be made. images: pictures to check it with; image_size: side in pixels, the trained one by default."""

    form: Format
    out: Path
    images: Path | None = None
    image_size: int | None = None
    half: bool = False


def export(card: Card, wish: Wish) -> dict[str, Any]:
    """Makes `wish.out` from the card's checkpoint, in the place of what may lie there only if both find the same.

    Returns its path, the picture size it takes and the figures of the check. WeightsError in every other case: then
    `wish.out` is as it was before.
    """
    if card.task not in TASKS:
        raise WeightsError(f"{card.model_name}: only YOLO models are exported; this one's task is '{card.task}'")
    if wish.half and wish.form != "engine":
        raise WeightsError(f"half precision is chosen for an engine; a file of format '{wish.form}' has single")
    if not wish.out.parent.is_dir():
        raise WeightsError(f"{wish.out.parent}: no such folder")
    file = fetch(card, default_cache())["model"]
    if file.suffix not in CHECKPOINTS:
        raise WeightsError(f"{file.name}: an export begins with a checkpoint (.pt)")
    check_machine(wish.form)
    try:
        with tempfile.TemporaryDirectory(prefix=".kelp-export-", dir=wish.out.parent) as aside:
            made = Path(aside) / wish.out.name
            told = _checked(card, file, wish, made)
            made.replace(wish.out)
    except OSError as error:
        raise WeightsError(f"{wish.out}: could not be made: {error}") from None
    return {"file": str(wish.out), **told}


def _checked(card: Card, file: Path, wish: Wish, target: Path) -> dict[str, Any]:
    """Makes `target`, and tells in what it agrees with `file`. Disagrees where it does not."""
    from predictors.yolo.export.agreement import compare
    from predictors.yolo.model import YoloModel

    pictures = pictures_of(wish.images)
    original = YoloModel(card, {"model": file})
    original.load()
    trained = original.engine.facts.input_hw
    size = _size(wish.image_size, original.engine.facts.stride) or trained
    make(file, wish.form, card.task, target, imgsz=size, batch=card.batch.max_images, half=wish.half)
    made = YoloModel(card, {"model": target})
    made.load()
    if size != trained:
        original = _at(card, file, size)
    known = settings_of(card.task)
    settings = effective_settings(known, {k: v for k, v in card.settings.items() if k in known}, {})
    found = compare(original, made, pictures, settings)
    if found.faults:
        more = len(found.faults) - _MOST_FAULTS
        told = "; ".join(found.faults[:_MOST_FAULTS]) + (f"; and {more} more" if more > 0 else "")
        raise Disagrees(f"{target.name} does not find what {file.name} finds, and is not kept: {told}")
    return {"input_hw": list(made.engine.facts.input_hw), "agreement": found.figures()}


def _size(side: int | None, stride: int) -> tuple[int, int] | None:
    """Height and width; None for None. WeightsError for a side that the network's layers cannot halve often enough."""
    if side is None:
        return None
    if side % stride or side < stride:
        below = max(1, side // stride) * stride
        raise WeightsError(f"image size {side}: expected a multiple of {stride}, such as {below} or {below + stride}")
    return side, side


def _at(card: Card, file: Path, size: tuple[int, int]) -> Any:
    """The original, told to take pictures of another size than it was trained at."""
    from dataclasses import replace

    from predictors.yolo.model import YoloModel

    model = YoloModel(card, {"model": file})
    model.load()
    engine: Any = model.engine
    engine.facts = replace(engine.facts, input_hw=size)
    return model
