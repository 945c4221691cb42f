"""`kelp verify --function-url URL --test-images DIR`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kelp.cli.exits import FAILED
from kelp.cli.output import DocumentOption, print_document, say
from kelp.cli.parameters import MaskOption, PointsOption, SetOption, parse_set

if TYPE_CHECKING:
    from kelp.cli.targets import Target

app = typer.Typer(rich_markup_mode=None)
_ORIENTATION = 0x0112  # of EXIF; 5 to 8 turn the picture by a quarter
_EDGE_PX = 1.0  # rounding, and formats that count pixel centres


@app.command()
def verify(
    function_url: Annotated[str, typer.Option(help="a V2 model's URL (…/v2/models/NAME) or a function's")],
    test_images: Annotated[Path, typer.Option(help="folder of images, or one image")],
    labels: Annotated[
        str | None, typer.Option(help="comma list of the labels allowed; left out: those of the model's card")
    ] = None,
    settings: SetOption = None,
    mask: MaskOption = None,
    points: PointsOption = None,
    timeout: Annotated[float, typer.Option(help="seconds for one image, a cold start included")] = 600.0,
    output: DocumentOption = None,
) -> None:
    """Check that every image is answered, its labels are the card's and its shapes lie inside it. Exits 1 otherwise.

    Of an inpainter: that every picture comes back in its own size, and with --mask that nothing else has changed.
    """
    from kelp.cli.images import image_files
    from kelp.cli.progress import counting
    from kelp.cli.removals import removal_for
    from kelp.cli.targets import target_of

    files = image_files([test_images])
    allowed = [name.strip() for name in labels.split(",")] if labels else None
    unknown = "is none of --labels" if allowed else "is not the card's"
    results: list[dict[str, Any]] = []
    strays: dict[str, list[int]] = {}  # label → its shapes in each image that has any
    removal = removal_for(files, mask, points)
    with (
        target_of(
            function_url, parameters=parse_set(settings), labels=allowed, timeout_s=timeout, removal_for=removal
        ) as target,
        counting(target.name, len(files)) as bar,
    ):
        if target.labels is None:
            say("kelp: the labels are not known, and not checked; --labels names them")
        for path in files:
            result, found = checked(target, path)
            for fault in result["faults"]:
                say(f"kelp: {path}: {fault}")
            for label, count in found.items():
                strays.setdefault(label, []).append(count)
                result["faults"].append(f"label '{label}' {unknown} ({_counted(count, 'shape')})")
            results.append(result)
            bar.done()
        name, finds = target.name, target.finds
    for label, counts in strays.items():
        say(f"kelp: label '{label}' {unknown} ({_counted(sum(counts), 'shape')} in {_counted(len(counts), 'image')})")
    bad = [result for result in results if result["faults"]]
    summary = {"model": name, "images": len(results), "shapes": sum(r["shapes"] for r in results), "bad": len(bad)}
    if output is not None:
        print_document({**summary, "results": results}, output)
    else:
        right = "labels and shapes are right" if finds else "in its own size, and changed only where it was masked"
        told = f"every image is answered, {right}" if not bad else f"{len(bad)} are not right"
        counted = f", {summary['shapes']} shapes" if finds else ""
        typer.echo(f"{name}: {summary['images']} images{counted}: {told}")
    if bad:
        raise typer.Exit(FAILED)


def checked(target: Target, path: Path) -> tuple[dict[str, Any], Counter[str]]:
    """The image's result, and the labels that it should not have, counted. KelpError where nobody answers, or not in
    time, or not to this caller: what holds of the images is not known then."""
    from kelp.errors import Forbidden, KelpError, NotReady, OutOfMemory, TooLate, Unauthorized

    result: dict[str, Any] = {"image": str(path), "shapes": 0, "faults": []}
    strays: Counter[str] = Counter()
    try:
        shapes = target.answer(path.read_bytes(), path)
    except KelpError as error:
        if isinstance(error, NotReady | TooLate | Unauthorized | Forbidden) and not isinstance(error, OutOfMemory):
            raise
        result["faults"] = [error.message]
        return result, strays
    result["shapes"] = len(shapes)
    size = _size(path)
    if size is None:
        result["faults"].append("the image cannot be read here")
        return result, strays
    width, height = size
    allowed = set(target.labels or ())
    for index, shape in enumerate(shapes):
        if target.labels is not None and shape.label not in allowed:
            strays[shape.label] += 1
        if not len(shape.points):
            continue
        low, high = shape.points.min(axis=0), shape.points.max(axis=0)
        if low.min() < -_EDGE_PX or high[0] > width + _EDGE_PX or high[1] > height + _EDGE_PX:
            span = f"{low[0]:.1f},{low[1]:.1f} to {high[0]:.1f},{high[1]:.1f}"
            result["faults"].append(f"shape {index} ('{shape.label}'): {span} leaves the image of {width}x{height}")
    return result, strays


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height of the image as a model sees it: upright."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            width, height = image.size
            lies_on_its_side = image.getexif().get(_ORIENTATION, 1) >= 5
    except (OSError, UnidentifiedImageError):
        return None
    return (height, width) if lies_on_its_side else (width, height)
