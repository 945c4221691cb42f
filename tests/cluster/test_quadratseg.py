"""The six shipped models on a cluster: each answers through the gateway, sleeps when nobody asks, and wakes again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.support import cards
from tests.cluster.support.images import Images, build_and_load
from tests.cluster.support.platform import Platform
from tests.cluster.support.results import Results
from tests.cluster.support.shell import ROOT, Shell

SHIPPED = {path.stem: path for path in sorted((ROOT / "environments" / "models").glob("*.yaml"))}
CORALSCOP = "pth-mmseg-coralscopsegformer"
DETECTED = {"box", "score", "label_id"}
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def models(platform: Platform, folder: Path) -> Platform:
    """A platform with every shipped model, asleep."""
    platform.install(folder)
    platform.deploy(str(cards.write(folder / "cards", *map(_small, SHIPPED.values()))), "--no-wake")
    return platform


@pytest.mark.parametrize("name", SHIPPED)
def test_answers_sleeps_and_wakes(
    models: Platform, built: Images, shell: Shell, inside: Run, results: Results, name: str
) -> None:
    """A shipped model, asleep, answers a request through the gateway; idle, it has no pod; asked again, it answers."""
    if name == CORALSCOP:
        build_and_load(shell, built, "kelp-coralscop")
    card = _small(SHIPPED[name])
    given, wanted = ("hole", {"image"}) if card["task"] == "inpaint" else ("image", DETECTED)
    cold = []
    for _ in range(2):
        models.wait_asleep(name)
        answer = inside("cold", "rest", models.host(name), name, given, timeout_s=300)
        assert wanted <= set(answer["outputs"])
        cold.append(answer["answered"] - answer["sent"])
    results.figure(f"cold start, {name}", cold, "s")


def _small(path: Path) -> dict[str, Any]:
    """A shipped card with what a small cluster can give."""
    data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    data["weights"]["uri"] = str((path.parent / data["weights"]["uri"]).resolve())
    limits = cards.SMALL["limits"] | ({"memory": "4Gi"} if data["name"] == CORALSCOP else {})
    return data | {
        "resources": {"requests": cards.SMALL["requests"], "limits": limits},
        "scale": {"retention": cards.RETENTION_S, "concurrency": 8},
    }
