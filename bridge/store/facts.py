"""Small facts about this installation, by name."""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bridge.store.database import lock_until_commit
from bridge.store.tables import facts


def get(connection: sa.Connection, name: str) -> str | None:
    value: str | None = connection.scalar(sa.select(facts.c.value).where(facts.c.name == name))
    return value


def put(connection: sa.Connection, name: str, value: str) -> None:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(facts).values(name=name, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def first(connection: sa.Connection, name: str, value: str) -> str:
    """The fact `name`, which becomes `value` if it was not known."""
    known = get(connection, name)
    if known is None:
        put(connection, name, value)
    return value if known is None else known


def take_turn(connection: sa.Connection, name: str, every_s: float) -> bool:
    """Whether it is time again for something that one bridge of all does every `every_s`; the caller then does it."""
    lock_until_commit(connection, f"turn:{name}")
    last = float(get(connection, f"turn:{name}") or 0)
    now = time.time()
    if 0 <= now - last < every_s * 0.9:
        return False
    put(connection, f"turn:{name}", repr(now))
    return True
