"""From a job that is started in CVAT to the shapes in it: 8 images, the model asleep, through the demo's processes."""

from __future__ import annotations

import secrets
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.row import Row
from demo.reef import DEMO_SEEDS, render
from demo.show import stage
from demo.show.person import Person
from demo.show.pictures import jpeg_of
from demo.show.processes import Processes

SIDE = 1920
IMAGES = 8
ROUNDS = 3
ALLOWED_S = 30.0
FINISHED = {"completed", "completed_with_errors", "failed", "cancelled", "skipped"}


def run() -> list[Row]:
    images = {f"quadrat_{seed}.jpg": jpeg_of(render(seed, SIDE).image) for seed in list(DEMO_SEEDS)[:IMAGES]}
    samples: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="kelp-bench-") as name, Processes(Path(name)) as processes:
        loop = Loop(Path(name), processes)
        with Person(loop.addresses.cvat, stage.USER, stage.PASSWORD) as person:
            project = loop.prepare(person)
            samples += [loop.once(person, project, number, images) for number in range(ROUNDS)]
        left = processes.stop()
    if left:
        raise RuntimeError(f"still running: {left}")
    seconds = [sample["seconds"] for sample in samples]
    shapes = ", ".join(f"{sample['shapes']:.0f}" for sample in samples)
    return [
        Row(
            "bridge", f"state change → shapes in CVAT, {IMAGES} images of {SIDE}², the model asleep", max(seconds),
            ALLOWED_S, False, "s", seconds, kind="absolute",
            note=f"the slowest of {ROUNDS}, each with the model's process started for it; {shapes} shapes",
        )
    ]  # fmt: skip


class Loop:
    """CVAT's stand-in, the bridge and `kelp up` with the shipped card."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self._processes = processes
        self._secret = secrets.token_hex(16)
        cards, self.addresses = stage.set_up(folder, processes, self._secret)
        self._card = cards[stage.MODEL]

    def prepare(self, person: Person) -> int:
        """A project with the card's labels and a webhook; its id."""
        project = person.make_project("Reef survey", self._card)
        person.make_webhook(
            project, f"{self.addresses.bridge}/detect-model-webhook?model_name={stage.MODEL}", self._secret
        )
        return project

    def once(self, person: Person, project: int, number: int, images: dict[str, bytes]) -> dict[str, float]:
        """One job from its start to the end of its run."""
        task = person.make_task(project, f"Transect {number}", images)
        (job,) = person.jobs(task)
        self._processes.wait_until("the model is asleep", lambda: stage.model_state(self.addresses) == "asleep", 90)
        began = time.perf_counter()
        person.start_job(int(job["id"]))
        found: dict[str, Any] = {}

        def ended() -> bool:
            found.update(next(iter(stage.get_json(f"{self.addresses.bridge}/api/v1/runs?job={job['id']}")["runs"]), {}))
            return found.get("state") in FINISHED

        self._processes.wait_until("the run ends", ended, 180)
        shapes = len(person.shapes(int(job["id"])))
        seconds = time.perf_counter() - began
        done = found["frames"]["done"]
        if found["state"] != "completed" or done != len(images) or not shapes or shapes != found["shapes"]["written"]:
            raise RuntimeError(f"{shapes} shapes in CVAT, {done} frames, {found['state']}: {found.get('reason')}")
        return {"seconds": seconds, "shapes": float(shapes)}
