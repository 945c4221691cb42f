"""A bridge of another release takes over the database: unfinished runs are finished, from what was stored."""

from __future__ import annotations

import pytest

from tests.chaos.conftest import Expect
from tests.support.loop import FRAMES, IMAGES_A_REQUEST, Loop

OLDER, NEWER = "detect-0", "detect-2"


@pytest.mark.parametrize(
    ("loop", "at", "nth", "stored"),
    [
        ("sqlite", "frames_stored", 2, 4),
        *(
            pytest.param(database, at, nth, stored, marks=pytest.mark.slow)
            for database in ("sqlite", "postgres")
            for at, nth, stored in (("run_claimed", 1, 0), ("chunk_answered", 2, 4), ("run_ended", 1, 6))
        ),
    ],
    indirect=["loop"],
)
def test_what_an_older_release_began_is_finished(loop: Loop, expect: Expect, at: str, nth: int, stored: int) -> None:
    loop.kill()
    loop.start(version=OLDER)
    with loop.job() as job:
        loop.hold(at, nth)
        job.start()
        loop.wait_held()
        loop.kill()
        asked = loop.before_model.count("POST", "/infer$")
        loop.start()
        loop.wait_run(job)
        assert loop.before_model.count("POST", "/infer$") - asked == (FRAMES - stored) / IMAGES_A_REQUEST
        loop.check(job, expect())
        loop.check_calm()
        loop.check_ownership(job, expect())


@pytest.mark.slow
def test_what_a_newer_release_began_is_finished_after_two_steps_back(loop: Loop, expect: Expect) -> None:
    loop.kill()
    loop.start(version=NEWER)
    with loop.job() as job:
        loop.hold("frames_stored", 2)
        job.start()
        loop.wait_held()
        loop.kill()
        loop.hold("chunk_closed")
        loop.start(version=OLDER, keep_hold=True)
        loop.wait_held()
        loop.kill()
        loop.start()
        loop.wait_run(job)
        loop.check(job, expect())
        loop.check_ownership(job, expect())
