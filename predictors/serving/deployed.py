"""How a pod gets its card and weights: the one in a variable, the others in a folder that the cluster fills."""

from __future__ import annotations

import os
import time
from pathlib import Path

from kelp.card import Card, load_card, parse_card
from kelp.weights import WeightsError

CARD_VARIABLE = "KELP_CARD_JSON"
WEIGHTS_VARIABLE = "KELP_WEIGHTS_DIR"
# KServe sets it to `async` where the weights come as a container beside this one (`oci://`), and may come later.
_INIT_MODE_VARIABLE = "MODEL_INIT_MODE"
_POLL_S = 0.05


def read_card(path: Path | None) -> Card:
    """The card at `path`, or else in KELP_CARD_JSON, its weights in the folder KELP_WEIGHTS_DIR if that is set.

    CardError says what is wrong, and where.
    """
    card = load_card(path) if path is not None else parse_card(os.environ[CARD_VARIABLE], source=CARD_VARIABLE)
    folder = os.environ.get(WEIGHTS_VARIABLE) if path is None else None
    if not folder:
        return card
    return card.model_copy(update={"weights": card.weights.model_copy(update={"uri": folder})})


def await_weights(card: Card) -> None:
    """Wait until the folder of the weights is there, where it may come later than this process.

    WeightsError once the card's start_timeout has passed.
    """
    if os.environ.get(_INIT_MODE_VARIABLE) != "async":
        return
    deadline = time.monotonic() + card.start_timeout
    while not Path(card.weights.uri).exists():
        if time.monotonic() > deadline:
            raise WeightsError(f"{card.weights.uri}: the weights did not come within {card.start_timeout:g} s")
        time.sleep(_POLL_S)
