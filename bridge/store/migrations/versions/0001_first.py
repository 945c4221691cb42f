"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LONG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
QUEUED = sa.text("state IN ('queued')")
ACTIVE = sa.text("state IN ('running', 'waiting')")


def of_run(*, primary_key: bool = True) -> sa.Column[str]:
    return sa.Column("run_id", sa.String(32), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=primary_key)


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("instance", sa.Text, nullable=False),
        sa.Column("project_id", LONG),
        sa.Column("task_id", LONG),
        sa.Column("job_id", LONG, nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("cause", sa.String(16), nullable=False),
        sa.Column("caused_by", sa.String(150), nullable=False),
        sa.Column("batch", sa.String(32)),
        sa.Column("trace", sa.String(64)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("executor", sa.String(128)),
        sa.Column("workflow_version", sa.String(32)),
        sa.Column("again", sa.Boolean, nullable=False),
        sa.Column("cancel", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("message", sa.Text),
        sa.Column("details", sa.Text),
        sa.Column("frames_total", sa.Integer),
        sa.Column("frames_done", sa.Integer, nullable=False),
        sa.Column("frames_failed", sa.Integer, nullable=False),
        sa.Column("shapes_found", sa.Integer, nullable=False),
        sa.Column("shapes_written", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.Column("updated_at", sa.Double, nullable=False),
    )
    op.create_index("runs_turn", "runs", ["lane", "created_at", "id"], sqlite_where=QUEUED, postgresql_where=QUEUED)
    op.create_index("runs_ended", "runs", ["finished_at", "state"])
    op.create_index("runs_listed", "runs", ["created_at", "id"])
    op.create_index(
        "runs_one_a_job", "runs", ["instance", "job_id"], unique=True, sqlite_where=ACTIVE, postgresql_where=ACTIVE
    )
    op.create_table(
        "readings",
        of_run(),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("present", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "frames",
        of_run(),
        sa.Column("frame", sa.Integer, primary_key=True),
        sa.Column("error", sa.Text),
        sa.Column("shapes", sa.Integer, nullable=False),
        sa.Column("tags", sa.Integer, nullable=False),
        sa.Column("scores", sa.LargeBinary, nullable=False),
        sa.Column("lengths", sa.LargeBinary, nullable=False),
        sa.Column("bodies", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "chunks",
        of_run(),
        sa.Column("chunk", sa.Integer, primary_key=True),
        sa.Column("keys", sa.LargeBinary, nullable=False),
        sa.Column("ids", sa.LargeBinary),
        sa.Column("sent_at", sa.Double, nullable=False),
        sa.Column("sendings", sa.Integer, nullable=False),
    )
    op.create_table(
        "ledger",
        sa.Column("instance", sa.Text, primary_key=True),
        sa.Column("job_id", LONG, primary_key=True, autoincrement=False),
        sa.Column("is_tag", sa.Boolean, primary_key=True),
        sa.Column("shape_id", LONG, primary_key=True, autoincrement=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("frame", sa.Integer, nullable=False),
        sa.Column("hash", sa.LargeBinary(16), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "ledger_jobs",
        sa.Column("instance", sa.Text, primary_key=True),
        sa.Column("job_id", LONG, primary_key=True, autoincrement=False),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
    op.create_table(
        "executors",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("nonce", sa.String(32), nullable=False),
        sa.Column("beat_at", sa.Double, nullable=False),
    )
    op.create_table(
        "facts",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "models",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
