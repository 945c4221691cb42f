"""Template matching of a quadrat's 117 points, against the assignment alone as scipy computes it.

Both get the same points: seen under perspective and turned, with noise, a tenth of them hidden. The note gives the time
where some points are mistaken as well: then views are tried and points assigned, in rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.row import Row
from predictors.grid.matching import match
from predictors.grid.template import Template, make_template

SHAPE = (9, 13)
HIDDEN = 12
MISTAKEN = 4
CASES = 40
ROUNDS = 8
ALLOWED = 4.0
Keypoints = NDArray[np.float32]


def run() -> list[Row]:
    """One row: seconds a quadrat."""
    rows, columns = SHAPE
    template = make_template(
        np.array([[(c + 1) / (columns + 1), (r + 1) / (rows + 1)] for r in range(rows) for c in range(columns)])
    )
    random = np.random.Generator(np.random.PCG64(21))
    truths = [_seen(random, template) for _ in range(CASES)]
    clean = [_found(random, truth, 0) for truth in truths]
    mistaken = [_found(random, truth, MISTAKEN) for truth in truths]
    for truth, keypoints in zip(truths, clean, strict=True):
        _check(template, truth, keypoints)
    costs = [
        np.linalg.norm(truth[:, None] - found[found[:, 2] >= 0.5, :2][None], axis=2)
        for truth, found in zip(truths, clean, strict=True)
    ]
    ours: list[float] = []
    theirs: list[float] = []
    harder: list[float] = []
    for number in range(ROUNDS + 1):
        for keypoints, other, cost in zip(clean, mistaken, costs, strict=True):
            times = [
                _timed(lambda keypoints=keypoints: match(template, keypoints, by_mark=True)),  # type: ignore[misc]
                _timed(lambda cost=cost: linear_sum_assignment(cost)),  # type: ignore[misc]
                _timed(lambda other=other: match(template, other, by_mark=True)),  # type: ignore[misc]
            ]
            if number:  # the first round warms up
                for taken, into in zip(times, (ours, theirs, harder), strict=True):
                    into.append(taken)
    return [
        Row(
            "grid", "template matching of 117 points against bare linear_sum_assignment",
            statistics.median(ours) / statistics.median(theirs), ALLOWED, False, "s", ours, theirs, against="scipy",
            note=f"{HIDDEN} points hidden, noise 1.5 px; every point in its slot; "
            f"with {MISTAKEN} mistaken ones {1e3 * statistics.median(harder):.2f} ms",
        )
    ]  # fmt: skip


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _seen(random: np.random.Generator, template: Template) -> NDArray[np.float64]:
    """The template's points in a picture of 1920 pixels, turned and in perspective: [117, 2]."""
    turn = random.uniform(0, 2 * np.pi)
    turned = (template.points - 0.5) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.asarray(turned / (1 + turned @ random.uniform(-0.2, 0.2, 2))[:, None] * 1400 + 960)


def _found(random: np.random.Generator, truth: NDArray[np.float64], mistaken: int) -> Keypoints:
    points = truth + random.normal(0, 1.5, truth.shape)
    visibility = np.ones(len(truth))
    chosen = random.choice(len(truth), HIDDEN + mistaken, replace=False)
    visibility[chosen[:HIDDEN]] = 0.2
    points[chosen] += random.uniform(-200, 200, (len(chosen), 2))
    return np.column_stack([points, visibility]).astype(np.float32)


def _check(template: Template, truth: NDArray[np.float64], keypoints: Keypoints) -> None:
    found = match(template, keypoints, by_mark=True)
    if found is None:
        raise AssertionError("points that were seen well were not matched")
    apart = np.linalg.norm(found.keypoints[:, None, :2] - truth[None], axis=2)
    if not (apart.argmin(axis=1) == np.arange(len(truth))).all():
        raise AssertionError("a point is not in its slot")
