"""Where things lie in a checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NAMESPACE = "kelp"
RELEASE = "kelp"
ENVIRONMENTS = ("local", "dev", "stage", "prod")


@dataclass(frozen=True, slots=True)
class Places:
    """A checkout whose root is `root`."""

    root: Path

    @property
    def chart(self) -> Path:
        return self.root / "charts" / "kelp"

    @property
    def base(self) -> Path:
        return self.root / "manifests" / "base"

    @property
    def cards(self) -> Path:
        return self.root / "environments" / "models"

    def environment(self, name: str) -> Path:
        return self.root / "environments" / name
