"""The whole loop for tests: CVAT, a fault proxy, the bridge, another proxy and a small model, as real processes.

One `Loop` is one database of the bridge. Its bridge may be killed and started again as often as a test likes, always
on the same port, as CVAT's webhooks know it.
"""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from tests.support.bridge import FINISHED, BridgeProcess
from tests.support.cvat import Cvat, CvatServer, CvatTask, polygon, wait_for
from tests.support.fault_proxy import FaultProxy
from tests.support.predictor import Predictor, free_port

MODEL = "numpy-reef"
LABELS = tuple({"name": name, "type": "polygon"} for name in ("red", "green", "blue"))
FRAMES = 6
IMAGES_A_REQUEST = 2
ADOPT_S = 3.0  # so long a bridge may be silent before another one takes over its runs
# Small portions: every request to the model becomes a chunk of its own, so that a short run has many boundaries.
PATIENCE = {"flush_s": 0.0, "pause_s": 0.2, "longest_pause_s": 1.0, "grace_s": 0.5, "cancel_s": 0.1}

Found = Counter[tuple[int, str, str, tuple[float, ...]]]
"""Shapes as (frame, label, type, points); the order means nothing."""


def reef(count: int = FRAMES) -> list[bytes]:
    """Pictures of 64 x 48 pixels in which the numpy model finds much, each time the same."""
    made = []
    for number in range(count):
        cells = np.random.default_rng(number).integers(0, 255, (4, 4, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(cells.repeat(12, axis=0).repeat(16, axis=1)).save(buffer, "PNG")
        made.append(buffer.getvalue())
    return made


@dataclass
class Job:
    """A job of CVAT that is to be annotated, and what a person drew in it."""

    cvat: Cvat
    task: CvatTask
    labels: Mapping[str, int]
    persons: list[Any] = field(default_factory=list)
    webhook: int = 0

    @property
    def id(self) -> int:
        return self.task.jobs[0]

    def draw(self, frame: int, offset: float = 0.0) -> None:
        """A person adds a shape."""
        shape = polygon(self.labels["red"], frame, offset, source="manual", attributes=[])
        self.cvat.add_shapes(self.id, [shape])
        known = {drawn["id"] for drawn in self.persons}
        new = [s for s in self.cvat.shapes(self.id) if s["source"] == "manual" and s["id"] not in known]
        self.persons = sorted([*self.persons, *new], key=lambda shape: shape["id"])

    def start(self) -> None:
        self.cvat.start(self.id)

    def told(self, count: int = 1) -> list[int]:
        """Statuses of the deliveries that told of a start, newest first, once there are `count` and all have one.

        The bridge's own writing is told as well, as a change of nothing but the date: that is not counted.
        """

        def read() -> list[int] | None:
            rows = [r for r in self.cvat.deliveries(self.webhook) if "state" in r["request"].get("before_update", {})]
            found = [row["status_code"] for row in rows]
            return found if len(found) >= count and all(found) else None

        statuses: list[int] = wait_for(read)
        return statuses

    def shapes(self) -> list[Any]:
        """What is there and no person drew."""
        drawn = {shape["id"] for shape in self.persons}
        return [shape for shape in self.cvat.shapes(self.id) if shape["id"] not in drawn]

    def found(self) -> Found:
        names = {id_: name for name, id_ in self.labels.items()}
        return Counter(
            (shape["frame"], names[shape["label_id"]], shape["type"], tuple(shape["points"])) for shape in self.shapes()
        )

    def persons_now(self) -> list[Any]:
        """The person's shapes as CVAT has them now."""
        drawn = {shape["id"] for shape in self.persons}
        return sorted((s for s in self.cvat.shapes(self.id) if s["id"] in drawn), key=lambda shape: shape["id"])


class Loop:
    """A context manager; `bridge` is the process that runs now."""

    def __init__(
        self,
        folder: Path,
        server: CvatServer,
        predictor_url: str,
        *,
        database: str = "",
        env: Mapping[str, str] | None = None,
        **steer: Any,
    ) -> None:
        """`database`: a URL instead of SQLite in `folder`; `env`, `steer`: for every bridge that is started."""
        self.folder = folder
        self.server = server
        self.cvat = Cvat(server)
        self.before_cvat = FaultProxy(server.url)
        self.before_model = FaultProxy(predictor_url)
        self.port = free_port()
        self._database = {"KELP_DATABASE_URL": database} if database else {}
        self._env = dict(env or {})
        self._steer = {"images_a_request": IMAGES_A_REQUEST, **steer}
        self._bridge: BridgeProcess | None = None
        self._others: list[BridgeProcess] = []

    def __enter__(self) -> Loop:
        self.before_cvat.__enter__()
        self.before_model.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bridge in [*self._others, *filter(None, [self._bridge])]:
            bridge.kill()
            bridge.http.close()
        self.before_cvat.__exit__(kind, error, trace)
        self.before_model.__exit__(kind, error, trace)
        self.cvat.close()

    # The bridge

    @property
    def bridge(self) -> BridgeProcess:
        assert self._bridge is not None, "no bridge runs"
        return self._bridge

    def start(
        self, *, env: Mapping[str, str] | None = None, keep_hold: bool = False, wait: bool = True, **steer: Any
    ) -> BridgeProcess:
        """Start the bridge (again); with `wait` it answers when this returns.

        `keep_hold`: a hold that was set before is for this one.
        """
        if not keep_hold:
            self.release()
        if self._bridge is not None:
            assert self._bridge.process.poll() is not None, "the bridge runs already"
            self._bridge.http.close()
        self._bridge = self._launch(self.port, self.folder, env or {}, steer, wait)
        return self._bridge

    def clear(self) -> None:
        """No faults and no hold from here on."""
        self.release()
        self.before_cvat.clear()
        self.before_model.clear()

    def make_ready(self) -> None:
        """No faults, no hold, and a bridge that runs."""
        self.clear()
        if self._bridge is None or self._bridge.process.poll() is not None:
            self.start()

    def start_another(self, *, env: Mapping[str, str] | None = None, **steer: Any) -> BridgeProcess:
        """Start one more bridge on the same database, on a port of its own; only `bridge` hears CVAT's webhooks."""
        other = self._launch(free_port(), self.folder / f"other-{len(self._others)}", env or {}, steer)
        self._others.append(other)
        return other

    def _launch(
        self, port: int, folder: Path, env: Mapping[str, str], steer: Mapping[str, Any], wait: bool = True
    ) -> BridgeProcess:
        folder.mkdir(parents=True, exist_ok=True)
        wishes: dict[str, Any] = {**self._steer, **steer, "hold": str(folder / "hold.json")}
        wishes["patience"] = {**PATIENCE, **wishes.get("patience", {})}
        settings = {
            "KELP_PORT": str(port),
            "KELP_PUBLIC_URL": f"http://{self.server.bridge_host}:{port}",
            "KELP_ADOPT_SECONDS": str(ADOPT_S),
            "KELP_RECONCILE_SECONDS": "5" if self.server.real else "1",
            "KELP_STEER": json.dumps(wishes),
            **self._database,
            **self._env,
            **env,
        }
        return BridgeProcess(
            folder,
            cvat=self.server,
            cvat_url=self.before_cvat.url,
            v2_url=self.before_model.url,
            env=settings,
            module="tests.support.steered_bridge",
            wait=wait,
        )

    def kill(self) -> None:
        """SIGKILL to the bridge's whole process group."""
        self.bridge.kill()

    def hold(self, at: str, nth: int = 1, **fields: Any) -> None:
        """Have the bridge stop dead at its `nth` passing of a boundary from now on."""
        draft = self.folder / "hold.draft"
        draft.write_text(json.dumps({"at": at, "nth": nth, "fields": fields, "made": time.monotonic()}))
        draft.rename(self.folder / "hold.json")

    def wait_held(self) -> None:
        made = json.loads((self.folder / "hold.json").read_text())
        self.bridge.wait_log("held", at=made["at"], **made["fields"])

    def release(self) -> None:
        (self.folder / "hold.json").unlink(missing_ok=True)

    # Jobs

    @contextmanager
    def job(self, *, frames: int = FRAMES, query: str = "", webhook: bool = True, drawn: bool = True) -> Iterator[Job]:
        """A new job with a webhook for it (`query`: its parameters beyond the model), where a person drew one shape."""
        project = self.cvat.project(LABELS)
        try:
            task = self.cvat.task(project, reef(frames))
            job = Job(self.cvat, task, self.cvat.labels(project))
            if drawn:
                job.draw(0)
            if webhook:
                job.webhook = self.hook(project, query)
            yield job
        finally:
            self.cvat.remove_project(project)

    def hook(self, project: int, query: str = "", **more: Any) -> int:
        target = f"http://{self.server.bridge_host}:{self.port}/detect-model-webhook?model_name={MODEL}"
        return self.cvat.webhook(project, f"{target}&{query}" if query else target, ["update:job"], **more)

    def ask(self, job: Job, *, again: bool = False, **parameters: Any) -> str:
        """Start a run by hand; its id."""
        body = {"job": job.id, "model": MODEL, "parameters": parameters, "again": again}
        answer = self.bridge.post("/api/v1/runs", body)
        assert answer.is_success, answer.text
        run_id: str = answer.json()["runs"][0]
        return run_id

    def wait_run(
        self, job: Job, state: str = "completed", *, count: int = 1, bridge: BridgeProcess | None = None
    ) -> Any:
        """The newest run of `job`, once there are `count` of them and all are finished; its state must be `state`."""
        bridge = bridge or self.bridge

        def read() -> Any:
            runs = bridge.runs(job=job.id)
            return len(runs) >= count and all(run["state"] in FINISHED for run in runs) and runs

        try:
            runs = wait_for(read)
        except TimeoutError:
            raise AssertionError(f"{bridge.runs(job=job.id)}\n{bridge.tail()}") from None
        assert len(runs) == count, runs
        assert runs[0]["state"] == state, f"{runs[0]}\n{bridge.tail()}"
        return runs[0]

    def annotate(self, job: Job, **parameters: Any) -> Any:
        """A run by hand that nobody disturbs, once it is completed."""
        run = self.bridge.wait_run(self.ask(job, again=True, **parameters))
        assert run["state"] == "completed", f"{run}\n{self.bridge.tail()}"
        return run

    # Judging

    def check(self, job: Job, expected: Found) -> None:
        """What CVAT holds is `expected`, once each; what a person drew is as it was."""
        found = job.found()
        assert found == expected, f"missing: {expected - found}\nsurplus: {found - expected}\n{self.bridge.tail(80)}"
        assert job.persons_now() == job.persons

    def check_ownership(self, job: Job, expected: Found) -> None:
        """The bridge knows each of its shapes: another run keeps them all, one that finds nothing removes them all."""
        before = {shape["id"] for shape in job.shapes()}
        self.annotate(job)
        self.check(job, expected)
        assert {shape["id"] for shape in job.shapes()} == before
        self.annotate(job, conf_threshold=1.0)
        self.check(job, Counter())

    def check_calm(self) -> None:
        """The bridge that runs now has met no fault of its own."""
        worst = [line for line in self.bridge.log() if line.get("level") == "error"]
        assert not worst, worst


def images_asked(predictor: Predictor) -> int:
    """How many images have gone through the model so far."""
    return round(predictor.metric("kelp_batch_size_sum"))


def passed_by(bridge: BridgeProcess, run_id: str) -> list[dict[str, Any]]:
    """The boundaries that a run has passed in this process, in order."""
    return [line for line in bridge.log() if line.get("event") == "boundary" and line["run"] == run_id]
