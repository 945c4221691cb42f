"""Which runtime, and so which image, serves a card: the one place to add a predictor family to the cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kelp.card import Card
from kelp.errors import NotFound


@dataclass(frozen=True, slots=True)
class Variant:
    """One engine of a family. `name`: of its ServingRuntime, its model format and its image; `gpu`: it can use one."""

    name: str
    gpu: bool
    serves: Callable[[str], bool]
    """Whether it takes weights whose main file has this name."""


_ENGINES = (
    Variant("kelp-yolo-onnx", gpu=False, serves=lambda file: file.endswith(".onnx")),
    Variant("kelp-yolo", gpu=True, serves=lambda file: True),
)
_CORALSCOP = (Variant("kelp-coralscop", gpu=True, serves=lambda file: True),)
FAMILIES: dict[str, tuple[Variant, ...]] = {
    "coralscop": _CORALSCOP,
    "grid": _ENGINES,
    "lama": _ENGINES,
    "yolo": _ENGINES,
}
"""A card's `runtime` → its variants; the first that takes the weights serves them. Families may share their engines."""


def variants() -> list[Variant]:
    """Every variant there is, once."""
    return list({variant.name: variant for family in FAMILIES.values() for variant in family}.values())


def variant_of(card: Card, main_file: str) -> Variant:
    """What serves `card`, whose role `model` is the file named `main_file`. NotFound names the families there are."""
    family = FAMILIES.get(card.runtime)
    if family is None:
        raise NotFound(
            f"{card.model_name}: runtime: '{card.runtime}' has no image; there are: {', '.join(sorted(FAMILIES))}",
            code="unknown_runtime",
        )
    return next(variant for variant in family if variant.serves(main_file))
