"""From a job that is started in CVAT to the shapes in it: 8 images, the model asleep, through the demo's processes."""

from __future__ import annotations

import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import httpx
import yaml

from benchmarks.row import Row
from demo.reef import DEMO_SEEDS, render
from demo.show.person import Person
from demo.show.processes import Processes, answers, free_ports
from kelp.card import Card, load_card

ROOT = Path(__file__).parents[1]
CARDS = ROOT / "environments" / "models"
MODEL = "pth-yolo-coralsegv4"
USER, PASSWORD = "kelp", "kelp-bench-password"
SIDE = 1920
IMAGES = 8
ROUNDS = 3
RETENTION_S = 3
ALLOWED_S = 30.0
FINISHED = {"completed", "completed_with_errors", "failed", "cancelled", "skipped"}
HERE = "http://127.0.0.1"


def run() -> list[Row]:
    images = {f"quadrat_{seed}.jpg": _photograph(seed) for seed in list(DEMO_SEEDS)[:IMAGES]}
    samples: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="kelp-bench-") as name, Processes(Path(name)) as processes:
        loop = Loop(Path(name), processes)
        with Person(loop.cvat, USER, PASSWORD) as person:
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
        self._folder = folder
        self._processes = processes
        self._card = self._shipped_card()
        self._secret = secrets.token_hex(16)
        cvat, bridge, health, v2, grpc = free_ports(5)
        self.cvat, self._bridge, self._health = f"{HERE}:{cvat}", f"{HERE}:{bridge}", f"{HERE}:{health}"
        self._v2 = f"{HERE}:{v2}"
        self._start(cvat, bridge, health, v2, grpc)

    def prepare(self, person: Person) -> int:
        """A project with the card's labels and a webhook; its id."""
        project = person.make_project("Reef survey", self._card)
        person.make_webhook(project, f"{self._bridge}/detect-model-webhook?model_name={MODEL}", self._secret)
        return project

    def once(self, person: Person, project: int, number: int, images: dict[str, bytes]) -> dict[str, float]:
        """One job from its start to the end of its run."""
        task = person.make_task(project, f"Transect {number}", images)
        (job,) = person.jobs(task)
        self._processes.wait_until("the model is asleep", lambda: self._state() == "asleep", 90)
        began = time.perf_counter()
        person.start_job(int(job["id"]))
        found: dict[str, Any] = {}

        def ended() -> bool:
            found.update(next(iter(_get(f"{self._bridge}/api/v1/runs?job={job['id']}")["runs"]), {}))
            return found.get("state") in FINISHED

        self._processes.wait_until("the run ends", ended, 180)
        shapes = len(person.shapes(int(job["id"])))
        seconds = time.perf_counter() - began
        done = found["frames"]["done"]
        if found["state"] != "completed" or done != len(images) or not shapes or shapes != found["shapes"]["written"]:
            raise RuntimeError(f"{shapes} shapes in CVAT, {done} frames, {found['state']}: {found.get('reason')}")
        return {"seconds": seconds, "shapes": float(shapes)}

    def _start(self, cvat: int, bridge: int, health: int, v2: int, grpc: int) -> None:
        stand_in = [sys.executable, "-m", "demo.cvat", "--port", str(cvat), "--user", f"{USER}:{PASSWORD}"]
        up = {
            "KELP_MODELS": str(self._folder / "models"), "KELP_CACHE": str(self._folder / "cache"),
            "KELP_V2_PORT": str(v2), "KELP_V2_GRPC_PORT": str(grpc), "KELP_V2_URL": self._v2,
            "KELP_PORT": str(bridge), "KELP_METRICS_PORT": str(health), "KELP_PUBLIC_URL": self._bridge,
            "KELP_CVAT_URL": self.cvat, "KELP_CVAT_USER": USER, "KELP_CVAT_PASSWORD": PASSWORD,
            "KELP_WEBHOOK_SECRETS": self._secret, "KELP_DATABASE_URL": f"sqlite:///{self._folder / 'bridge.sqlite'}",
        }  # fmt: skip
        self._processes.start("cvat", stand_in, {"PYTHONPATH": str(ROOT)})
        self._processes.start("kelp-up", [sys.executable, "-m", "kelp.cli", "up"], up)
        self._processes.wait_until("CVAT answers", lambda: answers(f"{self.cvat}/api/server/about"))
        self._processes.wait_until("the bridge is ready", lambda: answers(f"{self._health}/health/ready"))
        self._processes.wait_until("kelp up answers", lambda: answers(f"{self._v2}/v2/health/live"))

    def _shipped_card(self) -> Card:
        """The shipped card, which lets its model sleep soon."""
        models = self._folder / "models"
        models.mkdir()
        data = yaml.safe_load((CARDS / f"{MODEL}.yaml").read_text(encoding="utf-8"))
        data["weights"]["uri"] = str((CARDS / data["weights"]["uri"]).resolve())
        data["scale"] = {**data.get("scale", {}), "retention": RETENTION_S}
        path = models / f"{MODEL}.yaml"
        path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
        return load_card(path)

    def _state(self) -> str:
        return str(_get(f"{self._v2}/v2/models/{MODEL}")["parameters"]["card"]["state"])


def _photograph(seed: int) -> bytes:
    done, data = cv2.imencode(".jpg", render(seed, SIDE).image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not done:
        raise RuntimeError("the photograph could not be encoded")
    return data.tobytes()


def _get(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(url, timeout=10).raise_for_status().json()
    return answer
