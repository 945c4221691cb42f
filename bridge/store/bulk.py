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


def insert_objects(connection: sa.Connection, table: sa.Table, objects: str, returning: sa.Column[Any]) -> list[Any]:
    """Insert `objects` (JSON: a list of objects, a name for each column that is not NULL); `returning` of the new ones.

    However many there are, it is one statement with one parameter: no text of its own for each number of rows.
    """
    text = _json_postgresql(table) if connection.dialect.name == "postgresql" else _json_sqlite(table)
    return list(connection.exec_driver_sql(f"{text} RETURNING {returning.name}", (objects,)).scalars())


@cache
def _json_sqlite(table: sa.Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    values = ", ".join(f"json_extract(value, '$.{column.name}')" for column in table.columns)
    return f"INSERT INTO {table.name} ({names}) SELECT {values} FROM json_each(?) WHERE true ON CONFLICT DO NOTHING"  # noqa: S608


@cache
def _json_postgresql(table: sa.Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    rows = f"json_populate_recordset(NULL::{table.name}, %s::json)"
    return f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {rows} ON CONFLICT DO NOTHING"  # noqa: S608


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
