"""Brings the tables to this release's form at start, however many processes start at once."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from bridge import log
from kelp.errors import Unreachable
from kelp.settings.process import SettingsError

HEAD = "0002"
_FOLDER = Path(__file__).parent / "migrations"


def upgrade(engine: sa.Engine) -> None:
    """Apply what is missing in one transaction, under a lock. SettingsError if a newer release made the tables,
    Unreachable where there is no database to work with.
    """
    try:
        _upgrade(engine)
    except exc.OperationalError as error:
        # The driver's own words name host and port, and no password; on several lines, though.
        why = " ".join(str(error.orig).split())
        what = f"KELP_DATABASE_URL: the database cannot be used: {why}"
        raise Unreachable(what, code="database_unavailable") from None


def _upgrade(engine: sa.Engine) -> None:
    with engine.begin() as connection:  # SQLite: this takes the write lock
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('kelp:migrate', 0))"))
        current = _current(connection)
        if current == HEAD:
            return
        # Imported only when there is something to do: it would weigh on every start.
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError:
            raise SettingsError(
                f"KELP_DATABASE_URL: the tables ('{current}') are a newer release's; use that bridge or a later one"
            ) from None
        log.event("migrated", before=current or "nothing", after=HEAD)


def _current(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return version
