"""Runs that make a task from a task, and the tasks they made."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LONG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
ON_JOB = sa.text("state IN ('running', 'waiting') AND job_id > 0")
TO_TARGET = sa.text("state IN ('running', 'waiting') AND target_id IS NOT NULL")


def upgrade() -> None:
    op.add_column("runs", sa.Column("target_id", LONG))
    op.drop_index("runs_one_a_job", "runs")
    op.create_index(
        "runs_one_a_job", "runs", ["instance", "job_id"], unique=True, sqlite_where=ON_JOB, postgresql_where=ON_JOB
    )
    op.create_index(
        "runs_one_an_output",
        "runs",
        ["instance", "kind", "task_id", "target_id"],
        unique=True,
        sqlite_where=TO_TARGET,
        postgresql_where=TO_TARGET,
    )
    op.create_table(
        "outputs",
        sa.Column("instance", sa.Text, primary_key=True),
        sa.Column("mark", sa.String(256), primary_key=True),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("task_id", LONG),
        sa.Column("finished", sa.Boolean, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
    )
