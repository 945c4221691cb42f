"""A model's labels as a caller names them: exactly, else by a unique match without case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bridge.events.parameters import DetectParameters
from kelp.errors import InvalidRequest

MOST_SHOWN = 12


def match_name(name: str, names: Iterable[str]) -> str | None:
    """Which of `names` is meant by `name`; None where none is, or several could be."""
    there = list(names)
    if name in there:
        return name
    alike = [other for other in there if other.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def with_labels_of(names: Sequence[str], parameters: DetectParameters) -> DetectParameters:
    """`parameters` with the labels in `labels` and `label_map` as the model, which has `names`, spells them.

    InvalidRequest (400) where one of them is none of the model's: what a misspelt name leaves out would be taken away
    from jobs.
    """
    given = {"label_map": parameters.label_map, "labels": sorted(parameters.labels or ())}
    spelled = {wanted: match_name(wanted, names) for part in given.values() for wanted in part}
    for parameter, part in given.items():
        if unknown := [wanted for wanted in part if spelled[wanted] is None]:
            raise InvalidRequest(
                f"parameter '{parameter}': {parameters.model} has no label {listed([repr(name) for name in unknown])}; "
                f"it has: {listed(names)}",
                code="invalid_parameter",
            )
    targets: dict[str, str | None] = {}
    for wanted, target in parameters.label_map.items():
        if targets.setdefault(str(spelled[wanted]), target) != target:
            raise InvalidRequest(
                f"parameter 'label_map': '{spelled[wanted]}' is named twice, for different labels",
                code="invalid_parameter",
            )
    kept = None if parameters.labels is None else frozenset(str(spelled[wanted]) for wanted in parameters.labels)
    return replace(parameters, label_map=targets, labels=kept)


def listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_SHOWN])
    return shown + (f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else "")
