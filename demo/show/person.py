"""What a person does in CVAT: makes projects, webhooks and tasks, accepts jobs, looks at what is there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import httpx

from kelp.card import Card

# What the label editor of CVAT asks for; anything else of a label stays with the card.
_LABEL_FIELDS = {"name", "type", "color", "attributes", "sublabels", "svg"}
READY_S = 60.0


class Person:
    """A user of the CVAT at `url`, with Basic authentication. HTTP errors are httpx's own."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._http = httpx.Client(
            base_url=url, auth=(user, password), timeout=60, headers={"Accept": "application/vnd.cvat+json"}
        )

    def __enter__(self) -> Person:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def make_project(self, name: str, card: Card) -> int:
        """A project with the card's labels; its id."""
        labels = [
            {k: v for k, v in label.model_dump(mode="json", exclude_none=True).items() if k in _LABEL_FIELDS and v}
            for label in card.labels
        ]
        return int(self._post("/api/projects", {"name": name, "labels": labels})["id"])

    def make_webhook(self, project: int, target: str, secret: str) -> int:
        """A webhook of the project for job updates; its id."""
        body = {
            "target_url": target,
            "description": "Kelp",
            "type": "project",
            "content_type": "application/json",
            "secret": secret,
            "is_active": True,
            "enable_ssl": False,
            "project_id": project,
            "events": ["update:job"],
        }
        return int(self._post("/api/webhooks", body)["id"])

    def make_task(self, project: int, name: str, images: Mapping[str, bytes]) -> int:
        """A task with `images` (file name → JPEG) in their order, once CVAT has made its job; the task's id."""
        task = int(self._post("/api/tasks", {"name": name, "project_id": project})["id"])
        data = f"/api/tasks/{task}/data/"
        self._check(self._http.post(data, headers={"Upload-Start": ""}))
        files = [(f"client_files[{i}]", (file, image, "image/jpeg")) for i, (file, image) in enumerate(images.items())]
        fields = {"image_quality": "70"}
        self._check(self._http.post(data, headers={"Upload-Multiple": ""}, data=fields, files=files))
        finish = {"image_quality": 70, "sorting_method": "predefined", "upload_file_order": list(images)}
        answer = self._check(self._http.post(data, headers={"Upload-Finish": ""}, json=finish)).json()
        self._wait_for(str(answer["rq_id"]))
        return task

    def jobs(self, task: int) -> list[dict[str, Any]]:
        """The task's annotation jobs, first frames first."""
        query = f"/api/jobs?task_id={task}&type=annotation&page_size=100"
        found = self._check(self._http.get(query)).json()["results"]
        return sorted(found, key=lambda job: int(job["start_frame"]))

    def start_job(self, job: int) -> None:
        """What the first save in CVAT's editor does: the job goes from new to in progress."""
        self._check(self._http.patch(f"/api/jobs/{job}", json={"state": "in progress"}))

    def accept_job(self, job: int) -> None:
        """What a reviewer does who finds nothing to mend: completed, at stage acceptance."""
        self._check(self._http.patch(f"/api/jobs/{job}", json={"stage": "acceptance", "state": "completed"}))

    def projects(self) -> dict[str, int]:
        """Name → id of all projects."""
        found = self._check(self._http.get("/api/projects?page_size=100")).json()["results"]
        return {str(project["name"]): int(project["id"]) for project in found}

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """The project's tasks that have frames, oldest first."""
        found = self._check(self._http.get(f"/api/tasks?project_id={project}&page_size=100")).json()["results"]
        return sorted((task for task in found if task.get("size")), key=lambda task: int(task["id"]))

    def picture(self, task: int, frame: int) -> bytes:
        """A frame of a task, as it was uploaded."""
        query: dict[str, str | int] = {"type": "frame", "number": frame, "quality": "original"}
        return self._check(self._http.get(f"/api/tasks/{task}/data", params=query)).content

    def shapes(self, job: int) -> Sequence[dict[str, Any]]:
        """The shapes that the job holds."""
        found: list[dict[str, Any]] = self._check(self._http.get(f"/api/jobs/{job}/annotations")).json()["shapes"]
        return found

    def label_names(self, project: int) -> dict[int, str]:
        """Label id → name, those of a skeleton's points too."""
        query = {"project_id": project, "page_size": 500}
        results = self._check(self._http.get("/api/labels", params=query)).json()["results"]
        every = [part for label in results for part in (label, *(label.get("sublabels") or ()))]
        return {int(label["id"]): str(label["name"]) for label in every}

    def _wait_for(self, request: str) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            state = self._check(self._http.get(f"/api/requests/{request}")).json()
            if state["status"] == "finished":
                return
            if state["status"] == "failed":
                raise RuntimeError(f"CVAT could not make the task: {state['message']}")
            time.sleep(0.1)
        raise RuntimeError(f"CVAT has not made the task within {READY_S:.0f} s")

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._check(self._http.post(path, json=body)).json()
        return answer

    @staticmethod
    def _check(response: httpx.Response) -> httpx.Response:
        if response.is_error:
            raise RuntimeError(
                f"CVAT answered {response.status_code} to {response.request.method} {response.url.path}: "
                f"{response.text[:300]}"
            )
        return response
