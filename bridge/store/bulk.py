"""Many rows in one statement, the cheap way of each database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import orjson
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


def insert_new(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], key: str) -> set[Any]:
    """Insert `rows`, a name for each column that is not NULL; the `key`s of those that were not there.

    However many there are, the statement is the same: no text of its own for each number of rows.
    """
    if connection.dialect.name == "postgresql":
        inserted = f"{_json_postgresql(table)} RETURNING {key}"
        return set(connection.exec_driver_sql(inserted, (orjson.dumps(rows).decode(),)).scalars())
    # SQLite's writer is alone: nobody comes between the two.
    query = f"SELECT {key} FROM {table.name} WHERE {key} IN (SELECT value FROM json_each(?))"  # noqa: S608
    keys = orjson.dumps([row[key] for row in rows]).decode()
    known = set(connection.exec_driver_sql(query, (keys,)).scalars())
    new = [row for row in rows if row[key] not in known]
    insert_many(connection, table, [tuple(row.get(column.name) for column in table.columns) for row in new])
    return {row[key] for row in new}


@cache
def _json_postgresql(table: sa.Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    rows = f"json_populate_recordset(NULL::{table.name}, %s::json)"
    return f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {rows} ON CONFLICT DO NOTHING"  # noqa: S608


@cache
def _sqlite(table: sa.Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    values = ", ".join("?" * len(table.columns))
    return f"INSERT INTO {table.name} ({names}) VALUES ({values}) ON CONFLICT DO NOTHING"  # noqa: S608


@cache
def _postgresql(table: sa.Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    arrays = ", ".join(f"%s::{_array(column)}" for column in table.columns)
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"  # noqa: S608


def _array(column: sa.Column[Any]) -> str:
    return next(name for kind, name in _ARRAYS if isinstance(column.type, kind))
