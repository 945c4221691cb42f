"""What `make render` writes is what stands in the repository."""

import shutil
from pathlib import Path

import pytest
import yaml

from kelp import __version__
from kelp.deploy.generate.environment import cards_of
from kelp.deploy.generate.places import ENVIRONMENTS
from kelp.deploy.generate.readme import values_in
from kelp.deploy.generate.write import from_helm, rendered
from tests.deploy.conftest import NO_HELM, PLACES


def stale(files: dict[Path, str]) -> list[str]:
    return [
        str(path.relative_to(PLACES.root))
        for path, text in files.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def test_what_needs_no_helm() -> None:
    assert not stale(rendered(PLACES)), "run `make render`"


@pytest.mark.skipif(shutil.which("helm") is None, reason=NO_HELM)
def test_what_is_made_of_the_chart() -> None:
    files = from_helm(PLACES)
    assert not stale(files), "run `make render`"
    kept = {path for name in ENVIRONMENTS for path in (PLACES.environment(name) / "platform").iterdir()}
    assert kept <= files.keys(), "a file that nothing makes any more"


def test_the_chart_has_the_platforms_version() -> None:
    chart = yaml.safe_load((PLACES.chart / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_every_value_is_described() -> None:
    values = values_in((PLACES.chart / "values.yaml").read_text())
    assert len(values) > 60
    assert not [value.path for value in values if not value.comment]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_shipped_card_is_in_every_environment(name: str) -> None:
    assert {card.name for card in cards_of(PLACES, name)} == {path.stem for path in PLACES.cards.glob("*.yaml")}


def test_the_shipped_cards_ask_for_what_the_docs_say() -> None:
    for path in PLACES.cards.glob("*yolo*.yaml"):
        resources = yaml.safe_load(path.read_text())["resources"]
        assert resources["requests"] == {"cpu": "2", "memory": "8Gi"}
        assert resources["limits"] == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}
