"""16 callers: images a second and processor time an image, against the best loop without a server and LitServe.

All of them take turns in short rounds, so that what else the machine does falls on all alike.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from benchmarks.row import Row, ratio_of_medians
from benchmarks.serving.pictures import quadrat
from benchmarks.serving.subjects import Subject, card_of, kelp_server, litserve, loop
from benchmarks.serving.wire import Caller, litserve_request, v2_request
from kelp.codec import Tensor

CALLERS = 16
IMAGES = 96
ROUNDS = 8
LIT_BATCHES = (4, 8)
# Decoding threads, and where answers are read: the fastest of these is "the best loop".
LOOPS = tuple((threads, place) for threads in (1, 2, 3) for place in ("between", "beside"))


def rows(what: str, card: Path, folder: Path) -> list[Row]:
    image = quadrat(folder)
    data = image.read_bytes()
    name = card_of(card).model_name
    request = v2_request(name, Tensor.from_bytes("image", [data]))
    with kelp_server(card, folder) as server, loop(card, image) as bare_loop:
        _crowd(server, request, 2 * CALLERS)
        best = max(LOOPS, key=lambda variant: bare_loop.ask(f"rate {IMAGES} {variant[0]} {variant[1]}")[0])
        lit_batch, lit = _best_litserve(card, data)
        with lit:
            ours: list[tuple[float, float]] = []
            bare: list[tuple[float, float]] = []
            theirs: list[tuple[float, float]] = []
            for _ in range(ROUNDS):
                ours.append(_crowd(server, request, IMAGES))
                rate, cpu_s = bare_loop.ask(f"rate {IMAGES} {best[0]} {best[1]}")
                bare.append((rate, cpu_s))
                theirs.append(_crowd(lit, litserve_request(data), IMAGES))
    our_rate, our_cpu = map(list, zip(*ours, strict=True))
    bare_rate, bare_cpu = map(list, zip(*bare, strict=True))
    lit_rate = [rate for rate, _ in theirs]
    against = f"the best loop without a server: {best[0]} decoding threads, answers read {best[1]} the batches"
    title = f"{CALLERS} callers, 1920 x 1920 JPEG, {what}"
    return [
        Row(
            "server", f"{title}: rate", ratio_of_medians(our_rate, bare_rate), 0.95, True, "1/s", our_rate, bare_rate,
            against=against, note="the callers run on the same processors; the loop has none",
        ),
        Row(
            "server", f"{title}: processor time an image", ratio_of_medians(our_cpu, bare_cpu), 1.05, False, "s",
            our_cpu, bare_cpu, against=against,
            note="the server has the C library keep freed memory, which makes up for reading the requests",
        ),
        Row(
            "server", f"{title}: rate against LitServe", ratio_of_medians(our_rate, lit_rate), 1.0, True, "1/s",
            our_rate, lit_rate, against=f"LitServe, batches of {lit_batch} (the better of {LIT_BATCHES})",
        ),
    ]  # fmt: skip


def _best_litserve(card: Path, data: bytes) -> tuple[int, Subject]:
    """The batch size with which LitServe is fastest, and a warm server with it."""
    rates: dict[int, float] = {}
    for batch in LIT_BATCHES:
        with litserve(card, batch) as candidate:
            _crowd(candidate, litserve_request(data), 2 * CALLERS)
            rates[batch] = _crowd(candidate, litserve_request(data), IMAGES)[0]
    best = max(rates, key=lambda batch: rates[batch])
    server = litserve(card, best)
    _crowd(server, litserve_request(data), 2 * CALLERS)
    return best, server


def _crowd(subject: Subject, request: bytes, images: int) -> tuple[float, float]:
    """`images` requests by 16 callers, each waiting for its answer: images a second, processor seconds an image."""
    failures: list[BaseException] = []

    def calls() -> None:
        try:
            with Caller(subject.port, request) as caller:
                for _ in range(images // CALLERS):
                    caller.call()
        except (OSError, RuntimeError) as error:
            failures.append(error)

    threads = [threading.Thread(target=calls) for _ in range(CALLERS)]
    cpu_s, began = subject.cpu_s(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return images / (time.perf_counter() - began), (subject.cpu_s() - cpu_s) / images
