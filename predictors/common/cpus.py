"""How many processors a network may use."""

from __future__ import annotations

import os
from pathlib import Path

from kelp.card import Card

_CGROUP = Path("/sys/fs/cgroup")


def network_threads(card: Card) -> int:
    """Threads for a network: no more than the process may use, nor than the card's limit; at least 1."""
    limits = [_allowed(), _quota(_CGROUP)]
    if card.resources.limits.cpu is not None:
        limits.append(_cores(card.resources.limits.cpu))
    return max(1, int(min(limit for limit in limits if limit is not None)))


def _allowed() -> float:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quota(cgroup: Path) -> float | None:
    """The container's share of processors: `cpu.max` of cgroup 2, else the quota of cgroup 1; None without a limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return None
    return share if share > 0 else None


def _cores(quantity: str) -> float:
    """Processors of a Kubernetes quantity: `2`, `1.5`, `500m`."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)
