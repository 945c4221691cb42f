"""What a stand-in is started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

NEWER_RETRIES_S = (5.0, 300.0, 1800.0, 10800.0, 86400.0, 86400.0, 86400.0, 86400.0)
"""When newer servers send a failed delivery again: seconds after each failure."""


@dataclass(frozen=True)
class Account:
    """Someone who may log in."""

    name: str
    password: str
    superuser: bool = False
    access_token: str = ""
    """A personal access token, sent as Bearer: newer servers have them."""


@dataclass(frozen=True)
class Speed:
    """Seconds a real server takes for each shape; an answer is held back until they have passed."""

    create: float = 0.0
    update: float = 0.0
    read: float = 0.0


RECORDED_SPEED = Speed(create=0.0005, update=0.0073, read=0.0002)
"""Measured on CVAT 2.42 with polygons of 30 vertices: 2,000 are created in 1 s."""


@dataclass(frozen=True)
class Settings:
    """The first account is the administrator."""

    accounts: Sequence[Account] = field(default=(Account("kelp", "kelp-password-1", superuser=True),))
    version: str = "2.42.0"
    delivery_timeout_s: float = 10.0
    delivery_retries_s: Sequence[float] = ()
    import_s: float = 0.0
    """How long making a task from its data takes at least."""
    anonymous_per_minute: int = 100
    """Calls without credentials from one address; more are answered 429. 0 means no limit."""
    speed: Speed = Speed()
