"""`kelp infer MODEL IMAGE…`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kelp.cli.output import DocumentOption
from kelp.cli.parameters import MaskOption, PointsOption, SetOption, parse_set

app = typer.Typer(rich_markup_mode=None)
_REQUEST_S = 600.0


@app.command()
def infer(
    model: Annotated[str, typer.Argument(help="the model's name")],
    images: Annotated[list[Path], typer.Argument(help="image files, or folders of them")],
    save: Annotated[Path | None, typer.Option(help="folder for pictures with the results drawn on them")] = None,
    settings: SetOption = None,
    mask: MaskOption = None,
    points: PointsOption = None,
    batch: Annotated[int, typer.Option(min=1, help="images in one request")] = 4,
    cold_start: Annotated[float, typer.Option(help="seconds to wait for a model to start")] = 600.0,
    output: DocumentOption = None,
) -> None:
    """Send images to a model; show, save or print what it finds. Exits 1 where an image was refused.

    An inpainter fills what --mask or --points says, and --save keeps the pictures that it makes.
    """
    from kelp.cli.images import image_files
    from kelp.cli.inferring import send_files
    from kelp.cli.removals import removals_of
    from kelp.cli.saving import places_for
    from kelp.cli.servers import v2_client

    files = image_files(images)
    parameters = parse_set(settings)
    places = places_for(files, save)
    removals = removals_of(files, mask, points)
    with v2_client(timeout_s=_REQUEST_S + cold_start, cold_start_s=0.0) as client:
        card = client.metadata(model).get("parameters", {}).get("card", {})
        send_files(
            client, model, card, files, removals, parameters=parameters, batch=batch, cold_start_s=cold_start,
            places=places, output=output,
        )  # fmt: skip
