"""Quadrats become a new task: by webhook and by hand, whole or not at all, and only once."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.bridge import FINISHED, BridgeProcess
from tests.support.cvat import SECRET, Cvat, wait_for
from tests.support.quadrats import (
    CORNERS,
    DATE,
    LATITUDE,
    SIDE,
    Source,
    opened,
    photograph,
    photographs,
    quarters_of,
    source,
)

PATH = "/crop-quadrat-and-create-new-task-webhook"
EVENTS = ("update:job", "update:task")


def hook(cvat: Cvat, bridge: BridgeProcess, made: Source, query: str = "", path: str = PATH) -> int:
    """The webhook of the source's project."""
    address = bridge.webhook_url("").partition("/detect")[0] + f"{path}?target_proj_id={made.target}"
    return cvat.webhook(made.task.project, f"{address}&{query}" if query else address, EVENTS, secret=SECRET)


def ended(bridge: BridgeProcess, made: Source, count: int = 1) -> list[Any]:
    """Runs on the source, newest first, once there are `count` and all are finished."""

    def read() -> Any:
        runs = bridge.runs(task=made.id)
        return len(runs) >= count and all(run["state"] in FINISHED for run in runs) and runs

    try:
        runs: list[Any] = wait_for(read)
    except TimeoutError:
        raise AssertionError(f"{bridge.runs(task=made.id)}\n{bridge.tail()}") from None
    return runs


def ask(bridge: BridgeProcess, made: Source, **more: Any) -> Any:
    """A run by hand, once it has ended."""
    body = {"kind": "crop", "task": made.id, "target": made.target, **more}
    answer = bridge.post("/api/v1/runs", body)
    assert answer.is_success, answer.text
    return bridge.wait_run(answer.json()["runs"][0])


def by_accepting(made: Source) -> None:
    made.cvat.complete(made.task)


@pytest.mark.parametrize(
    ("done", "on"),
    [
        (Source.complete, ""),
        (Source.complete, "on=jobs_completed"),
        (by_accepting, "on=task_completed"),
        (by_accepting, ""),
    ],
)
def test_once_the_task_is_done_its_quadrats_are_a_task(
    cvat: Cvat, bridge: BridgeProcess, done: Callable[[Source], None], on: str
) -> None:
    with source(cvat, photographs(4), segment_size=2) as made:
        made.mark_all(4)
        hook(cvat, bridge, made, f"size={SIDE}&{on}".rstrip("&"))
        done(made)
        wait_for(lambda: any(run["state"] == "completed" for run in bridge.runs(task=made.id)))
        runs = ended(bridge, made)
        (run,) = [run for run in runs if run["state"] == "completed"]
        assert run["reason"] is None
        task = made.the_made()
        assert run["target"] == {"project": made.target, "task": task["id"], "url": f"{cvat.url}/tasks/{task['id']}"}
        assert (task["name"], task["size"], task["project_id"]) == (made.name, 4, made.target)
        # As the source has them, which is not the order of the names; and shared out among jobs as there.
        assert made.names_made() == [name for name, _ in photographs(4)]
        assert task["jobs"]["count"] == 2
        assert f"/tasks/{made.id}?" in task["bug_tracker"]
        for content in made.pictures_made():
            picture = opened(content)
            assert (picture.format, picture.size) == ("JPEG", (SIDE, SIDE))
            assert quarters_of(content) == [0, 1, 2, 3]
        assert {other["state"] for other in runs if other is not run} <= {"skipped"}


def test_before_all_jobs_are_completed_nothing_is_made(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(4), segment_size=2) as made:
        made.mark_all(4)
        hook(cvat, bridge, made, f"size={SIDE}")
        cvat.set_job(made.task.jobs[0], state="completed")
        (run,) = ended(bridge, made)
        assert run["state"] == "skipped"
        assert f"1 of 2 jobs of task {made.id} is not completed yet" in run["reason"]
        assert made.made() == []
        cvat.set_job(made.task.jobs[1], state="completed")
        assert ended(bridge, made, 2)[0]["state"] == "completed"
        assert made.the_made()["size"] == 4


