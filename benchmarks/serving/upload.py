"""Pixels of 1080p by the binary extension: what reading a request costs beyond reading its bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.row import Row, ratio_of_medians
from benchmarks.serving.subjects import bare_asgi, kelp_server, stock_kserve, write_card
from benchmarks.serving.wire import Caller, post, v2_request
from kelp.codec import Tensor

PAIRS = 100
STOCK = 5
WARM = 5
OUTPUTS = ("image_size",)


def rows(folder: Path) -> list[Row]:
    (folder / "none.bin").write_bytes(b"")
    card = write_card(
        folder / "nothing.yaml", name="nothing", runtime="nothing", task="detect", weights={"uri": "none.bin"}
    )
    pixels = np.random.default_rng(0).integers(0, 255, (1, 1080, 1920, 3), np.uint8)
    tensor = Tensor.from_array("image", pixels)
    binary = v2_request("nothing", tensor, outputs=OUTPUTS)
    as_json = v2_request("nothing", tensor, outputs=OUTPUTS, binary_answer=False)
    ours: list[float] = []
    bare: list[float] = []
    beside_stock: list[float] = []
    stock: list[float] = []
    with (
        kelp_server(card, folder) as server,
        bare_asgi() as application,
        stock_kserve() as kserve,
        Caller(server.port, binary) as caller,
        Caller(application.port, post("/", binary, {})) as bare_caller,
        Caller(kserve.port, as_json) as stock_caller,
    ):
        for number in range(WARM + PAIRS):
            samples = caller.call(), bare_caller.call()
            if number >= WARM:
                ours.append(samples[0])
                bare.append(samples[1])
        for number in range(1 + STOCK):
            samples = caller.call(), stock_caller.call()
            if number >= 1:
                beside_stock.append(samples[0])
                stock.append(samples[1])
    return [
        Row(
            "server", "UINT8 1080p through binary REST", ratio_of_medians(ours, bare), 1.3, False, "s", ours, bare,
            against="a bare ASGI application on the same server, which only reads the body",
            note="the whole request, with a model that does nothing",
        ),
        Row(
            "server", "UINT8 1080p through binary REST, against kserve", ratio_of_medians(stock, beside_stock), 100.0,
            True, "s", beside_stock, stock, against="a stock kserve predictor; how many times as fast",
        ),
    ]  # fmt: skip
