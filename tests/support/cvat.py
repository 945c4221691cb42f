"""A CVAT for tests: the stand-in as a process, or a real server named by the environment.

`KELP_TEST_CVAT_URL`, `KELP_TEST_CVAT_USER`, `KELP_TEST_CVAT_PASSWORD` name a real one, `KELP_TEST_BRIDGE_HOST` the
address under which that server reaches this machine (127.0.0.1 where nothing is said). Every test then runs against it,
so tests make what they need through `Cvat` and leave nothing behind.

A test module or a conftest takes the fixtures with `from tests.support.cvat import cvat, cvat_server  # noqa: F401`.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from PIL import Image

USER, PASSWORD = "kelp", "kelp-password-1"
DEADLINE_S = 60.0
SECRET = "webhook-secret-for-tests"
POLYGONS = ({"name": "Acropora", "type": "polygon"}, {"name": "Porites", "type": "polygon"})
BRIDGE_EVENTS = ("create:job", "create:task", "update:job", "update:task")
Named = tuple[str, bytes]


@dataclass(frozen=True)
class CvatServer:
    """Where a CVAT is and who may do everything there."""

    url: str
    user: str = USER
    password: str = PASSWORD
    bridge_host: str = "127.0.0.1"
    """The address of this machine as that server sees it."""
    real: bool = False

    @property
    def bind_host(self) -> str:
        """What a receiver of webhooks must listen on to be reached."""
        return "127.0.0.1" if self.bridge_host in ("127.0.0.1", "localhost") else "0.0.0.0"


@dataclass(frozen=True)
class CvatTask:
    """A task with its data in place; `jobs` in order of their frames."""

    id: int
    jobs: tuple[int, ...]
    project: int


@dataclass
class Cvat:
    """The API as tests use it; everything made through it is removed by `close`."""

    server: CvatServer
    _projects: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.http = httpx.Client(
            base_url=self.server.url,
            auth=(self.server.user, self.server.password),
            headers={"Accept": "application/vnd.cvat+json"},
            timeout=DEADLINE_S,
            trust_env=False,
        )

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def user(self) -> str:
        return self.server.user

    @property
    def password(self) -> str:
        return self.server.password

    @property
    def bridge_host(self) -> str:
        return self.server.bridge_host

    def call(self, method: str, path: str, **more: Any) -> Any:
        """The JSON of a successful answer (None for an empty one); an AssertionError with the body otherwise."""
        response = self.http.request(method, path, **more)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text[:2000]}"
        return response.json() if response.content else None

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, params=query)

    def all(self, path: str, **query: Any) -> list[Any]:
        """Every row of a list, over all its pages."""
        rows: list[Any] = []
        page: dict[str, Any] = {"next": True}
        while page["next"]:
            page = self.get(path, **query, page_size=100, page=len(rows) // 100 + 1)
            rows += page["results"]
        return rows

    def project(self, labels: Sequence[Mapping[str, Any]] = POLYGONS, name: str = "", **more: Any) -> int:
        """A new project; labels without `attributes` get none."""
        specs = [{"attributes": [], **label} for label in labels]
        name = name or f"kelp-test-{uuid.uuid4().hex[:12]}"
        project: int = self.call("POST", "/api/projects", json={"name": name, "labels": specs, **more})["id"]
        self._projects.append(project)
        return project

    def labels(self, project: int) -> dict[str, int]:
        """Ids by name; of a skeleton's parts by "skeleton/part"."""
        found = {}
        for label in self.all("/api/labels", project_id=project):
            found[label["name"]] = label["id"]
            found |= {f"{label['name']}/{part['name']}": part["id"] for part in label["sublabels"]}
        return found

    def empty_task(self, project: int, name: str = "", segment_size: int = 0, **more: Any) -> int:
        """A task without data."""
        fields = {"name": name or "task", "project_id": project, "segment_size": segment_size, **more}
        task: int = self.call("POST", "/api/tasks", json=fields)["id"]
        return task

    def upload(self, task: int, files: Iterable[Named], **finish: Any) -> None:
        """Send `files` in their order and wait for the jobs; `finish` goes into Upload-Finish."""
        files = list(files)
        path = f"/api/tasks/{task}/data/"
        self.call("POST", path, headers={"Upload-Start": ""})
        parts = [(f"client_files[{index}]", (name, content)) for index, (name, content) in enumerate(files)]
        self.call("POST", path, headers={"Upload-Multiple": ""}, data={"image_quality": "70"}, files=parts)
        fields = {
            "image_quality": 70,
            "sorting_method": "predefined",
            "upload_file_order": [name for name, _ in files],
            **finish,
        }
        request = self.call("POST", path, headers={"Upload-Finish": ""}, json=fields)["rq_id"]
        self.wait_import(request)

    def wait_import(self, request: str) -> None:
        for state in poll(lambda: self.get(f"/api/requests/{request}"), pause_s=0.02):
            assert state["status"] != "failed", state["message"]
            if state["status"] == "finished":
                return

    def task(
        self,
        project: int,
        images: Sequence[bytes | Named],
        *,
        segment_size: int = 0,
        name: str = "",
        finish: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> CvatTask:
        """A task of `images` (bare ones are named 000.jpg…), `segment_size` frames a job (0: one job)."""
        files = [
            image if isinstance(image, tuple) else (f"{index:03d}{_suffix(image)}", image)
            for index, image in enumerate(images)
        ]
        task = self.empty_task(project, name, segment_size, **more)
        self.upload(task, files, **(finish or {}))
        jobs = self.all("/api/jobs", task_id=task, type="annotation")
        order = sorted(jobs, key=lambda job: (job["start_frame"], job["id"]))
        return CvatTask(task, tuple(job["id"] for job in order), project)

    def webhook(
        self, project: int, url: str, events: Sequence[str] = BRIDGE_EVENTS, secret: str | None = SECRET, **more: Any
    ) -> int:
        """An active webhook of `project`; `url` as the server reaches it (`bridge_host`)."""
        fields = {
            "target_url": url,
            "description": "kelp test",
            "type": "project",
            "content_type": "application/json",
            "enable_ssl": False,
            "is_active": True,
            "events": list(events),
            "project_id": project,
            **({"secret": secret} if secret else {}),
            **more,
        }
        webhook: int = self.call("POST", "/api/webhooks", json=fields)["id"]
        return webhook

    def deliveries(self, webhook: int) -> list[Any]:
        """Newest first."""
        return self.all(f"/api/webhooks/{webhook}/deliveries")

    def job(self, job: int) -> Any:
        return self.get(f"/api/jobs/{job}")

    def set_job(self, job: int, **fields: Any) -> Any:
        """PATCH `state`, `stage` or `assignee`."""
        return self.call("PATCH", f"/api/jobs/{job}", json=fields)

    def start(self, job: int) -> Any:
        """What the first save in CVAT's UI does: the job is in progress."""
        return self.set_job(job, state="in progress")

    def complete(self, task: CvatTask) -> None:
        """Accept every job, so that the task's status is completed."""
        for job in task.jobs:
            self.set_job(job, stage="acceptance", state="completed")

    def annotations(self, job: int) -> Any:
        return self.get(f"/api/jobs/{job}/annotations")

    def shapes(self, job: int) -> list[Any]:
        shapes: list[Any] = self.annotations(job)["shapes"]
        return shapes

    def add_shapes(self, job: int, shapes: Sequence[Mapping[str, Any]]) -> Any:
        return self.patch_annotations(job, "create", shapes=list(shapes))

    def patch_annotations(self, job: int, action: str, **kinds: Any) -> Any:
        return self.call("PATCH", f"/api/jobs/{job}/annotations", params={"action": action}, json=kinds)

    def delete_frames(self, job: int, frames: Sequence[int]) -> Any:
        return self.call("PATCH", f"/api/jobs/{job}/data/meta", json={"deleted_frames": list(frames)})

    def frame(self, job: int, number: int, quality: str = "original") -> bytes:
        query = {"type": "frame", "number": number, "quality": quality}
        response = self.http.get(f"/api/jobs/{job}/data", params=query)
        assert response.is_success, response.text
        return response.content

    def remove_project(self, project: int) -> None:
        self.http.delete(f"/api/projects/{project}")
        self._projects.remove(project)

    def adopt(self, project: int) -> None:
        """Have a project that was made otherwise removed at the end."""
        self._projects.append(project)

    def close(self) -> None:
        for project in list(self._projects):
            self.remove_project(project)
        self.http.close()


def poll(read: Any, *, pause_s: float = 0.05, deadline_s: float = DEADLINE_S) -> Iterator[Any]:
    """What `read` returns, again and again; a TimeoutError once the deadline has passed."""
    end = time.monotonic() + deadline_s
    while True:
        yield read()
        if time.monotonic() > end:
            raise TimeoutError(f"still waiting after {deadline_s} s")
        time.sleep(pause_s)


def wait_for(read: Any, *, pause_s: float = 0.05, deadline_s: float = DEADLINE_S) -> Any:
    """The first true value of `read`."""
    return next(value for value in poll(read, pause_s=pause_s, deadline_s=deadline_s) if value)


def picture(
    width: int = 64, height: int = 48, color: tuple[int, int, int] = (30, 90, 120), form: str = "JPEG"
) -> bytes:
    """An encoded picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), color).save(buffer, form)
    return buffer.getvalue()


def pictures(count: int, width: int = 64, height: int = 48) -> list[bytes]:
    """Pictures that all differ."""
    return [picture(width, height, (10 + 5 * index % 240, 90, 40 + index % 200)) for index in range(count)]


def polygon(label: int, frame: int = 0, offset: float = 0.0, **more: Any) -> dict[str, Any]:
    """A small triangle as the annotations API takes it."""
    points = [offset, offset, offset + 20.0, offset, offset + 20.0, offset + 15.0]
    return {"type": "polygon", "frame": frame, "label_id": label, "points": points, **more}


def _suffix(image: bytes) -> str:
    with Image.open(io.BytesIO(image)) as opened:
        return {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}[opened.format or ""]


@contextmanager
def stand_in_process(*arguments: str) -> Iterator[CvatServer]:
    """The stand-in as a process of its own with these command line arguments, while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "demo.cvat", "--port", "0", "--anonymous-per-minute", "0", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"the stand-in ended with {process.wait()}"
        yield CvatServer(json.loads(line)["url"])
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def real_server() -> CvatServer | None:
    """The server that the environment names."""
    url = os.environ.get("KELP_TEST_CVAT_URL")
    if not url:
        return None
    return CvatServer(
        url.rstrip("/"),
        os.environ.get("KELP_TEST_CVAT_USER", USER),
        os.environ.get("KELP_TEST_CVAT_PASSWORD", PASSWORD),
        os.environ.get("KELP_TEST_BRIDGE_HOST", "127.0.0.1"),
        real=True,
    )


@pytest.fixture(scope="session")
def cvat_server() -> Iterator[CvatServer]:
    """One CVAT for all tests of the session."""
    if server := real_server():
        yield server
        return
    with stand_in_process() as server:
        yield server


@pytest.fixture
def cvat(cvat_server: CvatServer) -> Iterator[Cvat]:
    """A client of it that removes the test's projects at the end."""
    client = Cvat(cvat_server)
    yield client
    client.close()
