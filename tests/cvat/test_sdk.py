"""CVAT's own Python client, call by call as recorded: what worked works, what failed fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cvat_sdk import make_client
from cvat_sdk.core.client import AccessTokenCredentials, Client, Config
from cvat_sdk.core.proxies.jobs import Job
from cvat_sdk.core.proxies.tasks import ResourceType, Task

from tests.cvat.left_out import PARTS
from tests.support.cvat import Cvat, CvatServer, pictures, polygon
from tests.support.receiver import Receiver

RECORDINGS = Path(__file__).parents[1] / "recordings"
NAMES = ("b.jpg", "a.jpg", "c.jpg")


@pytest.fixture
def client(cvat_server: CvatServer) -> Iterator[Client]:
    with make_client(cvat_server.url, credentials=(cvat_server.user, cvat_server.password)) as made:
        yield made


@pytest.fixture
def task(cvat: Cvat, client: Client, tmp_path: Path) -> Task:
    for name, image in zip(NAMES, pictures(3), strict=True):
        (tmp_path / name).write_bytes(image)
    made = client.projects.create(spec={"name": "by the SDK", "labels": _labels()})
    cvat.adopt(made.id)
    return client.tasks.create_from_data(
        spec={"name": "by the SDK", "project_id": made.id, "segment_size": 2},
        resource_type=ResourceType.LOCAL,
        resources=[str(tmp_path / name) for name in NAMES],
        data_params={"image_quality": 70, "sorting_method": "predefined"},
        status_check_period=1,
    )


def _labels() -> list[Any]:
    labels: list[Any] = json.loads((RECORDINGS / "labels_request.json").read_text())
    return labels


def _jobs(task: Task) -> list[Job]:
    return sorted(task.get_jobs(), key=lambda job: job.start_frame)


def test_each_recorded_call_goes_as_it_went(cvat: Cvat, client: Client, task: Task, tmp_path: Path) -> None:
    recorded = json.loads((RECORDINGS / "sdk_calls_2.80.0.json").read_text())
    project, job = client.projects.retrieve(task.project_id), _jobs(task)[0]
    hooks = client.api_client.webhooks_api
    with Receiver(host=cvat.server.bind_host) as receiver:
        spec = {
            "target_url": receiver.url("/sdk", cvat.bridge_host),
            "type": "project",
            "project_id": project.id,
            "content_type": "application/json",
            "events": ["create:job", "update:job"],
        }
        hook = cvat.webhook(project.id, receiver.url("/sdk", cvat.bridge_host))
        calls: dict[str, Callable[[], object]] = {
            "projects.retrieve": lambda: client.projects.retrieve(project.id),
            "project.get_labels": project.get_labels,
            "project.get_tasks": project.get_tasks,
            "tasks.retrieve": lambda: client.tasks.retrieve(task.id),
            "task.get_jobs": task.get_jobs,
            "task.get_meta": task.get_meta,
            "task.get_frames_info": task.get_frames_info,
            "task.get_labels": task.get_labels,
            "jobs.retrieve": lambda: client.jobs.retrieve(job.id),
            "job.update state": lambda: job.update({"state": "in progress"}),
            "jobs.list": client.jobs.list,
            "job.get_meta": job.get_meta,
            "job.get_preview": job.get_preview,
            "job.get_labels": job.get_labels,
            "job.get_frame": lambda: job.get_frame(0, quality="original").read(),
            "webhooks_api.create": lambda: hooks.create(webhook_write_request=spec),
            "webhooks_api.list": lambda: hooks.list(project_id=project.id),
            "webhooks_api.create_ping": lambda: hooks.create_ping(hook),
            "webhooks_api.list_deliveries": lambda: hooks.list_deliveries(hook),
            "webhooks_api.create_deliveries_redelivery": lambda: hooks.create_deliveries_redelivery(1, hook),
            "webhooks_api.destroy": lambda: hooks.destroy(hook),
            "requests list": lambda: client.api_client.requests_api.list(),
            "access_token client": lambda: _with_access_token(cvat),
            "SDK with DRF token header": lambda: _with_token(cvat),
        }
        assert set(recorded) == set(calls) | set(PARTS["sdk_calls_2.80.0"])
        went = {name: _went(call) for name, call in calls.items()}
    assert went == {name: recorded[name][0] for name in calls}


def _went(call: Callable[[], object]) -> str:
    try:
        call()
    except Exception:  # Whatever the client raises is how the call went.
        return "FAIL"
    return "ok"


def _with_access_token(cvat: Cvat) -> None:
    with make_client(cvat.url, credentials=AccessTokenCredentials("none")) as client:
        client.users.retrieve_current_user()


def _with_token(cvat: Cvat) -> None:
    fields = {"username": cvat.user, "password": cvat.password}
    key = cvat.http.post("/api/auth/login", json=fields).json()["key"]
    cvat.http.cookies.clear()
    with Client(cvat.url, config=Config(verify_ssl=False)) as client:
        client.api_client.set_default_header("Authorization", f"Token {key}")
        assert client.users.retrieve_current_user().username == cvat.user


def test_each_recorded_step_works(cvat: Cvat, client: Client, task: Task, tmp_path: Path) -> None:
    recorded = json.loads((RECORDINGS / "sdk_steps_2.80.0.json").read_text())
    images = pictures(3)
    first, second = _jobs(task)
    labels = {label.name: label.id for label in task.get_labels()}
    skeleton = json.loads((RECORDINGS / "skeleton117_request.json").read_text())
    acropora, tag = polygon(labels["Acropora"]), {"frame": 0, "label_id": labels["any1"]}
    foreign = polygon(labels["seed"], 2, source="semi-auto")
    made: dict[str, Any] = {}

    def project_of_117() -> None:
        made["project"] = client.projects.create(spec={"name": "117", "labels": [skeleton]})
        cvat.adopt(made["project"].id)

    def task_of_117() -> None:
        made["job"] = cvat.task(made["project"].id, images[:1]).jobs[0]

    def put_117() -> None:
        (label,) = made["project"].get_labels()
        elements = [
            {"type": "points", "frame": 0, "label_id": part.id, "points": [float(number), 1.0]}
            for number, part in enumerate(label.sublabels)
        ]
        shape = {"type": "skeleton", "frame": 0, "label_id": label.id, "elements": elements}
        client.jobs.retrieve(made["job"]).set_annotations({"shapes": [shape]})
        assert len(cvat.shapes(made["job"])[0]["elements"]) == recorded["skeleton117"]["n_sublabels"]

    def download() -> None:
        task.download_frames([0, 1, 2], outdir=tmp_path / "frames", quality="original")

    def add(shape: dict[str, Any]) -> None:
        cvat.add_shapes(first.id, [shape])

    steps: dict[str, Callable[[], object]] = {
        # The fixture has gone these ways already.
        "create_project_4label": lambda: len(labels) == 4,
        "create_task_from_data": lambda: task.size == 3,
        "get_labels": lambda: len(task.get_labels()) == 4,
        "create_project_skeleton117": lambda: project_of_117() is None,
        "get_labels_117": lambda: len(made["project"].get_labels()[0].sublabels) == 117,
        "create_task2_from_data": lambda: len(cvat.task(task.project_id, images).jobs) == 1,
        "get_jobs": lambda: [job.id for job in task.get_jobs()] == [second.id, first.id],
        "frame_original": lambda: task.get_frame(2, quality="original").read() == images[2],
        "frame_compressed": lambda: task.get_frame(2, quality="compressed").read() != images[2],
        "job_frame_original": lambda: second.get_frame(2, quality="original").read() == images[2],
        "download_frames": lambda: (
            task.download_frames([0, 1, 2], outdir=tmp_path / "frames", quality="original") is None
        ),
        "set_annotations(PUT)": lambda: first.set_annotations({"shapes": [acropora]}) is None,
        "get_annotations_parsed": lambda: len(first.get_annotations().shapes) == 1,
        "tags_via_update": lambda: first.update_annotations({"tags": [tag]}) is None,
        "polygon_on_points_label(expect?)": lambda: add(polygon(labels["seed"])) is None,
        "frame_outside_job(expect?)": lambda: add(foreign) is None,
        "source_semi-auto": lambda: cvat.shapes(first.id)[-1]["source"] == "semi-auto",
        "delete_all": lambda: first.remove_annotations() is None and not first.get_annotations().shapes,
        "create_task_117": lambda: task_of_117() is None,
        "put_skeleton117": lambda: put_117() is None,
    }
    assert set(recorded["steps"]) == set(steps) | set(PARTS["sdk_steps_2.80.0"])
    for name, step in steps.items():
        assert recorded["steps"][name]["ok"], name
        assert step(), name
    assert [path.read_bytes() for path in sorted((tmp_path / "frames").iterdir())] == images
    assert [frame.name for frame in task.get_frames_info()] == list(NAMES)
