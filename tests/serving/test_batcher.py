"""When a batch goes, and what is in it: a lone caller waits for nobody, and nothing is lost or served twice."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from kelp.errors import InvalidImage, KelpError, OutOfMemory
from predictors.model import Item
from predictors.serving.batcher import Batcher
from predictors.serving.budget import PixelBudget
from predictors.serving.call import Call, Work

LONG_S = 30.0


def work(call: Call | None = None) -> Work:
    if call is None:
        call = Call(lambda outcome: None)
        call.expect(1)
    return Work(call, 0, Item(np.zeros((1, 1, 3), np.uint8), {}, frozenset()))


class Taker:
    """Takes batches in a thread of its own, as the engine does."""

    def __init__(self, batcher: Batcher) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._batcher = batcher

    def take(self):
        return self._pool.submit(self._batcher.take)


@pytest.fixture
def dropped():
    return []


def batcher_of(dropped, max_images=4, window_s=LONG_S):
    return Batcher(max_images, window_s, dropped.append)


def test_a_lone_image_goes_at_once_however_long_the_window(dropped):
    batcher = batcher_of(dropped)
    taken = Taker(batcher).take()
    batcher.announce(1)
    one = work()
    batcher.put(one)
    assert taken.result(5) == [one]


def test_the_window_waits_for_those_that_are_announced(dropped):
    batcher = batcher_of(dropped)
    taken = Taker(batcher).take()
    batcher.announce(2)
    first, second = work(), work()
    batcher.put(first)
    assert not taken.done()
    batcher.put(second)
    assert taken.result(5) == [first, second]


def test_one_that_fails_on_its_way_is_not_waited_for(dropped):
    batcher = batcher_of(dropped)
    taken = Taker(batcher).take()
    batcher.announce(2)
    first = work()
    batcher.put(first)
    batcher.announce(-1)
    assert taken.result(5) == [first]


def test_the_window_closes(dropped):
    batcher = batcher_of(dropped, window_s=0.05)
    taken = Taker(batcher).take()
    batcher.announce(2)
    first = work()
    batcher.put(first)
    assert taken.result(5) == [first]
    assert time.monotonic() - first.arrived >= 0.05


def test_a_full_batch_goes_at_once_and_the_rest_follows(dropped):
    batcher = batcher_of(dropped)
    works = [work() for _ in range(6)]
    batcher.announce(7)
    for each in works:
        batcher.put(each)
    taker = Taker(batcher)
    assert taker.take().result(5) == works[:4]
    # The model is at work: what is left collects, though nothing else is to be waited for…
    rest = taker.take()
    batcher.announce(-1)
    time.sleep(0.05)
    assert not rest.done()
    # …until it is idle.
    batcher.done()
    assert rest.result(5) == works[4:]


def test_one_full_batch_is_prepared_while_the_model_works_and_no_more(dropped):
    batcher = batcher_of(dropped, max_images=1)
    works = [work() for _ in range(3)]
    batcher.announce(3)
    for each in works:
        batcher.put(each)
    taker = Taker(batcher)
    assert taker.take().result(5) == works[:1]
    assert taker.take().result(5) == works[1:2]
    third = taker.take()
    time.sleep(0.05)
    assert not third.done()
    batcher.done()
    assert third.result(5) == works[2:]


def test_batches_to_be_tried_again_go_first_and_unmixed(dropped):
    batcher = batcher_of(dropped)
    again, new = [work(), work()], work()
    batcher.announce(1)
    batcher.put(new)
    batcher.put_again([again[:1], again[1:]])
    taker = Taker(batcher)
    for expected in (again[:1], again[1:], [new]):
        assert taker.take().result(5) == expected
        batcher.done()


def test_nobody_takes_what_nobody_wants(dropped):
    batcher = batcher_of(dropped)
    gone, wanted = work(), work()
    gone.call.abandon()
    batcher.announce(2)
    batcher.put(gone)
    batcher.put(wanted)
    assert Taker(batcher).take().result(5) == [wanted]
    assert dropped == [gone]


def test_a_batch_of_unwanted_images_does_not_block_the_next(dropped):
    batcher = batcher_of(dropped)
    taken = Taker(batcher).take()
    gone, wanted = work(), work()
    gone.call.abandon()
    batcher.announce(1)
    batcher.put(gone)
    batcher.announce(1)
    batcher.put(wanted)
    assert taken.result(5) == [wanted]


def test_smaller_batches_are_remembered(dropped):
    batcher = batcher_of(dropped)
    batcher.shrink(2)
    batcher.shrink(3)
    works = [work() for _ in range(3)]
    batcher.announce(3)
    for each in works:
        batcher.put(each)
    assert Taker(batcher).take().result(5) == works[:2]
    batcher.shrink(0)
    assert batcher.max_images == 1


def test_after_close_what_is_queued_is_still_given_out(dropped):
    batcher = batcher_of(dropped)
    batcher.announce(2)
    one = work()
    batcher.put(one)
    batcher.close()
    taker = Taker(batcher)
    assert taker.take().result(5) == [one]
    last = taker.take()
    batcher.done()
    assert last.result(5) is None


def test_an_idle_batcher_sleeps(dropped):
    batcher = batcher_of(dropped, window_s=0.001)
    taken = Taker(batcher).take()
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.1
    batcher.close()
    assert taken.result(5) is None


@pytest.mark.parametrize("seed", range(5))
def test_every_image_is_given_out_once_in_batches_of_the_limit(dropped, seed):
    order = random.Random(seed)
    batcher = batcher_of(dropped, max_images=3, window_s=0.0005)
    works = [work() for _ in range(200)]
    for each in order.sample(works, 30):
        each.call.abandon()
    seen: list[Work] = []

    def consume():
        while (batch := batcher.take()) is not None:
            assert 1 <= len(batch) <= 3
            seen.extend(batch)
            threading.Timer(order.random() * 0.001, batcher.done).start()

    consumer = threading.Thread(target=consume)
    consumer.start()

    def produce(mine):
        for each in mine:
            batcher.announce(1)
            if order.random() < 0.3:
                time.sleep(order.random() * 0.001)
            batcher.put(each)

    producers = [threading.Thread(target=produce, args=(works[i::4],)) for i in range(4)]
    for thread in producers:
        thread.start()
    for thread in producers:
        thread.join(20)
    batcher.close()
    consumer.join(20)
    assert not consumer.is_alive()
    assert len(seen) + len(dropped) == 200
    assert set(map(id, seen)) | set(map(id, dropped)) == set(map(id, works))
    assert not any(each.call.over for each in seen)


def test_the_error_of_a_call_names_all_images_and_the_callers_fault_first():
    call = Call(lambda outcome: None)
    call.expect(5)
    assert not call.settle(0, "fine")
    call.settle(1, OutOfMemory("too large"))
    call.settle(4, InvalidImage("cut", code="too_many_pixels"))
    call.settle(2, InvalidImage("cut"))
    assert call.settle(3, KelpError("broke"))
    error = call.error()
    assert (error.status, error.image_indices) == (400, [2, 4])
    assert error.message.startswith("image 2: cut")


def test_a_call_is_answered_once():
    outcomes = []
    call = Call(outcomes.append)
    call.deliver("first")
    call.deliver("second")
    assert outcomes == ["first"]
    assert call.over


def test_the_pixel_budget_holds_back_and_lets_one_large_image_through():
    budget = PixelBudget(100)
    assert budget.hold(1000, lambda: True)
    wanted = SimpleNamespace(value=True)
    with ThreadPoolExecutor(2) as pool:
        second = pool.submit(budget.hold, 50, lambda: True)
        left = pool.submit(budget.hold, 50, lambda: wanted.value)
        time.sleep(0.05)
        assert not second.done()
        wanted.value = False
        assert left.result(5) is False
        budget.release(1000)
        assert second.result(5) is True
