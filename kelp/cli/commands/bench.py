"""`kelp bench --function-url URL --test-images DIR --num-runs 100`."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kelp.cli.output import DocumentOption, print_document, print_fields
from kelp.cli.parameters import MaskOption, PointsOption, SetOption, parse_set

if TYPE_CHECKING:
    from kelp.cli.targets import Target

app = typer.Typer(rich_markup_mode=None)
PERCENTILES = (50, 90, 95, 99)


@app.command()
def bench(
    function_url: Annotated[str, typer.Option(help="a V2 model's URL (…/v2/models/NAME) or a function's")],
    test_images: Annotated[Path, typer.Option(help="folder of images, or one image")],
    num_runs: Annotated[int, typer.Option(min=1, help="images sent and measured")] = 100,
    warmup: Annotated[int, typer.Option(min=0, help="images sent before, not measured; they wake the model")] = 3,
    concurrency: Annotated[int, typer.Option(min=1, help="callers at once")] = 1,
    settings: SetOption = None,
    mask: MaskOption = None,
    points: PointsOption = None,
    timeout: Annotated[float, typer.Option(help="seconds for one image, a cold start included")] = 600.0,
    output: DocumentOption = None,
) -> None:
    """Measure how fast a model or a function answers: one image a request, the images in turn.

    An inpainter removes a grid over the whole picture where neither --mask nor --points says what.
    """
    import numpy as np

    from kelp.cli.images import image_files
    from kelp.cli.progress import counting
    from kelp.cli.removals import removal_for
    from kelp.cli.targets import target_of

    files = image_files([test_images])
    images = [(path, path.read_bytes()) for path in files]
    removal = removal_for(files, mask, points)
    with target_of(
        function_url, parameters=parse_set(settings), labels=None, timeout_s=timeout, removal_for=removal
    ) as target:
        with counting(f"{target.name}: warming up", warmup) as bar:
            for path, image in itertools.islice(itertools.cycle(images), warmup):
                _ask(target, path, image)
                bar.done()

        def measured(named: tuple[Path, bytes]) -> float:
            begun = time.perf_counter()
            _ask(target, *named)
            seconds = time.perf_counter() - begun
            running.done()
            return seconds

        with counting(target.name, num_runs) as running, ThreadPoolExecutor(concurrency) as callers:
            begun = time.perf_counter()
            times = list(callers.map(measured, itertools.islice(itertools.cycle(images), num_runs)))
            whole = time.perf_counter() - begun
    milliseconds = np.array(times) * 1000
    found: dict[str, Any] = {
        "model": target.name,
        "image_size": _sizes(files),
        "num_runs": num_runs,
        "concurrency": concurrency,
        "avg_time_ms": round(float(milliseconds.mean()), 3),
        "throughput_img_per_min": round(60 * num_runs / whole, 1),
        **{f"p{p}_ms": round(float(np.percentile(milliseconds, p)), 3) for p in PERCENTILES},
        "min_ms": round(float(milliseconds.min()), 3),
        "max_ms": round(float(milliseconds.max()), 3),
    }
    if output is not None:
        print_document(found, output)
        return
    lines: dict[str, Any] = {
        "Model": found["model"],
        "Image Size": found["image_size"],
        "Avg Time": f"{found['avg_time_ms']:.1f} ms",
        "Throughput": f"{found['throughput_img_per_min']:.1f} img/min",
    }
    lines |= {f"p{p}": f"{found[f'p{p}_ms']:.1f} ms" for p in PERCENTILES}
    lines["Min / Max"] = f"{found['min_ms']:.1f} / {found['max_ms']:.1f} ms"
    lines["Runs"] = f"{num_runs}, {concurrency} at once"
    print_fields(lines)


def _ask(target: Target, path: Path, image: bytes) -> None:
    from kelp.errors import Forbidden, KelpError, NotFound, NotReady, OutOfMemory, Unauthorized

    try:
        target.answer(image, path)
    except KelpError as error:
        # Not where it would be the same with any other image.
        if isinstance(error, OutOfMemory) or not isinstance(error, NotReady | Unauthorized | Forbidden | NotFound):
            error.message = f"{path}: {error.message}"
        raise


def _sizes(files: list[Path]) -> str:
    """`1920x1080`, or the smallest and the largest."""
    from PIL import Image, UnidentifiedImageError

    sizes = set()
    for path in files:
        try:
            with Image.open(path) as image:
                sizes.add(image.size)
        except (OSError, UnidentifiedImageError):
            continue
    ordered = sorted(sizes, key=lambda size: size[0] * size[1])
    named = [f"{width}x{height}" for width, height in ordered]
    return " to ".join([named[0], named[-1]] if len(named) > 1 else named) or "unknown"
