"""A job of CVAT that a model of the platform is to annotate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import cv2

from demo.reef import render
from kelp.card import load_card
from tests.cluster.support.cards import SHIPPED
from tests.cluster.support.platform import Platform
from tests.support.cvat import Cvat

_PICTURES: dict[tuple[int, int], bytes] = {}


@dataclass
class Job:
    """One job with its webhook. Shapes are told apart by frame, label, type and points."""

    cvat: Cvat
    id: int
    frames: int
    webhook: int
    project: int
    task: int
    labels: dict[int, str] = field(default_factory=dict)

    def start(self) -> None:
        """What the first save in CVAT does: the webhook goes out."""
        self.cvat.start(self.id)

    def shapes(self) -> Counter[tuple[Any, ...]]:
        return Counter(
            (shape["frame"], shape["label_id"], shape["type"], tuple(round(p, 2) for p in shape["points"]))
            for shape in self.cvat.shapes(self.id)
        )

    def found(self) -> Counter[tuple[Any, ...]]:
        """The shapes without their ids: comparable between jobs of different projects."""
        names = self.labels
        found: Counter[tuple[Any, ...]] = Counter()
        for (frame, label, kind, points), count in self.shapes().items():
            found[frame, names[label], kind, points] += count
        return found


def pictures(count: int, size: int = 320) -> list[bytes]:
    """Photographs of the reef, each different, each time the same."""
    return [_picture(20 + number, size) for number in range(count)]


def _picture(seed: int, size: int) -> bytes:
    if (seed, size) not in _PICTURES:
        done, data = cv2.imencode(".jpg", render(seed, size).image[:, :, ::-1])
        assert done
        _PICTURES[seed, size] = data.tobytes()
    return _PICTURES[seed, size]


@contextmanager
def job(
    cvat: Cvat, platform: Platform, model: str, *, frames: int = 4, query: str = "", distinct: int = 4
) -> Iterator[Job]:
    """A new job of `frames` pictures (`distinct` different ones), and a webhook of its project for `model`."""
    labels = [{"name": label.name, "type": "any"} for label in load_card(SHIPPED).labels]
    project = cvat.project(labels)
    try:
        kinds = pictures(min(frames, distinct))
        task = cvat.task(project, [(f"{n:04d}.jpg", kinds[n % len(kinds)]) for n in range(frames)])
        target = f"{platform.webhook_url}?model_name={model}" + (f"&{query}" if query else "")
        webhook = cvat.webhook(project, target, ["update:job"])
        names = {number: name for name, number in cvat.labels(project).items()}
        yield Job(cvat, task.jobs[0], frames, webhook, project, task.id, names)
    finally:
        cvat.remove_project(project)
