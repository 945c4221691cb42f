"""What the bridge knows of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

START_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model's public card. name: with its version; base: without; sha256: of the weights, by role."""

    name: str
    base: str
    version: str | None = None
    task: str | None = None
    labels: tuple[str, ...] = ()
    points: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    sha256: Mapping[str, str | None] = field(default_factory=dict)
    start_timeout_s: float = START_TIMEOUT_S
    title: str = ""
    grid_shape: tuple[int, int] | None = None

    @classmethod
    def of(cls, name: str, metadata: Mapping[str, Any]) -> ModelCard:
        """From V2's metadata; a server that knows no cards leaves everything but the name open."""
        return cls.of_public(name, (metadata.get("parameters") or {}).get("card") or {})

    @classmethod
    def of_public(cls, name: str, card: Mapping[str, Any]) -> ModelCard:
        """From the card's public part (`kelp.card.metadata`)."""
        version = card.get("version") or None
        labels = card.get("labels") or []
        return cls(
            name=name,
            base=name.removesuffix(f"-{version}") if version else name,
            version=version,
            task=card.get("task"),
            labels=tuple(label["name"] for label in labels),
            points={label["name"]: tuple(s["name"] for s in label.get("sublabels") or ()) for label in labels},
            settings=card.get("settings") or {},
            sha256=card.get("sha256") or {},
            start_timeout_s=float(card.get("start_timeout") or START_TIMEOUT_S),
            title=card.get("title") or "",
            grid_shape=(int(grid[0]), int(grid[1])) if (grid := card.get("grid_shape")) else None,
        )
