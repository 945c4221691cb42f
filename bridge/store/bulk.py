"""Many rows in one statement, the cheap way of each database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

_ARRAYS: tuple[tuple[type[Any], str], ...] = (
    (sa.BigInteger, "bigint[]"),
    (sa.SmallInteger, "smallint[]"),
    (sa.Integer, "integer[]"),
    (sa.Boolean, "boolean[]"),
    (sa.LargeBinary, "bytea[]"),
    (sa.String, "text[]"),
    (sa.Float, "double precision[]"),
)


def insert_many(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert `rows`, a value for each column of `table` in its order; those whose key is there already stay.

    Past SQLAlchemy's parameter handling, which would cost more than the database: thousands of rows belong to a chunk.
    """
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        columns = [list(column) for column in zip(*rows, strict=True)]
        connection.exec_driver_sql(_postgresql(table), tuple(columns))
    else:
        connection.exec_driver_sql(_sqlite(table), list(rows))


@cache
def _sqlite(table: sa.Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return f"INSERT OR IGNORE INTO {table.name} ({names}) VALUES ({', '.join('?' * len(table.columns))})"  # noqa: S608


@cache
def _postgresql(table: sa.Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    arrays = ", ".join(f"%s::{_array(column)}" for column in table.columns)
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"  # noqa: S608


def _array(column: sa.Column[Any]) -> str:
    return next(name for kind, name in _ARRAYS if isinstance(column.type, kind))
