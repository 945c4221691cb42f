"""Deleting takes away what the pipeline made, and nothing else."""

from __future__ import annotations

import json

from tests.pipeline.conftest import NOBODY, ONE, THREE
from tests.support.cvat import pictures


def test_it_takes_away_what_it_made(bench) -> None:
    bench.write(THREE)
    bench.apply("--no-ping")
    done = bench.run("delete", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("- webhook ") == 5
    assert bench.projects() == {}
    again = bench.run("delete", "--yes")
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing of the pipeline" in again.stderr


def test_projects_that_hold_tasks_stay_unless_they_are_asked_for(bench) -> None:
    bench.write(THREE)
    bench.apply("--no-ping")
    raw = bench.project("raw")
    bench.cvat.task(raw, pictures(1))
    done = bench.run("delete", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"project {raw} '{bench.title('raw')}' stays: it holds 1 task; --with-tasks deletes" in done.stderr
    assert list(bench.projects()) == [bench.title("raw")]
    assert bench.webhooks("raw") == []

    assert bench.apply("--no-ping").returncode == 0  # it is found again
    assert bench.project("raw") == raw
    done = bench.run("delete", "--yes", "--with-tasks")
    assert f"- project {raw} '{bench.title('raw')}' with its 1 task" in done.stdout
    assert bench.projects() == {}


def test_what_others_made_stays(bench) -> None:
    adopted = bench.cvat.project([{"name": "Acropora", "type": "polygon"}], name=bench.title("corals"))
    theirs = bench.cvat.webhook(adopted, f"{NOBODY}/detect-model-webhook?model_name=corals")
    other = bench.cvat.project(name=f"{bench.name} other")
    bench.write(ONE)
    bench.apply("--no-ping")
    done = bench.run("delete", "--yes")
    assert done.returncode == 0, done.stderr
    assert [hook["id"] for hook in bench.webhooks("corals")] == [theirs]
    assert {row["id"] for row in bench.projects().values()} == {adopted, other}


def test_a_project_that_is_named_by_its_id_stays(bench) -> None:
    bench.write(ONE)
    bench.apply("--no-ping")
    number = bench.project("corals")
    bench.write({"corals": {**ONE["corals"], "id": number}})
    assert bench.run("delete", "--yes").returncode == 0
    assert bench.project("corals") == number
    assert bench.webhooks("corals") == []


def test_another_pipeline_is_another(bench) -> None:
    bench.write(ONE)
    bench.apply("--no-ping")
    first = bench.name
    bench.name = f"{first}-b"
    bench.write({"corals": {**ONE["corals"], "name": f"{first}-b corals"}})
    bench.apply("--no-ping")
    bench.run("delete", "--yes")
    bench.name = first
    assert list(bench.projects()) == [bench.title("corals")]
    assert len(bench.webhooks("corals")) == 1


def test_without_consent_everything_stays(bench) -> None:
    bench.write(ONE)
    bench.apply("--no-ping")
    assert bench.run("delete").returncode == 2
    shown = bench.run("delete", "--dry-run", "-o", "json")
    assert (shown.returncode, json.loads(shown.stdout)["deleted"]) == (0, False)
    assert len(bench.webhooks("corals")) == 1
