"""The table of what Knative must have, and the objects that are made of it."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def bash(line: str) -> str:
    return subprocess.run(
        ["bash", "-euc", f". environments/knative.sh; {line}"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def table() -> list[list[str]]:
    return [line.split(maxsplit=4) for line in bash("settings").splitlines()]


@pytest.mark.parametrize(
    ("how", "value", "have", "becomes"),
    [
        ("is", "enabled", "", "enabled"),
        ("is", "enabled", "disabled", "enabled"),
        ("is", "enabled", "enabled", ""),
        ("min", "1800", "600", "1800"),
        ("min", "1800", "", "1800"),
        ("min", "1800", "3600", ""),
        ("has", "kind.local", "dev.local", "dev.local,kind.local"),
        ("has", "kind.local", "dev.local,kind.local", ""),
        ("has", "kind.local", "notkind.local", "notkind.local,kind.local"),
        ("has", "kind.local", "", "kind.local"),
    ],
)
def test_a_setting_is_changed_only_where_it_will_not_do(how: str, value: str, have: str, becomes: str) -> None:
    assert bash(f"wanted '{how}' '{value}' '{have}'").strip() == becomes


def test_every_row_says_what_it_is_for() -> None:
    rows = table()
    assert all(len(row) == 5 and row[2] in {"is", "min", "has"} for row in rows)
    assert all(row[0].startswith("config-") for row in rows)
    assert len({(row[0], row[1]) for row in rows}) == len(rows)


def test_a_new_installation_has_all_of_it() -> None:
    made = yaml.safe_load(bash("knative_serving 1.2.3 models.example.com"))
    assert made["spec"]["version"] == "1.2.3"
    config = made["spec"]["config"]
    assert config["domain"] == {"models.example.com": ""}
    for map_name, key, how, value, _ in table():
        given = config[map_name.removeprefix("config-")][key]
        assert value in given.split(",") if how == "has" else given == value


def test_kserve_is_given_its_gateways_and_the_domain() -> None:
    patch = json.loads(bash("kserve_patch models.example.com"))["data"]
    ingress = json.loads(patch["ingress"])
    assert ingress["ingressDomain"] == "models.example.com"
    assert ingress["domainTemplate"] == "{{ .Name }}-{{ .Namespace }}.{{ .IngressDomain }}"
    assert json.loads(patch["deploy"])["defaultDeploymentMode"] == "Serverless"
