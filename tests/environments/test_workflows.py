"""The workflows: actions pinned by commit, what they run is there, no secret reaches a command line."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github/workflows").glob("*.yaml"))


def steps(path: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def test_there_is_one_for_each_thing() -> None:
    assert {path.stem for path in FILES} == {"test", "images", "chart", "deploy"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_actions_are_pinned_by_their_commit_and_named_by_their_version(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        if "uses:" in line:
            assert re.search(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_job_has_an_end_few_rights_and_a_fixed_runner(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        assert re.fullmatch(r"ubuntu-\d\d\.\d\d", job["runs-on"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_it_runs_is_there(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for step in steps(path):
        command = step.get("run", "")
        assert set(re.findall(r"\bmake ([a-z-]+)", command)) <= targets
        for script in re.findall(r"(?:^|\s)((?:environments|images)/\S+\.sh)", command):
            assert (ROOT / script).is_file(), script


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_from_outside_is_pasted_into_a_command(path: Path) -> None:
    """An expression in `run` is text of a shell script: a branch's name could be a command. Variables carry it."""
    for step in steps(path):
        inserted = re.findall(r"\$\{\{\s*([\w.-]+)", step.get("run", ""))
        assert [name for name in inserted if not name.startswith("matrix.")] == []


def test_actionlint_has_nothing_to_say() -> None:
    checker = shutil.which("actionlint")
    if checker is None:
        pytest.skip("no actionlint on this machine")
    found = subprocess.run([checker, *FILES], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
