"""What write-back did, for the record."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Tally:
    """What write-back did beyond creating, for the run's record."""

    kept: int = 0
    deleted: int = 0
    touched: int = 0
    covered: int = 0

    def to_json(self) -> dict[str, int]:
        return {f"shapes_{name}": number for name, number in asdict(self).items() if number}
