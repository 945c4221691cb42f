"""One export, from the card to a file that was checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kelp.card import Card
from kelp.settings.model import effective_settings, settings_of
from kelp.weights import default_cache, fetch
from predictors.common.errors import WeightsError
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
    """Makes `wish.out` from the card's checkpoint, and keeps it only if both find the same.

    Returns its path, the picture size it takes and the figures of the check. WeightsError in every other case.
    """
    if card.task not in TASKS:
        raise WeightsError(f"{card.model_name}: only YOLO models are exported; this one's task is '{card.task}'")
    file = fetch(card, default_cache())["model"]
    if file.suffix != ".pt":
        raise WeightsError(f"{file.name}: an export begins with a checkpoint (.pt)")
    check_machine(wish.form)
    from predictors.yolo.export.agreement import compare
    from predictors.yolo.model import YoloModel

    pictures = pictures_of(wish.images)
    original = YoloModel(card, {"model": file})
    original.load()
    trained = original.engine.facts.input_hw
    size = (wish.image_size, wish.image_size) if wish.image_size else trained
    try:
        make(file, wish.form, card.task, wish.out, imgsz=size, batch=card.batch.max_images, half=wish.half)
        made = YoloModel(card, {"model": wish.out})
        made.load()
        if size != trained:
            original = _at(card, file, size)
        known = settings_of(card.task)
        settings = effective_settings(known, {k: v for k, v in card.settings.items() if k in known}, {})
        found = compare(original, made, pictures, settings)
    except BaseException:
        wish.out.unlink(missing_ok=True)
        raise
    if found.faults:
        wish.out.unlink()
        more = len(found.faults) - _MOST_FAULTS
        told = "; ".join(found.faults[:_MOST_FAULTS]) + (f"; and {more} more" if more > 0 else "")
        raise Disagrees(f"{wish.out.name} does not find what {file.name} finds, and is not kept: {told}")
    return {"file": str(wish.out), "input_hw": list(made.engine.facts.input_hw), "agreement": found.figures()}


def _at(card: Card, file: Path, size: tuple[int, int]) -> Any:
    """The original, told to take pictures of another size than it was trained at."""
    from dataclasses import replace

    from predictors.yolo.model import YoloModel

    model = YoloModel(card, {"model": file})
    model.load()
    engine: Any = model.engine
    engine.facts = replace(engine.facts, input_hw=size)
    return model
