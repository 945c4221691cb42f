"""The bridge is killed wherever a run that makes a task may be: there is one new task with all its frames, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.chaos.boundaries import TASKS, Place
from tests.support.bridge import FINISHED
from tests.support.cvat import wait_for
from tests.support.loop import Loop, passed_by
from tests.support.quadrats import SIDE, Source, photographs, source

FRAMES = 5
CREATE = r"^/api/tasks(\?|$)"
DATA = r"^/api/tasks/\d+/data/"
SLOW = pytest.mark.slow
QUICK = {("sqlite", at) for at in ("output_created", "frame_uploaded", "output_sent")}


KILLS = [
    pytest.param(database, place, id=f"{database}-{place}", marks=[] if (database, place.at) in QUICK else [SLOW])
    for database in ("sqlite", "postgres")
    for place in TASKS
]


@contextmanager
def quadrats(loop: Loop) -> Iterator[Source]:
    """A task of two jobs that is ready to be completed, with a webhook for crops."""
    with source(loop.cvat, photographs(FRAMES), segment_size=3) as made:
        made.mark_all(FRAMES)
        address = f"http://{loop.server.bridge_host}:{loop.port}/crop-quadrat-and-create-new-task-webhook"
        query = f"target_proj_id={made.target}&size={SIDE}&on=jobs_completed"
        loop.cvat.webhook(made.task.project, f"{address}?{query}", ("update:job",))
        loop.cvat.set_job(made.task.jobs[0], state="completed")
        wait_for(lambda: [run for run in loop.bridge.runs(task=made.id) if run["state"] == "skipped"])
        yield made


def finish(made: Source) -> None:
    """The last job is completed: from here on the task is to be made."""
    made.cvat.set_job(made.task.jobs[1], state="completed")


def the_run(loop: Loop, made: Source, state: str = "completed") -> Any:
    def read() -> Any:
        runs = loop.bridge.runs(task=made.id)
        return len(runs) == 2 and all(run["state"] in FINISHED for run in runs) and runs

    try:
        run = wait_for(read)[0]
    except TimeoutError:
        raise AssertionError(f"{loop.bridge.runs(task=made.id)}\n{loop.bridge.tail(80)}") from None
    assert run["state"] == state, f"{run}\n{loop.bridge.tail(80)}"
    return run


def check(loop: Loop, made: Source) -> None:
    """One new task, all frames, in order; and it is known for ever."""
    run = the_run(loop, made)
    assert (made.the_made()["id"], made.the_made()["size"]) == (run["target"]["task"], FRAMES)
    assert made.names_made() == [name for name, _ in photographs(FRAMES)]
    assert run["frames"]["done"] == FRAMES
    loop.check_calm()
    made.cvat.set_job(made.task.jobs[1], state="in progress")
    finish(made)
    wait_for(lambda: len([r for r in loop.bridge.runs(task=made.id) if r["state"] in FINISHED]) == 3)
    assert loop.bridge.runs(task=made.id)[0]["reason"] == f"task {made.the_made()['id']} exists"


@pytest.mark.parametrize(("loop", "place"), KILLS, indirect=["loop"])
def test_killed_there_and_started_again_there_is_one_task_with_all_its_frames(loop: Loop, place: Place) -> None:
    with quadrats(loop) as made:
        loop.hold(place.at, place.nth, **place.fields)
        finish(made)
        loop.wait_held()
        loop.kill()
        loop.start()
        check(loop, made)


@pytest.mark.slow
def test_a_run_passes_the_boundaries_as_often_as_there_are_kills(loop: Loop) -> None:
    with quadrats(loop) as made:
        finish(made)
        run = the_run(loop, made)
        passed = {line["at"] for line in passed_by(loop.bridge, run["id"])}
        assert passed == {place.at for place in TASKS}
        counted = Counter(line["at"] for line in passed_by(loop.bridge, run["id"]))
        assert counted["output_wanted"] == counted["output_sent"] == 1
        assert counted["frame_made"] == counted["frame_kept"] == FRAMES


@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
@pytest.mark.parametrize("accident", ["done-but-not-answered", pytest.param("done-but-cut", marks=pytest.mark.slow)])
def test_a_task_whose_making_was_never_answered_is_found_again(loop: Loop, accident: str, killed: bool) -> None:
    proxy = loop.before_cvat
    with quadrats(loop) as made:
        spoil = proxy.cut_answer if accident == "done-but-cut" or not killed else proxy.hold_answer
        fault = spoil(method="POST", path=CREATE)
        finish(made)
        fault.wait()
        if killed:
            wait_for(made.made)  # CVAT has made it
            loop.kill()
            loop.start()
        check(loop, made)
        assert proxy.count("POST", CREATE) >= 1


def test_a_request_that_makes_its_task_too_late_makes_no_second_one(loop: Loop) -> None:
    with quadrats(loop) as made:
        late = loop.before_cvat.late(cut=True, method="POST", path=CREATE)
        loop.hold("output_filled")
        finish(made)
        late.wait()
        loop.wait_held()  # another one was made meanwhile, and has its files
        late.release()
        wait_for(lambda: len(made.made()) == 2)
        loop.release()
        check(loop, made)


@pytest.mark.parametrize(
    ("method", "skip"), [("PATCH", 2), pytest.param("POST", 3, marks=pytest.mark.slow)], ids=["file", "its-beginning"]
)
@pytest.mark.parametrize("accident", ["cut_request", pytest.param("cut_answer", marks=pytest.mark.slow)])
def test_a_file_whose_upload_broke_is_there_once(loop: Loop, method: str, skip: int, accident: str) -> None:
    with quadrats(loop) as made:
        if accident == "cut_request":
            fault = loop.before_cvat.cut_request(50, method=method, path=DATA, skip=skip)
        else:
            fault = loop.before_cvat.cut_answer(method=method, path=DATA, skip=skip)
        finish(made)
        check(loop, made)
        assert fault.hits == 1


@pytest.mark.slow
def test_cvat_that_stays_away_ends_the_run_and_a_retry_goes_on(loop: Loop) -> None:
    loop.kill()
    loop.start(patience={"tries_s": 1.0})
    with quadrats(loop) as made:
        loop.before_cvat.answer(503, times=10**6, method="*", path=DATA, skip=5)
        finish(made)
        failed = the_run(loop, made, "failed")
        assert "CVAT answered 503" in failed["reason"]
        loop.before_cvat.clear()
        assert loop.bridge.post(f"/api/v1/runs/{failed['id']}/retry").status_code == 202
        wait_for(lambda: loop.bridge.get(f"/api/v1/runs/{failed['id']}")["state"] == "completed")
        check(loop, made)
    loop.kill()
