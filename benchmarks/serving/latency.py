"""One caller: a JPEG through REST against the bare loop, and against LitServe, in turns."""

from __future__ import annotations

from pathlib import Path

from benchmarks.row import Row, paired_ratio, ratio_of_medians
from benchmarks.serving.pictures import quadrat
from benchmarks.serving.subjects import card_of, kelp_server, litserve, loop
from benchmarks.serving.wire import Caller, litserve_request, v2_request
from kelp.codec import Tensor

PAIRS = 60
WARM = 3


def rows(what: str, card: Path, folder: Path) -> list[Row]:
    image = quadrat(folder)
    data = image.read_bytes()
    ours: list[float] = []
    bare: list[float] = []
    columns: list[float] = []
    lit: list[float] = []
    name = card_of(card).model_name
    with (
        kelp_server(card, folder) as server,
        loop(card, image) as bare_loop,
        litserve(card, 1) as lit_server,
        Caller(server.port, v2_request(name, Tensor.from_bytes("image", [data]))) as caller,
        Caller(lit_server.port, litserve_request(data)) as lit_caller,
    ):
        for number in range(WARM + PAIRS):
            samples = caller.call(), bare_loop.ask("once")[0], bare_loop.ask("columns")[0], lit_caller.call()
            if number >= WARM:
                for kept, sample in zip((ours, bare, columns, lit), samples, strict=True):
                    kept.append(sample)
    group, title = "server", f"1920 x 1920 JPEG through REST, {what}"
    return [
        Row(
            group, title, paired_ratio(ours, bare), 1.05, False, "s", ours, bare,
            against="the bare loop: imdecode and the same predictor, same threads",
            note=f"against the loop that also makes the columns of the answer: {paired_ratio(ours, columns):.3f}",
        ),
        Row(
            group, f"{title}, against LitServe", ratio_of_medians(ours, lit), 1.0, False, "s", ours, lit,
            against="LitServe with the same predictor: below 1, less is added to the loop",
        ),
    ]  # fmt: skip
