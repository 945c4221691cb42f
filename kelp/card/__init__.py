"""A model card: one YAML file that describes one deployed model; everything else is made from it."""

from kelp.card.load import card_json_schema, load_card, load_cards, parse_card
from kelp.card.schema import Card, Label, Limits, Scale, Sublabel, WeightFile, Weights

__all__ = [
    "Card",
    "Label",
    "Limits",
    "Scale",
    "Sublabel",
    "WeightFile",
    "Weights",
    "card_json_schema",
    "load_card",
    "load_cards",
    "parse_card",
]
