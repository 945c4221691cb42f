"""The tables, as SQLAlchemy Core sees them. `migrations/versions` makes them; a test holds the two together.

Times are seconds since 1970 (UTC). Packed columns are little-endian arrays, so that a job of thousands of shapes is a
row a frame, not a row a shape.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

metadata = sa.MetaData()
_Long = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_Time: sa.Double[float] = sa.Double()

UNFINISHED = ("queued", "running", "waiting")
ACTIVE = ("running", "waiting")
FINISHED = ("completed", "completed_with_errors", "failed", "cancelled", "skipped")
STATES = (*UNFINISHED, *FINISHED)

# A run: accepted by one insert here, before anybody is told so.
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),  # detect, crop, remove-grid
    sa.Column("state", sa.String(24), nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False),  # 0 one job that somebody waits for, 1 part of a batch
    sa.Column("lane", sa.Text, nullable=False),  # priority, project (or task), model: one of a lane is like the next
    sa.Column("instance", sa.Text, nullable=False),
    sa.Column("project_id", _Long),
    sa.Column("task_id", _Long),
    sa.Column("job_id", _Long, nullable=False),  # 0: the run is on a whole task
    sa.Column("target_id", _Long),  # of a run that makes a task: the project it is made in
    sa.Column("model", sa.String(128), nullable=False),  # empty: it needs none
    sa.Column("parameters", sa.Text, nullable=False),  # JSON, normal form
    sa.Column("event", sa.String(32), nullable=False),
    sa.Column("cause", sa.String(16), nullable=False),  # what of a webhook's `on` it was, or manual
    sa.Column("caused_by", sa.String(150), nullable=False),
    sa.Column("batch", sa.String(32)),
    sa.Column("trace", sa.String(64)),  # traceparent of the request that asked for it, where that was traced
    sa.Column("attempt", sa.Integer, nullable=False),  # how often somebody asked for it, retries included
    sa.Column("epoch", sa.Integer, nullable=False),  # rises with each claim: an older claim may write nothing more
    sa.Column("executor", sa.String(128)),
    sa.Column("workflow_version", sa.String(32)),
    sa.Column("again", sa.Boolean, nullable=False),  # forget the stored shapes before the next attempt
    sa.Column("cancel", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text),  # why it failed, was skipped, or ended with errors
    sa.Column("message", sa.Text),  # what it is doing or waiting for
    sa.Column("details", sa.Text),  # JSON: model, settings, labels that the project lacks…
    sa.Column("frames_total", sa.Integer),
    sa.Column("frames_done", sa.Integer, nullable=False),
    sa.Column("frames_failed", sa.Integer, nullable=False),
    sa.Column("shapes_found", sa.Integer, nullable=False),
    sa.Column("shapes_written", sa.Integer, nullable=False),
    sa.Column("created_at", _Time, nullable=False),
    sa.Column("started_at", _Time),
    sa.Column("finished_at", _Time),
    sa.Column("updated_at", _Time, nullable=False),
)


def state_is(states: Iterable[str], table: sa.FromClause = runs) -> sa.ColumnElement[bool]:
    """Written out, not as parameters: only so does a database see that an index of these states alone will do."""
    return table.c.state.in_([sa.literal_column(f"'{state}'") for state in states])


is_queued, is_active, is_finished = state_is(["queued"]), state_is(ACTIVE), state_is(FINISHED)

sa.Index("runs_turn", runs.c.lane, runs.c.created_at, runs.c.id, sqlite_where=is_queued, postgresql_where=is_queued)
sa.Index("runs_ended", runs.c.finished_at, runs.c.state)
sa.Index("runs_listed", runs.c.created_at, runs.c.id)
# Runs on one job never overlap, whichever bridge claims them; nor do those that would make the same task.
_on_job, _to_target = (
    sa.and_(is_active, runs.c.job_id > sa.literal_column("0")),
    sa.and_(is_active, runs.c.target_id.is_not(None)),
)
sa.Index(
    "runs_one_a_job", runs.c.instance, runs.c.job_id,
    unique=True, sqlite_where=_on_job, postgresql_where=_on_job,
)  # fmt: skip
sa.Index(
    "runs_one_an_output", runs.c.instance, runs.c.kind, runs.c.task_id, runs.c.target_id,
    unique=True, sqlite_where=_to_target, postgresql_where=_to_target,
)  # fmt: skip

# What a run read from CVAT before it did anything.
readings = sa.Table(
    "readings",
    metadata,
    sa.Column("run_id", sa.String(32), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("job", sa.Text, nullable=False),  # JSON: the job, its frames and labels
    sa.Column("present", sa.LargeBinary, nullable=False),  # int64: ids of the shapes that were there, then 0, then tags
)

# One row a frame that was answered (or set aside), with the shapes to write on it.
frames = sa.Table(
    "frames",
    metadata,
    sa.Column("run_id", sa.String(32), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("frame", sa.Integer, primary_key=True),
    sa.Column("error", sa.Text),  # why it was set aside
    sa.Column("shapes", sa.Integer, nullable=False),
    sa.Column("tags", sa.Integer, nullable=False),  # how many of the shapes, at the end, are tags
    sa.Column("scores", sa.LargeBinary, nullable=False),  # float32 [shapes]
    sa.Column("lengths", sa.LargeBinary, nullable=False),  # int32 [shapes]: bytes of each in `bodies`
    sa.Column("bodies", sa.LargeBinary, nullable=False),  # JSON objects as CVAT takes them, one after the other
)

# One row a request that creates shapes: written before it is sent, completed by CVAT's answer.
chunks = sa.Table(
    "chunks",
    metadata,
    sa.Column("run_id", sa.String(32), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("chunk", sa.Integer, primary_key=True),
    sa.Column("keys", sa.LargeBinary, nullable=False),  # int32 [n, 2]: frame, index within it
    sa.Column("ids", sa.LargeBinary),  # int64 [n]: CVAT's, once answered
    sa.Column("sent_at", _Time, nullable=False),
    sa.Column("sendings", sa.Integer, nullable=False),  # more than one: an earlier sending may still arrive
)

# Whose a shape in CVAT is. Kept until the job is gone from CVAT.
ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("instance", sa.Text, primary_key=True),
    sa.Column("job_id", _Long, primary_key=True),
    sa.Column("is_tag", sa.Boolean, primary_key=True),
    sa.Column("shape_id", _Long, primary_key=True),
    sa.Column("model", sa.String(128), nullable=False),  # without its version
    sa.Column("frame", sa.Integer, nullable=False),
    sa.Column("hash", sa.LargeBinary(16), nullable=False),  # of `content`
    sa.Column("content", sa.LargeBinary, nullable=False),  # CVAT's answer at creation, in normal form
)

# When each job of the ledger was last seen in CVAT.
ledger_jobs = sa.Table(
    "ledger_jobs",
    metadata,
    sa.Column("instance", sa.Text, primary_key=True),
    sa.Column("job_id", _Long, primary_key=True),
    sa.Column("seen_at", _Time, nullable=False),
)

# Tasks that runs made, by the mark that CVAT finds them by: one for each, for ever.
outputs = sa.Table(
    "outputs",
    metadata,
    sa.Column("instance", sa.Text, primary_key=True),
    sa.Column("mark", sa.String(256), primary_key=True),
    sa.Column("run_id", sa.String(32), nullable=False),
    sa.Column("task_id", _Long),  # CVAT's, once it is known
    sa.Column("finished", sa.Boolean, nullable=False),  # all of its frames are in it
    sa.Column("made_at", _Time, nullable=False),
)

# The bridges of this database and when each was last heard of.
executors = sa.Table(
    "executors",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("nonce", sa.String(32), nullable=False),  # of the process: a restarted one is another
    sa.Column("beat_at", _Time, nullable=False),
)

# Facts about this installation, by name: when it first started, how far it has caught up.
facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

# Models that were seen at least once: a name in here is no typing error.
models = sa.Table(
    "models",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("seen_at", _Time, nullable=False),
)
