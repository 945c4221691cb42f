"""Tasks of photographs with a quadrat, or a grid of strings, on each frame, for tests of what is made of them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tests.support.cvat import Cvat, CvatTask, Named, wait_for

WIDTH, HEIGHT = 320, 240
CORNERS = (60.0, 40.0, 260.0, 50.0, 250.0, 210.0, 70.0, 200.0)
SIDE = 64
ROWS, COLUMNS = 9, 13
DATE, LATITUDE = "2024:05:06 07:08:09", (8.0, 30.0, 12.5)
# What is seen in each quarter of a photograph: so a turned or mirrored crop cannot be taken for a good one.
QUARTERS = ((220, 30, 30), (30, 200, 40), (40, 60, 220), (230, 220, 60))
Files = list[Named]


def skeleton(name: str, count: int) -> dict[str, Any]:
    """A label as the API takes it, its points named 1, 2, 3…"""
    places = [(5 + 90 * (n % COLUMNS) / COLUMNS, 5 + 90 * (n // COLUMNS) / ROWS) for n in range(count)]
    circles = [
        f'<circle r="0.75" cx="{x:.2f}" cy="{y:.2f}" data-type="element node" data-element-id="{n}" '
        f'data-node-id="{n}" data-label-name="{n}"></circle>'
        for n, (x, y) in enumerate(places, 1)
    ]
    parts = [{"name": str(n), "type": "points", "attributes": []} for n in range(1, count + 1)]
    return {"name": name, "type": "skeleton", "attributes": [], "sublabels": parts, "svg": "".join(circles)}


QUADRAT, GRID = skeleton("quadrat", 4), skeleton("grid", ROWS * COLUMNS)
CORALS = ({"name": "red", "type": "polygon"}, {"name": "green", "type": "polygon"}, {"name": "blue", "type": "polygon"})


def photograph(seed: int = 0, form: str = "JPEG", *, size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """A picture of four quarters in their colours, a little different for each `seed`; with date and place."""
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    for index, colour in enumerate(QUARTERS):
        rows = slice(0, height // 2) if index < 2 else slice(height // 2, height)
        columns = slice(0, width // 2) if index in (0, 3) else slice(width // 2, width)
        pixels[rows, columns] = colour
    pixels[:, :: 8 + seed % 8] //= 2
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 1, "Camera"
    exif[0x8769] = {0x9003: DATE, 0x829D: 2.8}
    exif[0x8825] = {1: "S", 2: LATITUDE, 3: "E", 4: (115.0, 1.0, 2.0)}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, quality=95, exif=exif)
    return buffer.getvalue()


def photographs(count: int) -> Files:
    return [(f"quadrat_{10 - n}.jpg", photograph(n)) for n in range(count)]


def grid_points() -> tuple[float, ...]:
    """Row by row over the whole picture."""
    ys, xs = np.linspace(10, HEIGHT - 10, ROWS), np.linspace(10, WIDTH - 10, COLUMNS)
    return tuple(float(v) for y in ys for x in xs for v in (x, y))


@dataclass
class Source:
    """A task that another one is made of, in a project of its own, and the project that it is made in."""

    cvat: Cvat
    task: CvatTask
    labels: Mapping[str, int]
    target: int
    label: str
    name: str

    @property
    def id(self) -> int:
        return self.task.id

    def mark(self, frame: int, points: Sequence[float] = CORNERS, *, job: int | None = None, **more: Any) -> None:
        """Put the label on a frame. `more`: occluded or outside, as points' numbers from 1; drop: missing ones."""
        elements = [
            {
                "type": "points", "frame": frame, "label_id": self.labels[f"{self.label}/{n + 1}"], "attributes": [],
                "points": list(points[2 * n : 2 * n + 2]),
                "occluded": n + 1 in more.get("occluded", ()), "outside": n + 1 in more.get("outside", ()),
            }
            for n in range(len(points) // 2)
            if n + 1 not in more.get("drop", ())
        ]  # fmt: skip
        shape = {
            "type": "skeleton", "frame": frame, "label_id": self.labels[self.label], "attributes": [],
            "points": [], "elements": elements,
        }  # fmt: skip
        self.cvat.add_shapes(self.job_of(frame) if job is None else job, [shape])

    def mark_all(self, frames: int, points: Sequence[float] = CORNERS) -> None:
        for frame in range(frames):
            self.mark(frame, points)

    def job_of(self, frame: int) -> int:
        jobs = [self.cvat.job(job) for job in self.task.jobs]
        return int(next(job["id"] for job in jobs if job["start_frame"] <= frame <= job["stop_frame"]))

    def complete(self) -> None:
        """What annotators do: every job's state is completed, at the stage of annotation."""
        for job in self.task.jobs:
            self.cvat.set_job(job, state="completed")

    def made(self) -> list[Any]:
        """The tasks in the target project, oldest first."""
        return sorted(self.cvat.all("/api/tasks", project_id=self.target), key=lambda task: task["id"])

    def the_made(self) -> Any:
        """The only task in the target project."""
        (task,) = self.made()
        return task

    def names_made(self) -> list[str]:
        meta = self.cvat.get(f"/api/tasks/{self.the_made()['id']}/data/meta")
        return [frame["name"] for frame in meta["frames"]]

    def pictures_made(self) -> list[bytes]:
        task = self.the_made()["id"]
        query = {"type": "frame", "quality": "original"}
        found = []
        for number in range(len(self.names_made())):
            answer = self.cvat.http.get(f"/api/tasks/{task}/data", params={**query, "number": number})
            assert answer.is_success, answer.text
            found.append(answer.content)
        return found

    def wait_settled(self) -> None:
        """Until CVAT has the new task's jobs."""
        wait_for(lambda: self.cvat.all("/api/jobs", task_id=self.the_made()["id"]))


@contextmanager
def source(
    cvat: Cvat,
    files: Sequence[Named],
    *,
    label: Mapping[str, Any] = QUADRAT,
    target: Sequence[Mapping[str, Any]] = CORALS,
    name: str = "plot 12",
    **more: Any,
) -> Iterator[Source]:
    """`more`: for the task, such as segment_size and overlap."""
    project, goal = cvat.project([label]), cvat.project(target)
    try:
        task = cvat.task(project, list(files), name=name, **more)
        yield Source(cvat, task, cvat.labels(project), goal, label["name"], name)
    finally:
        cvat.remove_project(project)
        cvat.remove_project(goal)


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def quarters_of(content: bytes) -> list[int]:
    """Which colour of QUARTERS is seen in the upper left, upper right, lower right and lower left of a picture."""
    image = opened(content).convert("RGB")
    width, height = image.size
    places = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
    found = []
    for x, y in places:
        box = (int(width * x) - 6, int(height * y) - 6, int(width * x) + 6, int(height * y) + 6)
        mean = np.asarray(image.crop(box), np.float64).mean(axis=(0, 1))
        distances = [np.abs(mean / mean.max() - np.array(c) / max(c)).sum() for c in QUARTERS]
        found.append(int(np.argmin(distances)))
    return found
