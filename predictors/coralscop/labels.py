"""Which of the card's labels a class of the semantic model is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from predictors.common.errors import WeightsError

BACKGROUND = frozenset({"background", "_background_", "__background__", "bg", "unlabeled", "unlabelled", "void"})


def labels_for(
    given: Sequence[str], classes: Sequence[str], count: int, where: str
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Label names by id, and the label of each of the `count` classes, int32 [count], -1 for what is not reported.

    given: the card's labels, classes: the weights' names; either may be empty. What the card leaves out, and what is
    named as background, is not reported. WeightsError, naming `where`, where the two contradict each other.
    """
    if classes:
        labels = tuple(given) or tuple(name for name in classes if name.lower() not in BACKGROUND)
        if unknown := [name for name in labels if name not in classes]:
            raise WeightsError(
                f"{where}: the card's labels {', '.join(unknown)[:300]} are none of the weights' classes: "
                f"{', '.join(classes)[:500]}"
            )
        return labels, np.array([labels.index(name) if name in labels else -1 for name in classes], np.int32)
    if not given:
        raise WeightsError(f"{where}: neither the card nor the weights name any labels")
    if len(given) not in (count, count - 1):
        raise WeightsError(
            f"{where}: the weights name no classes and have {count}; expected {count} labels in the card, "
            f"or {count - 1} where class 0 is the background, got {len(given)}"
        )
    return tuple(given), np.arange(count, dtype=np.int32) - (count - len(given))
