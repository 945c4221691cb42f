"""A misspelt setting is told before a model that runs is changed, by the command that would have brought it."""

from __future__ import annotations

import pytest

from kelp.card import load_card
from kelp.card.load import CardError
from kelp.cli.checking import refuse_faulty
from kelp.cli.commands.update import changed
from tests.cluster.support.cards import SHIPPED


def test_a_setting_that_the_runtime_does_not_know() -> None:
    card = changed(load_card(SHIPPED), {"settings": {"conf_treshold": 0.4}})
    with pytest.raises(CardError, match=r"^pth-yolo-coralsegv4: .*conf_treshold"):
        refuse_faulty([card])


def test_a_card_without_fault_passes() -> None:
    refuse_faulty([changed(load_card(SHIPPED), {"settings": {"conf_threshold": 0.4}})])
