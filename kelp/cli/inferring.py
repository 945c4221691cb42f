"""Sending images to a model, and showing, saving or printing what it finds or fills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kelp.cli.exits import FAILED, UsageError
from kelp.cli.output import Document, print_columns, print_document, say

if TYPE_CHECKING:
    from kelp.cli.calling import Answer
    from kelp.cli.removals import Removal
    from kelp.client.sync_calls import SyncCalls


def send_files(
    client: SyncCalls,
    model: str,
    card: Mapping[str, Any],
    files: Sequence[Path],
    removals: Sequence[Removal] | None,
    *,
    parameters: Mapping[str, Any],
    batch: int,
    cold_start_s: float,
    places: Sequence[Path] | None,
    output: Document | None,
) -> None:
    """The image files through `model`, whatever its task; `card`: its public part; removals: what an inpainter is to
    remove from each; places: where each result is saved. typer.Exit(1) where an image was refused."""
    if card.get("task") != "inpaint":
        if removals is not None:
            raise UsageError(f"--mask and --points are for inpainters; the task of '{model}' is {card.get('task')}")
        infer_files(
            client, model, card, files, parameters=parameters, batch=batch, cold_start_s=cold_start_s, places=places,
            output=output,
        )  # fmt: skip
        return
    from kelp.cli.painting import paint_files
    from kelp.cli.saving import places_for

    if removals is None:
        raise UsageError(f"'{model}' fills what it is told to, its task is inpaint: expected --mask or --points")
    if places is not None:  # they come as the model makes them
        form = parameters.get("format", card.get("settings", {}).get("format", "png"))
        places = places_for(files, places[0].parent, ".jpg" if form == "jpeg" else ".png")
    _say_it_starts(model, card)
    paint_files(
        client, model, files, removals, parameters=parameters, cold_start_s=cold_start_s, places=places, output=output
    )


def infer_files(
    client: SyncCalls,
    model: str,
    card: Mapping[str, Any],
    files: Sequence[Path],
    *,
    parameters: Mapping[str, Any],
    batch: int,
    cold_start_s: float,
    places: Sequence[Path] | None,
    output: Document | None,
) -> None:
    """The image files through `model`; `card`: its public part; places: where each is saved with what was found drawn
    on it. typer.Exit(1) where an image was refused."""
    from kelp.cli.calling import detect_all
    from kelp.cli.progress import counting

    if card.get("task") not in {None, "segment", "detect", "pose"}:
        raise UsageError(
            f"'{model}' is no detector: its task is {card['task']}, and this command shows what detectors find "
            "(segment, detect, pose) and inpainters fill"
        )
    _say_it_starts(model, card)
    with counting(model, len(files)) as bar:
        answers = detect_all(
            client, model, (path.read_bytes() for path in files),
            batch=batch, parameters=parameters, cold_start_s=cold_start_s,
            on_waiting=lambda seconds: bar.note(f"{model}, waiting for {seconds:.0f} s"),
        )  # fmt: skip
        results = list(_results(files, answers, places, _colours(card), bar))
    if output is not None:
        print_document(results, output)
    else:
        _print(results)
    if any("error" in result for result in results):
        raise typer.Exit(FAILED)


def _say_it_starts(model: str, card: Mapping[str, Any]) -> None:
    if card.get("state") not in {None, "ready"}:
        say(f"{model} is {card['state']}: it starts now")


def _results(
    files: Sequence[Path], answers: Iterator[Answer], places: Sequence[Path] | None, colours: dict[str, str], bar: Any
) -> Iterator[dict[str, Any]]:
    for index, (path, answer) in enumerate(zip(files, answers, strict=True)):
        result: dict[str, Any] = {"image": str(path)}
        if answer.error is not None:
            result["error"] = answer.error.message
            say(f"kelp: {path}: {answer.error.message}")
        else:
            result |= _described(answer)
            if places is not None:
                _save(path, answer, places[index], colours)
                result["saved"] = str(places[index])
        bar.done()
        yield result


def _described(answer: Answer) -> dict[str, Any]:
    found = answer.found
    assert found is not None
    detections = []
    for row in found.rows_of(answer.image):
        one: dict[str, Any] = {
            "label": found.labels[int(found.label_id[row])],
            "score": round(float(found.score[row]), 4),
            "box": [round(v, 2) for v in found.box[row].tolist()],
        }
        if found.polygon_offsets is not None:
            one["polygon"] = [[round(x, 2), round(y, 2)] for x, y in found.polygon(row).tolist()]
        if found.keypoints is not None:
            one["keypoints"] = [[round(v, 2) for v in point] for point in found.keypoints[row].tolist()]
        detections.append(one)
    height, width = found.image_size[answer.image].tolist()
    return {"width": width, "height": height, "seconds": round(answer.seconds, 4), "detections": detections}


def _save(path: Path, answer: Answer, place: Path, colours: dict[str, str]) -> None:
    import cv2

    from kelp.cli.draw import draw
    from kelp.cli.saving import write_picture

    assert answer.found is not None
    # As the model saw it: upright, 8 bits, three channels.
    picture: Any = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise UsageError(f"{path}: cannot be read here, so that nothing can be drawn on it")
    drawn = draw(picture, answer.found, answer.image, colours)
    _, encoded = cv2.imencode(place.suffix, cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    write_picture(place, encoded.tobytes())


def _colours(card: Mapping[str, Any]) -> dict[str, str]:
    return {label["name"]: label["color"] for label in card.get("labels", []) if label.get("color")}


def _print(results: list[dict[str, Any]]) -> None:
    rows = []
    for result in results:
        found = Counter(one["label"] for one in result.get("detections", ()))
        labels = ", ".join(f"{count} {label}" for label, count in found.most_common())
        seconds = f"{result['seconds']:.3f} s" if "seconds" in result else ""
        shown = len(result["detections"]) if "detections" in result else "-"
        rows.append([result["image"], shown, seconds, result.get("error") or labels])
    print_columns(("IMAGE", "FOUND", "TIME", "LABELS"), rows)
    saved = [result["saved"] for result in results if "saved" in result]
    if saved:
        say(f"{len(saved)} {'picture' if len(saved) == 1 else 'pictures'} in {Path(saved[0]).parent}")