def test_completed_jobs_are_not_enough_where_they_must_be_accepted(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(1)) as made:
        made.mark_all(1)
        webhook = hook(cvat, bridge, made, "on=task_completed")
        made.complete()
        wait_for(
            lambda: [row for row in cvat.deliveries(webhook) if row["event"] == "update:job" and row["status_code"]]
        )
        assert bridge.runs(task=made.id) == []
        cvat.complete(made.task)
        assert ended(bridge, made)[0]["state"] == "completed"


def test_a_task_that_is_completed_again_makes_no_second_one(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(2)) as made:
        made.mark_all(2)
        hook(cvat, bridge, made, f"size={SIDE}")
        made.complete()
        ended(bridge, made)
        first = made.the_made()["id"]
        cvat.set_job(made.task.jobs[0], state="in progress")
        made.complete()
        run = ended(bridge, made, 2)[0]
        assert (run["state"], run["reason"]) == ("skipped", f"task {first} exists")
        by_hand = ask(bridge, made, parameters={"size": SIDE})
        assert (by_hand["state"], by_hand["reason"]) == ("skipped", f"task {first} exists")
        # Unless somebody wants another one.
        again = ask(bridge, made, parameters={"size": SIDE}, again=True)
        assert again["state"] == "completed"
        assert [task["id"] for task in made.made()] == [first, again["target"]["task"]]


def test_a_task_that_somebody_deleted_is_made_again(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(1)) as made:
        made.mark_all(1)
        first = ask(bridge, made)
        cvat.call("DELETE", f"/api/tasks/{first['target']['task']}")
        cvat.set_job(made.task.jobs[0], state="in progress")  # another state of the task: another run
        second = ask(bridge, made, parameters={"size": SIDE})
        assert second["state"] == "completed", second
        assert made.the_made()["id"] == second["target"]["task"]


def test_a_task_without_its_mark_is_still_known(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(1)) as made:
        made.mark_all(1)
        task = ask(bridge, made)["target"]["task"]
        cvat.call("PATCH", f"/api/tasks/{task}", json={"bug_tracker": "https://issues.example/7"})
        run = ask(bridge, made, parameters={"size": SIDE})
        assert (run["state"], run["reason"]) == ("skipped", f"task {task} exists")


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "outside the image": (
        {"points": (60.0, 40.0, 330.0, 50.0, 250.0, 210.0, 70.0, 200.0)},
        "outside the image of 320x240",
    ),
    "crossing sides": ({"points": (60.0, 40.0, 250.0, 210.0, 260.0, 50.0, 70.0, 200.0)}, "cross"),
    "mirrored": ({"points": (*CORNERS[6:8], *CORNERS[4:6], *CORNERS[2:4], *CORNERS[0:2])}, "anticlockwise"),
    "a corner missing": ({"drop": (3,)}, "expected 4 points, got 3: without 3"),
    "a corner marked outside": ({"outside": (2,)}, "marked outside: point 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_frame_without_a_valid_quadrat_stops_the_run_before_anything_is_made(
    cvat: Cvat, bridge: BridgeProcess, name: str
) -> None:
    bad, reason = BAD[name]
    with source(cvat, photographs(4)) as made:
        made.mark(0)
        made.mark(1, **bad)
        run = ask(bridge, made, parameters={"size": SIDE})
        assert run["state"] == "failed"
        assert run["reason"].startswith("3 of 4 frames cannot be used: frame 1 (quadrat_9.jpg): ")
        assert reason in run["reason"]
        assert "frame 2 (quadrat_8.jpg): no quadrat; frame 3 (quadrat_7.jpg): no quadrat" in run["reason"]
        assert made.made() == []
        # It is put right, and the same run goes on.
        cvat.patch_annotations(made.task.jobs[0], "delete", shapes=cvat.shapes(made.task.jobs[0]))
        made.mark_all(4)
        assert bridge.post(f"/api/v1/runs/{run['id']}/retry").status_code == 202
        assert bridge.wait_run(run["id"])["state"] == "completed"
        assert len(made.names_made()) == 4


def test_a_hidden_corner_is_as_good_as_any(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(1)) as made:
        made.mark(0, occluded=(1, 2, 3, 4))
        assert ask(bridge, made)["state"] == "completed"


