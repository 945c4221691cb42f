"""A model's states by a made-up clock."""

from __future__ import annotations

import pytest

from kelp.local.lifecycle import STEADY_S, Lifecycle, Phase, pause_after


def ready(now: float = 0.0, **more: object) -> Lifecycle:
    life = Lifecycle(**{"always_on": False, "retention_s": 300.0, **more})
    life.starts()
    life.becomes_ready(now)
    return life


def test_idle_time_counts_from_the_end_of_the_last_request():
    life = ready(0.0)
    assert life.sleeps_at() == 300.0
    life.begins_request(100.0)
    assert life.sleeps_at() is None
    assert life.idle_s(200.0) is None
    life.ends_request(250.0)
    assert life.sleeps_at() == 550.0
    assert life.idle_s(260.0) == 10.0


def test_one_of_two_requests_ending_is_not_idle():
    life = ready()
    life.begins_request(1.0)
    life.begins_request(2.0)
    life.ends_request(3.0)
    assert life.sleeps_at() is None


def test_scale_min_keeps_it_awake():
    assert ready(always_on=True).sleeps_at() is None


def test_a_crash_in_use_is_mended_by_itself_after_a_growing_pause():
    life = ready(0.0)
    life.fails(10.0, "killed")
    assert (life.state, life.reason) == ("failing", "killed")
    assert life.restarts_at() == 11.0
    assert life.must_wait(10.25) == 0.75
    assert life.must_wait(11.0) == 0.0
    life.starts()
    life.becomes_ready(12.0)
    assert life.reason == ""
    life.fails(13.0, "killed")
    assert life.restarts_at() == 15.0


def test_a_sound_run_forgets_old_crashes():
    life = ready(0.0)
    life.failures = 5
    life.fails(STEADY_S + 1, "killed")
    assert life.retry_at == STEADY_S + 1 + pause_after(1)


def test_what_never_became_ready_waits_for_the_next_request():
    life = Lifecycle(always_on=False, retention_s=300.0)
    life.starts()
    life.fails(5.0, "no such file")
    assert life.restarts_at() is None
    assert life.must_wait(5.5) == 0.5


def test_always_on_is_tried_again_whatever_happened():
    life = Lifecycle(always_on=True, retention_s=300.0)
    life.starts()
    life.fails(5.0, "no such file")
    assert life.restarts_at() == 6.0


def test_a_crash_long_after_the_last_use_is_not_mended_for_nobody():
    life = ready(0.0, retention_s=10.0)
    life.fails(11.0, "killed")
    assert life.restarts_at() is None


@pytest.mark.parametrize(("failures", "pause"), [(1, 1.0), (2, 2.0), (6, 32.0), (7, 60.0), (1000, 60.0)])
def test_pauses_double_up_to_a_minute(failures, pause):
    assert pause_after(failures) == pause


def test_a_start_that_nobody_wants_any_more_shows_what_was_before():
    life = Lifecycle(always_on=False, retention_s=300.0)
    life.starts()
    life.gives_up_start()
    assert life.phase is Phase.ASLEEP
    life.starts()
    life.fails(1.0, "broken")
    life.starts()
    life.gives_up_start()
    assert (life.state, life.reason) == ("failing", "broken")
