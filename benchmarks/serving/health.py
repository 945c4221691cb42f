"""Health while real predictions of about three seconds run, beside a bare ASGI application under the same load."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path

import yaml

from benchmarks.row import Row
from benchmarks.serving.pictures import quadrat
from benchmarks.serving.subjects import bare_asgi, demo_card, kelp_server, loop
from benchmarks.serving.wire import Caller, get, v2_request
from kelp.codec import Tensor

PREDICTION_S = 3.0
CHECKS = 400
EVERY_S = 0.02
ALLOWED_S = 0.010


def rows(folder: Path) -> list[Row]:
    image = quadrat(folder)
    with loop(demo_card(), image) as bare:
        one_s = min(bare.ask("once")[0] for _ in range(3))
    images = max(2, math.ceil(PREDICTION_S / one_s))
    card = _card(folder, images)
    request = v2_request(card.stem, Tensor.from_bytes("image", [image.read_bytes()] * images))
    ours: list[float] = []
    theirs: list[float] = []
    with (
        kelp_server(card, folder) as server,
        bare_asgi() as application,
        Caller(server.port, get("/v2/health/ready")) as caller,
        Caller(application.port, get("/")) as bare_caller,
    ):
        stop = threading.Event()
        load = threading.Thread(target=_predict, args=(server.port, request, stop))
        load.start()
        time.sleep(1.0)
        sides = [(caller, ours), (bare_caller, theirs)]
        for _ in range(CHECKS):
            for side, samples in sides:
                samples.append(side.call())
            sides.reverse()  # who comes first after the pause pays for waking up
            time.sleep(EVERY_S)
        stop.set()
        load.join()
    p99, bare_p99 = _p99(ours), _p99(theirs)
    allowed_s = max(ALLOWED_S, 2 * bare_p99)
    return [
        Row(
            "server", "health while predictions run, p99", p99 / allowed_s, 1.0, False, "s", ours, theirs,
            against="10 ms, or twice a bare ASGI application beside the same load, whichever is more",
            note=f"requests of {images} images, in one batch each",
            parts={"p99_s": p99, "bare_p99_s": bare_p99, "allowed_s": allowed_s},
        )
    ]  # fmt: skip


def _card(folder: Path, images: int) -> Path:
    """The demo's model with batches so large that one prediction takes about three seconds."""
    card = yaml.safe_load(demo_card().read_text())
    weights = (demo_card().parent / card["weights"]["uri"]).resolve()
    card.update(name="long", batch={"max_images": images, "window_ms": 1000}, weights={"uri": str(weights)})
    card["limits"] = {"body": "1Gi", "request_seconds": 120, "queue_seconds": 120}
    path = folder / "long.yaml"
    path.write_text(yaml.safe_dump(card))
    return path


def _predict(port: int, request: bytes, stop: threading.Event) -> None:
    with Caller(port, request) as caller:
        while not stop.is_set():
            caller.call()


def _p99(samples: list[float]) -> float:
    return sorted(samples)[math.ceil(0.99 * len(samples)) - 1]