def test_with_skip_invalid_the_others_are_made_and_the_rest_is_told(cvat: Cvat, bridge: BridgeProcess) -> None:
    files = [*photographs(4), ("broken.jpg", photograph(9))]
    with source(cvat, files) as made:
        for frame in (0, 2, 3):
            made.mark(frame)
        made.mark(3)
        run = ask(bridge, made, parameters={"size": SIDE, "skip_invalid": True})
        assert run["state"] == "completed_with_errors"
        assert run["reason"] == (
            "3 of 5 frames cannot be used: frame 1 (quadrat_9.jpg): no quadrat; "
            "frame 3 (quadrat_7.jpg): 2 quadrats; frame 4 (broken.jpg): no quadrat"
        )
        assert run["frames"] == {"total": 5, "done": 2, "set_aside": 3}
        assert made.names_made() == ["quadrat_10.jpg", "quadrat_8.jpg"]
        frames = bridge.get(f"/api/v1/runs/{run['id']}/frames")["frames"]
        assert [frame["state"] for frame in frames] == ["done", "set_aside", "done", "set_aside", "set_aside"]


def test_where_no_frame_has_a_quadrat_skip_invalid_makes_nothing(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(2)) as made:
        run = ask(bridge, made, parameters={"skip_invalid": True})
        assert (run["state"], made.made()) == ("failed", [])


def test_where_jobs_overlap_the_lower_id_counts_and_ground_truth_does_not(cvat: Cvat, bridge: BridgeProcess) -> None:
    turned = (*CORNERS[2:], *CORNERS[:2])
    with source(cvat, photographs(5), segment_size=3, overlap=1) as made:
        jobs = [cvat.job(job) for job in made.task.jobs]
        assert [(job["start_frame"], job["stop_frame"]) for job in jobs] == [(0, 2), (2, 4)]
        truth = cvat.call(
            "POST",
            "/api/jobs",
            json={"type": "ground_truth", "task_id": made.id, "frame_selection_method": "manual", "frames": [0, 4]},
        )["id"]
        lower, higher = sorted(made.task.jobs)
        for frame in (0, 1, 2, 3, 4):
            made.mark(frame)
        other = higher if made.job_of(2) == lower else lower
        if other != lower:
            made.mark(2, turned, job=other)
        made.mark(0, turned, job=truth)
        run = ask(bridge, made, parameters={"size": SIDE})
        assert run["state"] == "completed", run
        assert [quarters_of(content)[0] for content in made.pictures_made()] == [0] * 5


def test_names_keep_their_ending_or_get_the_new_one_and_never_collide(cvat: Cvat, bridge: BridgeProcess) -> None:
    files = [
        ("reef.JPG", photograph(0)),
        ("a.png", photograph(1, "PNG")),
        ("a.jpg", photograph(2)),
        ("b.webp", photograph(3, "WEBP")),
    ]
    with source(cvat, files) as made:
        made.mark_all(4)
        assert ask(bridge, made, parameters={"size": SIDE})["state"] == "completed"
        assert made.names_made() == ["reef.JPG", "a-1.jpg", "a-2.jpg", "b.jpg"]
        as_png = ask(bridge, made, parameters={"size": SIDE, "format": "png"}, again=True)
        meta = cvat.get(f"/api/tasks/{as_png['target']['task']}/data/meta")
        assert [frame["name"] for frame in meta["frames"]] == ["reef.png", "a-1.png", "a-2.png", "b.png"]


def test_date_and_place_of_the_photograph_stay_with_the_crop(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(1)) as made:
        made.mark_all(1)
        ask(bridge, made)
        exif = opened(made.pictures_made()[0]).getexif()
        assert exif.get_ifd(0x8769) == {0x9003: DATE}
        assert exif.get_ifd(0x8825)[2] == LATITUDE
        assert set(exif) == {0x8769, 0x8825}  # its size, its turn and the camera's data are another picture's


