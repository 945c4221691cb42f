"""Alerts and panels ask for what there is, by names that the code has; what promtool says of the rules."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from bridge.store.tables import STATES
from kelp.card.metadata import State
from tests.monitoring import names
from tests.monitoring.queries import selectors

ROOT = Path(__file__).parents[2]
FILES = ROOT / "charts" / "kelp" / "files" / "monitoring"
RULES = yaml.safe_load((FILES / "rules.yaml").read_text())
PANELS = json.loads((FILES / "kelp.json").read_text())
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
VARIABLES = {"$__rate_interval": "5m", "$__range": "6h", "$namespace": "kelp", "$model": ".*"}

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def rules() -> Iterator[dict[str, Any]]:
    for group in RULES["groups"]:
        yield from group["rules"]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def recorded() -> dict[str, frozenset[str]]:
    return {rule["record"]: frozenset({"model", *rule["labels"]}) for rule in rules() if "record" in rule}


def known() -> dict[str, frozenset[str]]:
    ours = {**names.bridge(), **names.predictor()}
    targets = {name: labels | names.TARGET for name, labels in ours.items()}
    return {**targets, **names.outside(), **recorded()}


def queries() -> list[Any]:
    of_rules = [pytest.param(rule["expr"], id=rule.get("alert") or rule["record"]) for rule in rules()]
    of_panels = []
    for panel in PANELS["panels"]:
        for number, target in enumerate(panel.get("targets", ())):
            query = target["expr"]
            for variable, value in VARIABLES.items():
                query = query.replace(variable, value)
            of_panels.append(pytest.param(query, id=f"{panel['title']}-{panel['id']}-{number}"))
    return of_rules + of_panels


@pytest.mark.parametrize("query", queries())
def test_a_query_asks_for_what_there_is(query: str) -> None:
    there = known()
    for selector in selectors(query):
        assert selector.name in there
        for label, _, value in selector.matchers:
            assert label in there[selector.name], f"{selector.name} has no label {label}"
            if label == "state":
                states = get_args(State) if selector.name == "kelp_model_state" else STATES
                assert set(value.split("|")) <= set(states)


def test_every_query_of_a_rule_says_whose_series() -> None:
    for rule in rules():
        for selector in selectors(rule["expr"]):
            assert ("namespace", "kelp") in {(label, value) for label, _, value in selector.matchers}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert {"summary", "description", "runbook"} <= alert["annotations"].keys()
    assert f"### {alert['alert']}\n" in PAGE
    assert alert["annotations"]["runbook"] == f"docs/monitoring.md#{alert['alert'].lower()}"


def test_the_page_names_every_metric_and_no_other() -> None:
    def families(samples: Any) -> set[str]:
        return {re.sub(r"_(bucket|sum|count)$", "", name) if not name.endswith("_gpus") else name for name in samples}

    ours = families(names.bridge()) | families(names.predictor()) | names.kelp_up()
    told = set(re.findall(r"`(kelp_[a-z_]+)", PAGE))
    assert ours - told == set()
    assert told - ours == set()


def test_gpu_seconds_are_counted_by_the_interval_of_their_rules() -> None:
    (group,) = [group for group in RULES["groups"] if any("record" in rule for rule in group["rules"])]
    seconds = group["interval"].removesuffix("s")
    counted = [t["expr"] for p in PANELS["panels"] for t in p.get("targets", ()) if "sum_over_time" in t["expr"]]
    assert counted
    assert all(expr.endswith(f" * {seconds}") for expr in counted)


def test_no_panel_lies_on_another() -> None:
    ids = [panel["id"] for panel in PANELS["panels"]]
    assert len(set(ids)) == len(ids)
    for one, other in combinations([panel["gridPos"] for panel in PANELS["panels"]], 2):
        apart = (
            one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        )  # fmt: skip
        assert apart, (one, other)
        assert one["x"] + one["w"] <= 24


@needs_promtool
@pytest.mark.parametrize("command", [["check", "rules", str(FILES / "rules.yaml")], ["test", "rules", "alerts.yaml"]])
def test_promtool_agrees(command: list[str]) -> None:
    done = subprocess.run(
        ["promtool", *command], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
