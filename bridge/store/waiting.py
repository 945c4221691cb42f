"""How long runs have waited for their turn."""

from __future__ import annotations

import sqlalchemy as sa

from bridge.store.tables import runs

# Written out, so that the index of queued runs will do.
_QUEUED = runs.c.state.in_([sa.literal_column("'queued'")])
_SINCE = sa.select(runs.c.priority, sa.func.min(runs.c.updated_at).label("since")).where(_QUEUED).group_by("priority")


def since_by_priority(connection: sa.Connection) -> dict[int, float]:
    """Since when (seconds since 1970) the first one of each priority that has any waits; a retry waits anew."""
    return {row.priority: row.since for row in connection.execute(_SINCE)}
