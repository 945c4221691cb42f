"""The checklist before production: what a model must show, and what is still missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kelp.card import Card
from kelp.card.quantity import parse_size
from kelp.errors import KelpError, NotReady

if TYPE_CHECKING:
    from kelp.cli.targets import Target
    from kelp.cli.trial import Trial

State = Literal["ok", "warn", "missing"]
_NO_FIGURES = frozenset({"conf_threshold", "iou_threshold", "seed", "seeds"})
_SPEED_S, _MOST_REQUESTS = 10.0, 50
_TIGHT = 0.8
_BAD_IMAGE = b"this is no image"
_GI = 1 << 30


@dataclass(frozen=True, slots=True)
class Line:
    """One point of the list. told: what was found; advice: what to do about it. What is missing holds production up."""

    point: str
    state: State
    told: str
    advice: str = ""

    @property
    def blocks(self) -> bool:
        return self.state == "missing"


def checklist(
    path: Path, card: Card, faults: Sequence[str], images: Path | None, on_point: Callable[[str], None]
) -> Iterator[Line]:
    """The lines, one after another as they are found. on_point: told what is looked at next.

    faults: what `kelp card check` found. images: pictures of one's own, which the model is to answer.
    """
    yield _of_card(faults)
    yield _of_accuracy(card)
    if faults:
        yield Line("start", "missing", "not tried: the card has faults", "mend the card, then check again")
    else:
        yield from _on_trial(path, card, images, on_point)
    on_point("CVAT")
    from kelp.cli.checklist_runs import of_cvat

    yield of_cvat(card)


def _of_card(faults: Sequence[str]) -> Line:
    if not faults:
        return Line("card", "ok", "fields, weights and settings are right")
    return Line("card", "missing", "; ".join(faults)[:500], "mend these fields: docs/cards.md")


def _of_accuracy(card: Card) -> Line:
    quality = card.quality
    figures = {
        name: value
        for name, value in quality.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and name not in _NO_FIGURES
    }
    advice = "measure the model on pictures that nobody trained on, and write `quality` into the card (docs/cards.md)"
    if not figures:
        return Line("accuracy", "missing", "the card states no quality", advice)
    told = ", ".join(f"{name} {value:g}" for name, value in figures.items())
    data = str(quality.get("data", ""))
    if not data:
        return Line(
            "accuracy", "warn", f"{told}; on what, is not said", "write `quality.data`: which pictures, how many"
        )
    if "synthetic" in data.lower() or "tests only" in str(quality.get("note", "")).lower():
        advice = "figures of synthetic pictures say little about your reef: measure on pictures of your own"
        return Line("accuracy", "warn", f"{told}; on {data}", advice)
    return Line("accuracy", "ok", f"{told}; on {data}")


def _on_trial(path: Path, card: Card, images: Path | None, on_point: Callable[[str], None]) -> Iterator[Line]:
    from kelp.cli.trial import on_trial

    on_point("start")
    try:
        with on_trial(path, card.model_name, card.start_timeout) as trial:
            yield Line("start", "ok", f"ready after {trial.start_s:.1f} s, weights and warm-up included")
            yield from _of_running(card, trial, images, on_point)
    except NotReady as error:
        yield Line("start", "missing", error.message, "mend what it says; `kelp serve CARD` shows its whole log")


def _of_running(card: Card, trial: Trial, images: Path | None, on_point: Callable[[str], None]) -> Iterator[Line]:
    from kelp.cli.images import image_files
    from kelp.cli.targets import target_of

    url = f"{trial.url}/v2/models/{card.model_name}"
    with target_of(url, parameters={}, labels=None, timeout_s=card.limits.request_seconds + 10) as target:
        files = image_files([images]) if images is not None else []
        on_point("real images")
        yield _of_images(target, files)
        on_point("errors and logs")
        errors = _of_errors(target, trial)
        if files:
            on_point("speed")
            speed = _of_speed(card, target, files)
        else:
            speed = Line("speed", "warn", "not measured", "give pictures with --images")
        yield _of_memory(card, trial, bool(files))
        yield _of_gpu(card, trial)
        yield errors
        yield speed


def _of_images(target: Target, files: Sequence[Path]) -> Line:
    from kelp.cli.commands.verify import checked

    advice = "give pictures of your own reef, unlike those of the training: --images DIR"
    if not files:
        return Line("real images", "missing", "tried on none", advice)
    shapes, bad, strays = 0, [], set[str]()
    for file in files:
        result, foreign = checked(target, file)
        shapes += result["shapes"]
        strays |= set(foreign)
        bad += [f"{file.name}: {fault}" for fault in result["faults"]]
    told = f"{len(files)} pictures, {shapes} shapes"
    if strays:
        return Line(
            "real images", "missing", f"{told}; labels that the card lacks: {', '.join(sorted(strays))}", "card"
        )
    if bad:
        return Line("real images", "missing", f"{told}; {len(bad)} faults, the first: {bad[0]}", "mend or leave out")
    if target.finds and not shapes:
        advice = (
            "nothing was found in any of them: other pictures, or a lower conf_threshold (`kelp infer --save` shows)"
        )
        return Line("real images", "warn", told, advice)
    if not target.finds:
        return Line("real images", "ok", f"{len(files)} pictures: all answered, in their own size")
    return Line("real images", "ok", f"{told}: all answered, inside the pictures, with the card's labels")


def _of_memory(card: Card, trial: Trial, worked: bool) -> Line:
    peak = trial.peak_bytes()
    if not peak:
        return Line("memory", "warn", "this system does not tell what a process holds")
    limit = _bytes(card.resources.limits.memory)
    request = _bytes(card.resources.requests.memory)
    told = f"{peak / _GI:.2f} GiB at its peak; requests {_shown(request)}, limits {_shown(limit)}"
    if not worked:
        told += "; without any real picture"
    if limit and peak > limit:
        return Line("memory", "missing", told, "raise resources.limits.memory, or lower batch.max_images")
    if limit and peak > _TIGHT * limit:
        return Line("memory", "warn", told, "close to the limit: larger pictures may end the process")
    if request and peak > request:
        return Line("memory", "warn", told, "more than it requests: raise resources.requests.memory")
    return Line("memory", "ok", told)


def _of_gpu(card: Card, trial: Trial) -> Line:
    held = trial.gpu_bytes()
    wanted = card.resources.limits.gpu or card.resources.requests.gpu or card.resources.limits.mig
    main = card.weights.by_role().get("model")
    file = (main.file or card.weights.uri) if main else ""
    if held:
        return Line("GPU", "ok", f"{held / _GI:.2f} GiB of device memory in use while it worked")
    if file.endswith(".onnx") or (not wanted and card.device != "cuda"):
        return Line("GPU", "ok", "needs none")
    advice = "check again on a machine with the GPU that will serve it: memory, and time, differ there"
    return Line("GPU", "warn", "the card asks for one, and there is none here", advice)


def _of_errors(target: Target, trial: Trial) -> Line:
    try:
        target.answer(_BAD_IMAGE)
    except NotReady as error:
        return Line(
            "errors and logs", "missing", f"a broken picture ended it: {error.message}", "`kelp serve` shows why"
        )
    except KelpError as error:
        told = f"a broken picture is refused: {error.message[:120]}"
    else:
        return Line("errors and logs", "missing", "a broken picture was answered as if it were one", "")
    complaints = trial.complaints()
    if complaints:
        return Line(
            "errors and logs", "missing", f"its log complains {len(complaints)} times: {complaints[0][:200]}",
            "mend what it says; `kelp logs NAME --level ERROR` shows the rest when it is deployed",
        )  # fmt: skip
    return Line("errors and logs", "ok", f"{told}; no error in its log")


def _of_speed(card: Card, target: Target, files: Sequence[Path]) -> Line:
    times: list[float] = []
    ends = time.monotonic() + _SPEED_S
    while len(times) < _MOST_REQUESTS and (len(times) < min(3, len(files)) or time.monotonic() < ends):
        file = files[len(times) % len(files)]
        begun = time.perf_counter()
        try:
            target.answer(file.read_bytes(), file)
        except KelpError as error:
            return Line("speed", "missing", f"{file.name}: {error.message}", "see the line of real images")
        times.append(time.perf_counter() - begun)
    slowest = max(times)
    told = f"{len(times) / sum(times):.2f} pictures/s one after another, {slowest:.2f} s the slowest of {len(times)}"
    if slowest > card.limits.request_seconds / 2:
        advice = "near limits.request_seconds: raise it, or choose a lighter model (docs/models)"
        return Line("speed", "warn", told, advice)
    return Line("speed", "ok", told)


def _bytes(quantity: str | None) -> int | None:
    try:
        return parse_size(quantity) if quantity is not None else None
    except ValueError:
        return None


def _shown(value: int | None) -> str:
    return f"{value / _GI:.2g} GiB" if value else "nothing"


def as_document(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """For `-o json`."""
    return [
        {"point": line.point, "state": line.state, "told": line.told, "advice": line.advice, "blocks": line.blocks}
        for line in lines
    ]
