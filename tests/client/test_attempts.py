"""When a call is repeated, and when it is given up: no I/O, and a clock of the test's own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from kelp import errors
from kelp.client import ClientConfig, ConnectionBroken, MalformedAnswer, NotTrusted
from kelp.client.exchange import Attempts, Pause, Send, exchange
from kelp.client.images import image_tensor


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def attempts(clock: Clock, *, timeout_s=60.0, patience_s=60.0, jitter=1.0, **config) -> Attempts:
    settings = ClientConfig("http://h", **{"backoff_s": 1.0, "backoff_max_s": 8.0, "retries": 2, **config})
    return Attempts(settings, timeout_s=timeout_s, patience_s=patience_s, clock=clock, jitter=lambda: jitter)


def test_pauses_double_up_to_the_longest():
    plan = attempts(Clock())
    assert [plan.pause_after(errors.NotReady("x")) for _ in range(6)] == [1, 2, 4, 8, 8, 8]


def test_jitter_takes_up_to_half_of_a_pause():
    assert attempts(Clock(), jitter=0.0).pause_after(errors.NotReady("x")) == 0.5


def test_a_longer_retry_after_is_respected_and_one_beyond_the_end_ends_the_call():
    assert attempts(Clock()).pause_after(errors.NotReady("x", retry_after_s=20)) == 20
    assert attempts(Clock()).pause_after(errors.NotReady("x", retry_after_s=0.01)) == 1
    assert attempts(Clock()).pause_after(errors.NotReady("x", retry_after_s=61)) is None
    assert attempts(Clock()).pause_after(errors.QueueFull("x", retry_after_s=61)) is None


@pytest.mark.parametrize(
    "error", [ConnectionBroken("x"), errors.BadGateway("x"), errors.QueueFull("x")], ids=lambda e: e.code
)
def test_what_broke_on_the_way_is_repeated_a_few_times_whatever_the_patience(error):
    plan = attempts(Clock(), patience_s=0.0)
    assert [plan.pause_after(error) for _ in range(3)] == [1, 2, None]


@pytest.mark.parametrize(
    "error",
    [
        errors.OutOfMemory("x", retry_after_s=1),
        NotTrusted("x"),
        MalformedAnswer("x"),
        errors.InvalidRequest("x"),
        errors.KelpError("x"),
        errors.TooLate("x"),
    ],
    ids=lambda e: e.code,
)
def test_what_another_attempt_would_not_change_is_final(error):
    assert attempts(Clock()).pause_after(error) is None


def test_a_cold_start_is_waited_for_no_longer_than_allowed():
    clock = Clock()
    plan = attempts(clock, patience_s=10.0)
    assert plan.pause_after(errors.Unreachable("x")) == 1
    clock.now += 8.5
    assert plan.pause_after(errors.NotReady("x")) is None


@pytest.mark.parametrize("code", ["failing", "over_budget"])
def test_a_model_that_fails_to_start_is_given_four_tries_and_no_more(code):
    plan = attempts(Clock(), timeout_s=600.0, patience_s=600.0)
    pauses = [plan.pause_after(errors.NotReady("x", code=code, retry_after_s=s)) for s in (1, 2, 4, 8)]
    assert pauses == [1, 2, 4, None]
    # One that has failed for a while, for others: nobody waits for it again.
    late = attempts(Clock(), timeout_s=600.0, patience_s=600.0)
    assert late.pause_after(errors.NotReady("x", code=code, retry_after_s=32)) is None
    # A server that tells no pauses.
    silent = attempts(Clock(), timeout_s=600.0, patience_s=600.0)
    assert [silent.pause_after(errors.NotReady("x", code=code)) is None for _ in range(4)] == [False] * 3 + [True]


def test_nothing_is_sent_after_the_deadline():
    clock = Clock()
    plan = attempts(clock, timeout_s=5.0)
    assert plan.left_s() == 5.0
    clock.now += 5.0
    with pytest.raises(errors.TooLate, match="no answer within 5 s"):
        plan.left_s()


def test_each_attempt_is_built_with_the_time_that_is_left():
    clock = Clock()
    steps = exchange(attempts(clock, timeout_s=10.0), lambda left: f"call {left:g}", lambda answer: f"read {answer}")
    assert next(steps) == Send("call 10", 10.0)
    assert steps.throw(errors.NotReady("starting")) == Pause(1.0)
    clock.now += 1.0
    assert steps.send(None) == Send("call 9", 9.0)
    with pytest.raises(StopIteration) as done:
        steps.send("it")
    assert done.value.value == "read it"


def test_a_call_that_ends_too_late_says_what_took_the_time():
    steps = exchange(attempts(Clock()), lambda _: "call", lambda answer: answer)
    next(steps)
    steps.throw(errors.NotReady("the model is starting"))
    steps.send(None)
    with pytest.raises(errors.TooLate, match=r"^no answer in 3 s; before that: the model is starting$"):
        steps.throw(errors.TooLate("no answer in 3 s"))


def test_an_error_that_the_answer_holds_is_repeated_like_one_of_the_connection():
    def read(answer):
        raise errors.NotReady(answer)

    steps = exchange(attempts(Clock()), lambda _: "call", read)
    next(steps)
    assert steps.send("503") == Pause(1.0)


@pytest.mark.parametrize("url", ["", "http://", "ftp://host", "/v2"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="expected an address"):
        ClientConfig(url)


@pytest.mark.parametrize(
    ("url", "target", "secure"),
    [
        ("localhost:8101", "localhost:8101", False),
        ("grpc://h:1", "h:1", False),
        ("http://h", "h:80", False),
        ("https://h", "h:443", True),
        ("grpcs://[::1]:9", "[::1]:9", True),
    ],
)
def test_grpc_addresses(url, target, secure):
    config = ClientConfig(url)
    assert (config.grpc_target, config.secure) == (target, secure)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "images: expected at least one"),
        ([b"a", np.zeros((2, 2, 3), np.uint8)], "not both in one request"),
        ([np.zeros((2, 2), np.uint8)], "images[0]: expected uint8 [height, width, 3] RGB, got uint8 [2, 2]"),
        ([np.zeros((2, 2, 3), np.float32)], "images[0]: expected uint8"),
        ([np.zeros((2, 2, 3), np.uint8), np.zeros((2, 4, 3), np.uint8)], "images[1]: arrays of one request"),
    ],
)
def test_images_that_do_not_go_together_are_refused(images, message):
    with pytest.raises(errors.InvalidRequest) as caught:
        image_tensor(images)
    assert message in caught.value.message


def test_a_single_array_is_not_copied():
    image = np.zeros((2, 2, 3), np.uint8)
    assert np.shares_memory(image_tensor([image]).array, image)


def test_only_the_protocol_in_use_is_imported():
    code = (
        "import sys, kelp.client as c; heavy = {'httpx', 'grpc', 'google.protobuf'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "c.Client; assert heavy & set(sys.modules) == {'httpx'}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
