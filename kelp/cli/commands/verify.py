"""`kelp verify --function-url URL --test-images DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kelp.cli.exits import FAILED
from kelp.cli.output import DocumentOption, print_document, say
from kelp.cli.parameters import SetOption, parse_set

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
    timeout: Annotated[float, typer.Option(help="seconds for one image, a cold start included")] = 600.0,
    output: DocumentOption = None,
) -> None:
    """Check that every image is answered, its labels are the card's and its shapes lie inside it. Exits 1 otherwise."""
    from kelp.cli.images import image_files
    from kelp.cli.progress import counting
    from kelp.cli.targets import target_of

    files = image_files([test_images])
    allowed = [name.strip() for name in labels.split(",")] if labels else None
    results: list[dict[str, Any]] = []
    with (
        target_of(function_url, parameters=parse_set(settings), labels=allowed, timeout_s=timeout) as target,
        counting(target.name, len(files)) as bar,
    ):
        if target.labels is None:
            say("kelp: the labels are not known, and not checked; --labels names them")
        for path in files:
            results.append(_checked(target, path))
            bar.done()
        name = target.name
    bad = [result for result in results if result["faults"]]
    for result in bad:
        for fault in result["faults"]:
            say(f"kelp: {result['image']}: {fault}")
    summary = {"model": name, "images": len(results), "shapes": sum(r["shapes"] for r in results), "bad": len(bad)}
    if output is not None:
        print_document({**summary, "results": results}, output)
    else:
        told = "every image is answered, labels and shapes are right" if not bad else f"{len(bad)} are not right"
        typer.echo(f"{name}: {summary['images']} images, {summary['shapes']} shapes: {told}")
    if bad:
        raise typer.Exit(FAILED)


def _checked(target: Target, path: Path) -> dict[str, Any]:
    from kelp.errors import KelpError

    result: dict[str, Any] = {"image": str(path), "shapes": 0, "faults": []}
    try:
        shapes = target.answer(path.read_bytes())
    except KelpError as error:
        result["faults"] = [error.message]
        return result
    result["shapes"] = len(shapes)
    size = _size(path)
    if size is None:
        result["faults"].append("the image cannot be read here")
        return result
    width, height = size
    allowed = set(target.labels or ())
    for index, shape in enumerate(shapes):
        if target.labels is not None and shape.label not in allowed:
            result["faults"].append(f"shape {index}: label '{shape.label}' is not the card's")
        if not len(shape.points):
            continue
        low, high = shape.points.min(axis=0), shape.points.max(axis=0)
        if low.min() < -_EDGE_PX or high[0] > width + _EDGE_PX or high[1] > height + _EDGE_PX:
            span = f"{low[0]:.1f},{low[1]:.1f} to {high[0]:.1f},{high[1]:.1f}"
            result["faults"].append(f"shape {index} ('{shape.label}'): {span} leaves the image of {width}x{height}")
    return result


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
