"""Tables of an earlier release are taken over with all that is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import exc

from bridge.store.database import _sqlite
from bridge.store.intake import NewRun
from bridge.store.migrate import upgrade
from bridge.store.tables import outputs, runs
from tests.support.postgres import Postgres

MIGRATIONS = Path(__file__).parents[2] / "bridge" / "store" / "migrations"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> sa.Engine:
    if request.param == "sqlite":
        return _sqlite(
            sa.make_url(f"sqlite:///{tmp_path / 'bridge.db'}")
        )  # as the bridge opens it, foreign keys and all
    postgres: Postgres = request.getfixturevalue("postgres")
    return sa.create_engine(postgres.database().replace("postgresql:", "postgresql+psycopg:"))


def first_release(connection: sa.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")


def row(run_id: str, **changed: Any) -> dict[str, Any]:
    new = NewRun(run_id, "detect", 0, "http://cvat", 1, 1, 1, "m", "{}", "manual", "manual", "", 1.0)
    return {**new.row(), **changed}


def test_runs_of_the_first_release_and_what_they_stored_stay(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        first_release(connection)
        old = sa.Table("runs", sa.MetaData(), autoload_with=connection)
        for run_id, state in (("a", "running"), ("b", "completed"), ("c", "queued")):
            values = {name: value for name, value in row(run_id, state=state).items() if name in old.c}
            connection.execute(sa.insert(old).values(values))
            of_run = sa.text("INSERT INTO readings (run_id, job, present) VALUES (:run, '{}', :present)")
            connection.execute(of_run, {"run": run_id, "present": b""})
    upgrade(engine)
    with engine.begin() as connection:
        found = {run.id: (run.state, run.job_id, run.target_id) for run in connection.execute(sa.select(runs))}
        assert found == {"a": ("running", 1, None), "b": ("completed", 1, None), "c": ("queued", 1, None)}
        assert connection.scalar(sa.text("SELECT count(*) FROM readings")) == 3
        assert connection.execute(sa.select(outputs)).all() == []
    engine.dispose()


def test_a_job_and_an_output_have_one_active_run_each(engine: sa.Engine) -> None:
    upgrade(engine)
    task = {"job_id": 0, "kind": "crop", "target_id": 7, "state": "running"}
    with engine.begin() as connection:
        for run_id, more in (
            ("job", {"state": "running"}),
            ("crop", task),
            ("elsewhere", {**task, "target_id": 8}),
            ("grid", {**task, "kind": "remove-grid"}),
            ("other task", {**task, "task_id": 2}),
            ("later", {**task, "state": "queued"}),
        ):
            connection.execute(sa.insert(runs).values(row(run_id, **more)))
    for more in ({"state": "running"}, task):
        with pytest.raises(exc.IntegrityError), engine.begin() as connection:
            connection.execute(sa.insert(runs).values(row("too many", **more)))
    engine.dispose()
