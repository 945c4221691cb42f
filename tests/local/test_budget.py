"""Who makes room for whom: tables, no processes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.card import Card
from kelp.local.budget import PATIENCE_S, Budget, Cost, Occupant, cost_of, parse_budget, plan_room

GIB = 2**30


def gib(amount: float, gpus: int = 0) -> Cost:
    return Cost(int(amount * GIB), gpus)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Budget()),
        ("12Gi", Budget(12 * GIB)),
        ("gpus=2", Budget(None, 2)),
        ("memory=12Gi, gpus=1", Budget(12 * GIB, 1)),
        ("gpus=0,500M", Budget(500_000_000, 0)),
    ],
)
def test_budgets_as_people_write_them(text, expected):
    assert parse_budget(text) == expected


@pytest.mark.parametrize("text", ["banana", "gpus=two", "cpu=3", "12Gi,13Gi", "gpus=-1", "12gi", "memory=", "gpus=²"])
def test_a_budget_that_means_nothing_names_both_forms(text):
    with pytest.raises(ValueError, match=r"12Gi.*gpus=2") as refused:
        parse_budget(text)
    assert repr(text) in str(refused.value)


def test_everything_fits_without_a_budget():
    assert plan_room(gib(100), [Occupant("a", gib(100), None)], Budget()).fits


def test_the_least_recently_used_idle_one_goes_first_and_no_more_than_needed():
    occupants = [Occupant("old", gib(8), 90.0), Occupant("new", gib(8), 10.0), Occupant("busy", gib(8), None)]
    plan = plan_room(gib(8), occupants, Budget(24 * GIB))
    assert plan.evict == ("old",)


def test_a_small_one_is_spared_when_a_larger_one_has_to_go_anyway():
    occupants = [Occupant("small", gib(1), 90.0), Occupant("large", gib(8), 10.0)]
    assert plan_room(gib(8), occupants, Budget(9 * GIB)).evict == ("large",)


def test_a_busy_one_is_never_ended():
    plan = plan_room(gib(8), [Occupant("busy", gib(8), None)], Budget(8 * GIB), waited_s=10_000)
    assert not plan.fits
    assert plan.evict == ()


def test_one_that_scale_min_keeps_is_never_ended():
    assert not plan_room(gib(8), [Occupant("kept", gib(8), 1e6, kept=True)], Budget(8 * GIB)).fits


def test_one_in_the_middle_of_somebodys_work_is_left_alone_until_patience_ends():
    occupants = [Occupant("working", gib(8), 0.25)]
    early = plan_room(gib(8), occupants, Budget(8 * GIB))
    assert not early.fits
    assert early.look_again_s == pytest.approx(0.75)
    assert plan_room(gib(8), occupants, Budget(8 * GIB), waited_s=PATIENCE_S).evict == ("working",)


def test_gpus_are_freed_by_those_that_hold_one():
    occupants = [Occupant("cpu", gib(1), 900.0), Occupant("gpu", gib(1, 1), 5.0)]
    assert plan_room(gib(1, 1), occupants, Budget(gpus=1)).evict == ("gpu",)


costs = st.builds(Cost, st.integers(0, 20), st.integers(0, 3))
idles = st.one_of(st.none(), st.floats(0, 1000))


@given(
    wanted=costs,
    rows=st.lists(st.tuples(costs, idles, st.booleans()), max_size=6),
    memory=st.one_of(st.none(), st.integers(0, 40)),
    gpus=st.one_of(st.none(), st.integers(0, 4)),
    waited=st.floats(0, 120),
)
def test_a_plan_keeps_the_budget_and_touches_only_idle_ones(wanted, rows, memory, gpus, waited):
    occupants = [Occupant(str(i), cost, idle, kept) for i, (cost, idle, kept) in enumerate(rows)]
    budget = Budget(memory, gpus)
    plan = plan_room(wanted, occupants, budget, waited_s=waited)
    by_name = {o.name: o for o in occupants}
    for name in plan.evict:
        assert by_name[name].idle_s is not None
        assert not by_name[name].kept
    if plan.fits:
        total = wanted
        for occupant in occupants:
            if occupant.name not in plan.evict:
                total += occupant.cost
        assert budget.holds(total)
        for name in plan.evict:  # each of them is needed
            assert not budget.holds(total + by_name[name].cost)
    else:
        assert plan.evict == ()


def card(**more: object) -> Card:
    return Card.model_validate({"name": "a", "runtime": "yolo", "task": "segment", "weights": {"uri": "x"}, **more})


def test_what_a_card_costs():
    assert cost_of(card(), has_gpu=False) == Cost(8 * GIB, 0)
    assert cost_of(card(), has_gpu=True) == Cost(8 * GIB, 1)
    assert cost_of(card(device="cpu"), has_gpu=True) == Cost(8 * GIB, 0)
    two = {"requests": {"memory": "2Gi"}, "limits": {"nvidia.com/gpu": "2"}}
    assert cost_of(card(resources=two), has_gpu=True) == Cost(2 * GIB, 2)
