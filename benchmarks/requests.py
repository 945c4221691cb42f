"""What a request costs beside its model: every shipped card, a JPEG of 1920² through REST, against the bare loop."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks.row import Row, paired_ratio
from benchmarks.serving.loop import outputs_of
from benchmarks.serving.pictures import SIDE, quadrat
from benchmarks.serving.subjects import demo_card, kelp_server, loop
from benchmarks.serving.wire import Caller, v2_request
from kelp.card import load_card
from kelp.codec import Tensor

ROOT = Path(__file__).parents[1]
CARDS = ROOT / "environments" / "models"
PAIRS, PAIRS_OF_SECONDS = 50, 12
"""The second for a model that takes seconds a picture."""
WARM = 2
LINE_PX, LINES = 8, 9


def run() -> list[Row]:
    """A row a card; the demo's own is among the server's rows."""
    with tempfile.TemporaryDirectory(prefix="kelp-requests-") as name:
        folder = Path(name)
        return [_row(path, folder) for path in sorted(CARDS.glob("*.yaml")) if path != demo_card()]


def _row(path: Path, folder: Path) -> Row:
    card = load_card(path)
    pictures = [quadrat(folder)]
    if card.task == "inpaint":
        pictures.append(_lines(folder))
    given = zip(("image", "mask"), pictures, strict=False)
    inputs = [Tensor.from_bytes(name, [picture.read_bytes()]) for name, picture in given]
    request = v2_request(card.model_name, *inputs, outputs=outputs_of(card))
    ours: list[float] = []
    bare: list[float] = []
    with (
        kelp_server(path, folder) as server,
        loop(path, *pictures) as bare_loop,
        Caller(server.port, request) as caller,
    ):
        pairs = PAIRS
        while len(ours) < WARM + pairs:
            ours.append(caller.call())
            bare.append(bare_loop.ask("once")[0])
            if bare[-1] > 1:
                pairs = PAIRS_OF_SECONDS
    ours, bare = ours[WARM:], bare[WARM:]
    encoded = ", imencode" if card.task == "inpaint" else ""
    return Row(
        "requests", f"{card.model_name}: a JPEG of {SIDE}² through REST", paired_ratio(ours, bare), 1.05, False, "s",
        ours, bare, against=f"the bare loop: imdecode and the same predictor{encoded}",
    )  # fmt: skip


def _lines(folder: Path) -> Path:
    """A mask of lines along rows and columns, as a grid's are."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for place in np.linspace(SIDE // 8, SIDE - SIDE // 8, LINES, dtype=int):
        mask[place : place + LINE_PX] = mask[:, place : place + LINE_PX] = 255
    path = folder / "lines.png"
    cv2.imwrite(str(path), mask)
    return path
