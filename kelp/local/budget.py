"""What the machine may hold at once, and who makes room for whom. Pure: no clock, no processes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kelp.card import Card
from kelp.card.quantity import parse_size

CALM_S = 1.0
"""A model that answered less than this ago is in the middle of somebody's work and is not put to sleep for another."""
PATIENCE_S = 60.0
"""After waiting so long, any idle moment of another model will do."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a running model holds: bytes of memory as its card requests them, and GPUs."""

    memory: int = 0
    gpus: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.memory + other.memory, self.gpus + other.gpus)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.memory - other.memory, self.gpus - other.gpus)


@dataclass(frozen=True, slots=True)
class Budget:
    """Upper bounds; None is unbounded."""

    memory: int | None = None
    gpus: int | None = None

    def holds(self, cost: Cost) -> bool:
        return (self.memory is None or cost.memory <= self.memory) and (self.gpus is None or cost.gpus <= self.gpus)

    def short_of(self, cost: Cost) -> str:
        """Why `cost` does not fit, for people."""
        if self.memory is not None and cost.memory > self.memory:
            return f"{in_gib(cost.memory)} of memory, and the budget is {in_gib(self.memory)}"
        return f"{cost.gpus} GPUs, and the budget is {self.gpus}"


@dataclass(frozen=True, slots=True)
class Occupant:
    """A model that holds something. idle_s: seconds since it last worked, None while it works or starts."""

    name: str
    cost: Cost
    idle_s: float | None
    kept: bool = False  # by scale.min: never put to sleep


@dataclass(frozen=True, slots=True)
class Plan:
    """fits: there is room once `evict` are asleep. Else `look_again_s` says when waiting alone may change that."""

    fits: bool
    evict: tuple[str, ...] = ()
    look_again_s: float | None = None


def plan_room(
    wanted: Cost, occupants: Iterable[Occupant], budget: Budget, *, waited_s: float = 0.0, calm_s: float = CALM_S
) -> Plan:
    """Whether `wanted` fits into `budget`, and which models have to sleep for it, the least recently used first."""
    occupants = list(occupants)
    total = wanted
    for occupant in occupants:
        total += occupant.cost
    if budget.holds(total):
        return Plan(True)
    calm_s = 0.0 if waited_s >= PATIENCE_S else calm_s
    idle = sorted(((o.idle_s, o) for o in occupants if o.idle_s is not None and not o.kept), key=lambda pair: -pair[0])
    evict: list[Occupant] = []
    for idle_s, occupant in idle:
        if idle_s < calm_s or not _helps(occupant.cost, total, budget):
            continue
        evict.append(occupant)
        total -= occupant.cost
        if budget.holds(total):
            return Plan(True, tuple(o.name for o in _needed(evict, total, budget)))
    waits = [calm_s - idle_s for idle_s, _ in idle if idle_s < calm_s]
    return Plan(False, look_again_s=min(waits, default=None))


def parse_budget(text: str) -> Budget:
    """`12Gi`, `gpus=2`, or both: `memory=12Gi,gpus=2`. ValueError says what was expected."""
    wrong = ValueError(f"expected memory (12Gi), GPUs (gpus=2) or both (memory=12Gi,gpus=2), got {text!r}")
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.rpartition("=")
        key = key.strip() if equals else "memory"
        if key not in {"memory", "gpus"} or key in found:
            raise wrong
        try:
            found[key] = parse_size(value.strip()) if key == "memory" else _count(value.strip())
        except ValueError:
            raise wrong from None
    return Budget(found.get("memory"), found.get("gpus"))


def cost_of(card: Card, *, has_gpu: bool) -> Cost:
    """What a running `card` holds: the memory it requests; the GPUs of its limits unless it runs on the CPU."""
    memory, limits = card.resources.requests.memory, card.resources.limits
    gpus = 0
    if has_gpu and card.device != "cpu":
        gpus = int(float(limits.gpu or card.resources.requests.gpu or 1))
    return Cost(parse_size(memory) if memory else 0, gpus)


def in_gib(size: int) -> str:
    return f"{size / 2**30:.3g}Gi"


def _count(text: str) -> int:
    if not text.isdecimal():  # int() takes signs, blanks and underscores
        raise ValueError(f"expected a whole number, got {text!r}")
    return int(text)


def _helps(cost: Cost, total: Cost, budget: Budget) -> bool:
    """Whether giving `cost` back brings `total` nearer to the budget."""
    over_memory = budget.memory is not None and total.memory > budget.memory
    over_gpus = budget.gpus is not None and total.gpus > budget.gpus
    return (over_memory and cost.memory > 0) or (over_gpus and cost.gpus > 0)


def _needed(evict: list[Occupant], total: Cost, budget: Budget) -> list[Occupant]:
    """`evict` without those that a later, larger one made needless; the most recently used is spared first."""
    kept = list(evict)
    for occupant in reversed(evict):
        if budget.holds(total + occupant.cost):
            total += occupant.cost
            kept.remove(occupant)
    return kept