def test_deleted_frames_are_left_out(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(3)) as made:
        made.mark(0)
        made.mark(2)
        cvat.delete_frames(made.task.jobs[0], [1])
        run = ask(bridge, made)
        assert (run["state"], run["details"]["frames_deleted"]) == ("completed", 1)
        assert made.names_made() == ["quadrat_10.jpg", "quadrat_8.jpg"]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(2), segment_size=1) as made:
        made.mark(0)
        before = len(bridge.runs(task=made.id))
        body = {"kind": "crop", "task": made.id, "target": made.target, "dry_run": True}
        would = bridge.post("/api/v1/runs", body).json()["would"]
        assert (would["state"], would["jobs_not_completed"]) == ("failed", 2)
        assert "frame 1 (quadrat_9.jpg): no quadrat" in would["reason"]
        assert would["frames"][0] == {"frame": 0, "name": "quadrat_10.jpg", "new_name": "quadrat_10.jpg", "error": None}
        skipping = bridge.post("/api/v1/runs", {**body, "parameters": {"skip_invalid": True}}).json()["would"]
        assert skipping["state"] == "completed_with_errors"
        assert made.made() == []
        assert len(bridge.runs(task=made.id)) == before


def test_the_only_skeleton_of_four_points_is_found_or_must_be_named(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(1)) as made:
        made.mark_all(1)
        assert "has no label 'frame'" in ask(bridge, made, parameters={"label": "frame"})["reason"]
        assert ask(bridge, made, parameters={"label": "QUADRAT"})["state"] == "completed"
    with source(cvat, photographs(1), label={"name": "coral", "type": "polygon"}) as made:
        run = ask(bridge, made)
        assert (run["state"], "no skeleton of 4 points" in run["reason"]) == ("failed", True)
        shape = {
            "type": "polygon",
            "frame": 0,
            "label_id": made.labels["coral"],
            "points": list(CORNERS),
            "attributes": [],
        }
        cvat.add_shapes(made.task.jobs[0], [shape])
        assert ask(bridge, made, parameters={"label": "coral"})["state"] == "completed"


def test_a_target_that_is_gone_and_a_task_that_is_gone_are_told(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(1)) as made:
        made.mark_all(1)
        for task, target, says in ((made.id, 99999999, "project 99999999"), (99999999, made.target, "task 99999999")):
            answer = bridge.post("/api/v1/runs", {"kind": "crop", "task": task, "target": target})
            assert (answer.status_code, says in answer.json()["error"]) == (404, True)
        address = bridge.webhook_url("").partition("/detect")[0] + f"{PATH}?target_proj_id=99999999"
        cvat.webhook(made.task.project, address, EVENTS, secret=SECRET)
        made.complete()
        (run,) = ended(bridge, made)
        assert (run["state"], "project 99999999, is not in CVAT" in run["reason"]) == ("failed", True)


def test_a_run_that_is_cancelled_leaves_no_half_task(cvat: Cvat, bridge: BridgeProcess) -> None:
    files = [(f"{n:03d}.jpg", photograph(n, size=(1600, 1200))) for n in range(40)]
    points = [5 * value for value in CORNERS]
    with source(cvat, files) as made:
        made.mark_all(40, points)
        body = {"kind": "crop", "task": made.id, "target": made.target, "parameters": {"size": 1920}}
        run_id = bridge.post("/api/v1/runs", body).json()["runs"][0]
        bridge.wait_log("boundary", at="frame_kept", run=run_id)
        assert bridge.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202
        run = bridge.wait_run(run_id)
        assert (run["state"], run["target"]["task"]) == ("cancelled", None)
        assert re.fullmatch(r"cancelled; its begun task \d+ was deleted", run["reason"])
        assert made.made() == []
        # Who asks for the same again wants it done.
        asked = bridge.post("/api/v1/runs", body)
        assert (asked.status_code, asked.json()["runs"]) == (202, [run_id])
        assert asked.json()["found"] == {run_id: "cancelled"}
        assert bridge.wait_run(run_id)["state"] == "completed"
        assert len(made.names_made()) == 40
        asked = bridge.post("/api/v1/runs", body)
        assert (asked.status_code, asked.json()["found"]) == (200, {run_id: "completed"})
        assert bridge.get(f"/api/v1/runs/{run_id}")["attempt"] == 2


def test_events_that_mean_nothing_here_are_ignored(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(1)) as made:
        webhook = hook(cvat, bridge, made)
        made.mark_all(1)  # touches job and task
        cvat.start(made.task.jobs[0])
        began = time.monotonic()
        wait_for(lambda: len(cvat.deliveries(webhook)) >= 3)
        assert time.monotonic() - began < 60
        wait_for(lambda: all(row["status_code"] == 200 for row in cvat.deliveries(webhook)))
        assert bridge.runs(task=made.id) == []
