"""What every other test builds on works: on the stand-in, and on a real server alike."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from PIL import Image

from tests.support.cvat import SECRET, Cvat, picture, pictures, polygon, wait_for
from tests.support.receiver import Receiver


def test_a_task_has_its_jobs_in_order_and_its_frames_as_uploaded(cvat: Cvat) -> None:
    images = pictures(5)
    task = cvat.task(
        cvat.project(), [(f"q_{number}.jpg", image) for number, image in enumerate(reversed(images))], segment_size=2
    )
    jobs = [cvat.job(job) for job in task.jobs]
    assert [(job["start_frame"], job["stop_frame"]) for job in jobs] == [(0, 1), (2, 3), (4, 4)]
    assert {job["state"] for job in jobs} == {"new"}
    assert [cvat.frame(task.jobs[1], number) for number in (2, 3)] == [images[2], images[1]]
    meta = cvat.get(f"/api/jobs/{task.jobs[1]}/data/meta")
    assert [frame["name"] for frame in meta["frames"]] == ["q_2.jpg", "q_3.jpg"]
    with Image.open(io.BytesIO(cvat.frame(task.jobs[0], 0, "compressed"))) as compressed:
        assert (compressed.format, compressed.size) == ("JPEG", (64, 48))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP"])
def test_other_formats_come_back_unchanged(cvat: Cvat, form: str) -> None:
    image = picture(form=form)
    task = cvat.task(cvat.project(), [image])
    assert cvat.frame(task.jobs[0], 0) == image


def test_a_started_job_is_told_with_a_valid_signature_and_opening_it_is_not(cvat: Cvat) -> None:
    with Receiver(host=cvat.server.bind_host) as receiver:
        project = cvat.project()
        webhook = cvat.webhook(project, receiver.url("/hook", cvat.bridge_host), ["update:job"])
        task = cvat.task(project, pictures(2), segment_size=1)
        first, second = task.jobs
        for job in task.jobs:
            cvat.job(job)
            cvat.annotations(job)
            cvat.frame(job, task.jobs.index(job))
        cvat.start(first)
        cvat.start(second)
        got = receiver.wait(lambda received: len(received) >= 2)
        assert [item.json["job"]["id"] for item in got] == [first, second]
        assert all(item.signed_with(SECRET) for item in got)
        assert [item.json["before_update"]["state"] for item in got] == ["new", "new"]
        assert {item.json["job"]["state"] for item in got} == {"in progress"}
        listed = wait_for(lambda: (rows := cvat.deliveries(webhook)) and len(rows) == 2 and rows)
        assert [row["request"]["job"]["id"] for row in listed] == [second, first]
        assert {row["status_code"] for row in listed} == {200}


def test_annotations_come_back_as_they_were_sent(cvat: Cvat) -> None:
    project = cvat.project()
    label = cvat.labels(project)["Porites"]
    job = cvat.task(project, pictures(2)).jobs[0]
    sent = [polygon(label, frame, offset, source="auto") for frame in (1, 0) for offset in (0.0, 5.5, 5.5)]
    made = cvat.add_shapes(job, sent)["shapes"]
    assert [shape["points"] for shape in made] == [shape["points"] for shape in sent]
    stored = cvat.shapes(job)

    def key(shape: dict[str, object]) -> tuple[object, ...]:
        return shape["frame"], tuple(shape["points"]), shape["source"]  # type: ignore[arg-type]

    assert Counter(map(key, stored)) == Counter(map(key, sent))
    assert {shape["id"] for shape in stored} == {shape["id"] for shape in made}


def test_a_task_is_completed_when_its_jobs_are_accepted(cvat: Cvat) -> None:
    task = cvat.task(cvat.project(), pictures(2), segment_size=1)
    for job in task.jobs:
        cvat.set_job(job, state="completed")
    assert cvat.get(f"/api/tasks/{task.id}")["status"] == "annotation"
    cvat.complete(task)
    assert cvat.get(f"/api/tasks/{task.id}")["status"] == "completed"


def test_deleted_frames_are_in_the_meta_of_the_job(cvat: Cvat) -> None:
    task = cvat.task(cvat.project(), pictures(4), segment_size=2)
    cvat.delete_frames(task.jobs[1], [3])
    assert cvat.get(f"/api/jobs/{task.jobs[1]}/data/meta")["deleted_frames"] == [3]
    assert cvat.get(f"/api/jobs/{task.jobs[0]}/data/meta")["deleted_frames"] == []


def test_nothing_is_left_behind(cvat: Cvat) -> None:
    own = Cvat(cvat.server)
    project = own.project()
    task = own.task(project, pictures(1))
    own.close()
    gone = [
        cvat.http.get(path).status_code
        for path in (f"/api/projects/{project}", f"/api/tasks/{task.id}", f"/api/jobs/{task.jobs[0]}")
    ]
    assert gone == [404, 404, 404]
