"""The chain of three projects, as it is seen in CVAT: what each stage left there, and how well it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from demo.reef import GRID_SHAPE, Scene
from demo.show.person import Person
from demo.show.pictures import Colors, draw_points, draw_shapes, draw_truth, save_jpeg
from demo.show.runs import Run, Runs, seconds_of
from demo.show.score import PointScore, RemovalScore, score_areas, score_points, score_removal
from demo.show.truth import Truth, corners_of, cropped
from predictors.lama.mask import grid_mask

CORNERS, GRID, REMOVAL = "pth-yolo-gridcorners", "pth-yolo-gridpose", "pth-lama"
# Wider than the strings themselves, for the shadows that they throw.
LINE_WIDTH = 10.0
PICTURE_WIDTH = 900
FOUND_COLOR, TRUE_COLOR = (255, 210, 40), (60, 235, 255)
RUN_S = 300.0
FLOOR_IOU = 0.6


@dataclass
class Quadrat:
    """One photograph on its way; `pictures`: stage → what CVAT holds and what is true, as file names."""

    stem: str
    scene: Scene
    pictures: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """What one stage did. `error` in words, `good` whether it is within `floor`; seconds from webhook to end."""

    name: str
    model: str
    error: str
    floor: str
    good: bool
    seconds: float


@dataclass
class Chain:
    """A person's task on its way through the projects `names` (first, second, third)."""

    person: Person
    runs: Runs
    projects: tuple[int, int, int]
    quadrats: Sequence[Quadrat]
    out: Path
    console: Console
    stages: list[Stage] = field(default_factory=list)

    def corners(self, task: int) -> list[NDArray[np.float64]]:
        """The first project: each quadrat's corners."""
        run = self._detected(task, CORNERS)
        found = self._points(task, self.projects[0], 4)
        scores = []
        for quadrat, points in zip(self.quadrats, found, strict=True):
            true = corners_of(quadrat.scene)
            scores.append(score_points(points, true))
            image = quadrat.scene.image
            self._keep(
                quadrat, "corners", draw_points(image, points, None, FOUND_COLOR),
                draw_points(image, true, None, TRUE_COLOR),
            )  # fmt: skip
        self._point_stage("corners", CORNERS, scores, run, floor_px=8.0)
        return found

    def crop(self, task: int, corners: Sequence[NDArray[np.float64]]) -> tuple[int, list[Truth]]:
        """Accepted as they are, they become squares in the second project: the new task, and what is true of it."""
        new, run = self._next_task("crop", task, self.projects[1])
        self._add(Stage("crop", "–", "", "", True, seconds_of(run)))
        side = self._picture(new, 0).shape[0]
        return new, [
            cropped(quadrat.scene, points, side) for quadrat, points in zip(self.quadrats, corners, strict=True)
        ]

    def grid(self, task: int, truths: Sequence[Truth]) -> list[NDArray[np.float64]]:
        """The second project: each square's grid points."""
        run = self._detected(task, GRID)
        found = self._points(task, self.projects[1], len(truths[0].grid))
        scores = []
        for frame, (quadrat, points, truth) in enumerate(zip(self.quadrats, found, truths, strict=True)):
            scores.append(score_points(points, truth.grid))
            square = self._picture(task, frame)
            self._keep(
                quadrat, "grid", draw_points(square, points, GRID_SHAPE, FOUND_COLOR),
                draw_points(square, truth.grid, GRID_SHAPE, TRUE_COLOR),
            )  # fmt: skip
        self._point_stage("grid points", GRID, scores, run, floor_px=6.0)
        return found

    def removal(self, task: int, truths: Sequence[Truth], grids: Sequence[NDArray[np.float64]]) -> int:
        """Accepted as well, the squares lose their grid and come into the third project: the new task."""
        new, run = self._next_task("remove-grid", task, self.projects[2], REMOVAL)
        scores: list[RemovalScore] = []
        for frame, (quadrat, truth, points) in enumerate(zip(self.quadrats, truths, grids, strict=True)):
            cleaned = self._picture(new, frame)
            mask = grid_mask(points.astype(np.float32), GRID_SHAPE, LINE_WIDTH, cleaned.shape[:2])
            scores.append(score_removal(cleaned, mask, truth))
            self._keep(quadrat, "without grid", cleaned, truth.bare)
        gain = float(np.mean([score.psnr_db - score.inpaint_db for score in scores]))
        level = float(np.mean([score.psnr_db for score in scores]))
        words = f"{level:.1f} dB, {gain:+.1f} on cv2.inpaint"
        self._add(Stage("remove grid", REMOVAL, words, "-0.5 dB", gain >= -0.5, seconds_of(run)))
        return new

    def corals(self, task: int, truths: Sequence[Truth], model: str, colors: Colors, floor: float) -> None:
        """The third project: the corals of each square."""
        run = self._detected(task, model)
        (job,) = self.person.jobs(task)
        shapes = self.person.shapes(int(job["id"]))
        names = self.person.label_names(self.projects[2])
        scores = []
        for frame, (quadrat, truth) in enumerate(zip(self.quadrats, truths, strict=True)):
            mine = [shape for shape in shapes if shape["frame"] == frame]
            scores.append(score_areas(mine, names, truth))
            square = self._picture(task, frame)
            self._keep(
                quadrat, "corals", draw_shapes(square, mine, names, colors), draw_truth(square, truth.colonies, colors)
            )
        f1, iou = (float(np.mean([getattr(score, what) for score in scores])) for what in ("f1", "iou"))
        error = f"F1 {f1:.2f}, IoU {iou:.2f}"
        good = f1 >= floor and iou >= FLOOR_IOU
        if (sent := run["shapes"]["written"]) != len(shapes):
            error, good = f"{sent} shapes were sent, CVAT holds {len(shapes)}", False
        self._add(Stage("corals", model, error, f"F1 {floor:g}, IoU {FLOOR_IOU:g}", good, seconds_of(run)))

    def _detected(self, task: int, model: str) -> Run:
        run = self.runs.completed("detect", task=task, model=model, seconds=RUN_S)
        if (done := run["frames"]["done"]) != len(self.quadrats):
            raise RuntimeError(f"{model}: {done} of {len(self.quadrats)} frames were answered")
        return run

    def _next_task(self, kind: str, task: int, project: int, model: str = "") -> tuple[int, Run]:
        """Accepts every job; the new task of the next project, and the run that made it."""
        for job in self.person.jobs(task):
            self.person.accept_job(int(job["id"]))
        run = self.runs.completed(kind, task=task, model=model, seconds=RUN_S)
        tasks = self.person.tasks(project)
        if len(tasks) != 1 or int(tasks[0]["size"]) != len(self.quadrats):
            held = ", ".join(f"{made['name']} with {made['size']} frames" for made in tasks) or "none"
            raise RuntimeError(f"{kind}: expected one task with {len(self.quadrats)} frames, CVAT holds {held}")
        return int(tasks[0]["id"]), run

    def _points(self, task: int, project: int, count: int) -> list[NDArray[np.float64]]:
        """Of each frame the points of its skeleton, float64 [count, 2], in the order of their names."""
        (job,) = self.person.jobs(task)
        names = self.person.label_names(project)
        by_frame: dict[int, list[Mapping[str, Any]]] = {}
        for shape in self.person.shapes(int(job["id"])):
            if shape["type"] == "skeleton":
                by_frame.setdefault(int(shape["frame"]), []).append(shape)
        found = []
        for frame, quadrat in enumerate(self.quadrats):
            skeletons = by_frame.get(frame, [])
            if len(skeletons) != 1:
                raise RuntimeError(f"{quadrat.stem}: expected one skeleton of {count} points, found {len(skeletons)}")
            points = sorted(skeletons[0]["elements"], key=lambda point: int(names[point["label_id"]]))
            found.append(np.array([point["points"] for point in points], np.float64))
        return found

    def _point_stage(self, name: str, model: str, scores: Sequence[PointScore], run: Run, *, floor_px: float) -> None:
        error = float(np.median([score.error_px for score in scores]))
        placed = float(np.mean([score.placed for score in scores]))
        good = error <= floor_px and placed >= 0.95
        words = f"{error:.1f} px, {placed:.0%} in place"
        self._add(Stage(name, model, words, f"{floor_px:g} px, 95%", good, seconds_of(run)))

    def _add(self, stage: Stage) -> None:
        self.stages.append(stage)
        self.console.print(f"[green]✓[/] {stage.name}: {stage.seconds:.1f} s {stage.error}")

    def _picture(self, task: int, frame: int) -> NDArray[np.uint8]:
        data = np.frombuffer(self.person.picture(task, frame), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if image is None:
            raise RuntimeError(f"frame {frame} of task {task} cannot be decoded")
        return np.ascontiguousarray(image[:, :, ::-1]).astype(np.uint8)

    def _keep(self, quadrat: Quadrat, stage: str, found: NDArray[np.uint8], true: NDArray[np.uint8]) -> None:
        files = tuple(f"{quadrat.stem}_{stage.replace(' ', '_')}_{which}.jpg" for which in ("found", "true"))
        for file, image in zip(files, (found, true), strict=True):
            save_jpeg(self.out / file, image, width=PICTURE_WIDTH)
        quadrat.pictures[stage] = (files[0], files[1])
