"""The stand-in as a process, and CVAT's own client against it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from cvat_sdk import make_client
from cvat_sdk.core.client import Client
from cvat_sdk.core.proxies.tasks import ResourceType

from tests.support.cvat import Cvat, CvatServer, pictures, polygon, stand_in_process


def test_options_of_the_command_line_take_effect() -> None:
    with stand_in_process("--user", "ann:secret", "--user", "bob:other", "--version", "2.61.0") as server:
        about = httpx.get(f"{server.url}/api/server/about").json()
        assert about["version"] == "2.61.0"
        users = httpx.get(f"{server.url}/api/users", auth=("ann", "secret")).json()
        assert [user["username"] for user in users["results"]] == ["bob", "ann"]
        assert [user["is_superuser"] for user in users["results"]] == [False, True]
        assert httpx.get(f"{server.url}/api/users/self", auth=("kelp", "kelp-password-1")).status_code == 401


def test_at_its_recorded_speed_2000_polygons_take_a_second() -> None:
    with stand_in_process("--recorded-speed") as server:
        cvat = Cvat(server)
        project = cvat.project()
        job = cvat.task(project, pictures(1)).jobs[0]
        points = [float(value) for value in range(60)]
        shape = polygon(cvat.labels(project)["Porites"]) | {"points": points}
        began = time.monotonic()
        cvat.add_shapes(job, [shape] * 2000)
        assert time.monotonic() - began >= 1.0
        cvat.close()


@pytest.fixture
def client(cvat_server: CvatServer) -> Any:
    with make_client(cvat_server.url, credentials=(cvat_server.user, cvat_server.password)) as made:
        yield made


def test_the_sdk_makes_reads_and_annotates_tasks(cvat: Cvat, client: Client, tmp_path: Path) -> None:
    project = cvat.project()
    images = pictures(3)
    for name, image in zip(("b.jpg", "a.jpg", "c.jpg"), images, strict=True):
        (tmp_path / name).write_bytes(image)
    task = client.tasks.create_from_data(
        spec={"name": "by the SDK", "project_id": project, "segment_size": 2},
        resource_type=ResourceType.LOCAL,
        resources=[str(tmp_path / name) for name in ("b.jpg", "a.jpg", "c.jpg")],
        data_params={"image_quality": 70, "sorting_method": "predefined"},
        status_check_period=1,
    )
    assert task.size == 3
    assert [frame.name for frame in task.get_frames_info()] == ["b.jpg", "a.jpg", "c.jpg"]
    assert task.get_frame(2, quality="original").read() == images[2]
    jobs = sorted(task.get_jobs(), key=lambda job: job.start_frame)
    assert [job.start_frame for job in jobs] == [0, 2]
    job = jobs[0]
    label = cvat.labels(project)["Porites"]
    job.set_annotations({"shapes": [polygon(label), polygon(label, 1)]})  # type: ignore[arg-type]
    assert sorted(shape.frame for shape in job.get_annotations().shapes) == [0, 1]
    job.remove_annotations(ids=[job.get_annotations().shapes[0].id])
    assert len(job.get_annotations().shapes) == 1
    job.update({"state": "in progress"})
    assert cvat.job(job.id)["state"] == "in progress"
    assert {item.name for item in client.projects.retrieve(project).get_labels()} == {"Acropora", "Porites"}
