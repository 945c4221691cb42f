"""The pages say what the code does: every setting with its default, every field, every tensor, every link."""

import re
from pathlib import Path

import pytest

from bridge.settings import BridgeSettings
from kelp.card import Card
from kelp.detections.tensors import DETECTOR_OUTPUTS
from kelp.settings.model import MODEL_SETTINGS, ModelSetting

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("field", BridgeSettings.model_fields)
def test_every_setting_of_the_bridge_stands_with_its_default(field: str) -> None:
    name = f"KELP_{field.upper()}"
    row = next(
        (line for line in page("bridge.md").splitlines() if line.startswith("| `") and f"`{name}`" in line), None
    )
    assert row, f"docs/bridge.md has no row for {name}"
    default = BridgeSettings.model_fields[field].default
    if isinstance(default, (int, float, str)) and default:
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        assert shown in row


@pytest.mark.parametrize("setting", [s for s in MODEL_SETTINGS if "inpaint" not in s.tasks], ids=lambda s: s.name)
def test_every_setting_of_a_detector_stands_with_its_default(setting: ModelSetting) -> None:
    row = next(line for line in page("webhooks.md").splitlines() if line.startswith(f"| `{setting.name}` |"))
    if setting.default is not None:
        shown = str(setting.default).lower() if isinstance(setting.default, bool) else str(setting.default)
        assert row.rstrip(" |").endswith(shown)


@pytest.mark.parametrize("field", Card.model_fields)
def test_every_field_of_a_card_is_described(field: str) -> None:
    rows = [line.split("|")[1] for line in page("cards.md").splitlines() if line.startswith("| `")]
    assert any(f"`{field}`" in row for row in rows)


@pytest.mark.parametrize("name", DETECTOR_OUTPUTS)
def test_every_output_tensor_is_described(name: str) -> None:
    assert f"`{name}`" in page("v2.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", text):
        assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_every_command_for_a_cluster_is_run_or_says_that_it_is_not() -> None:
    blocks = re.findall(r"^```(sh[^\n]*)\n(.*?)\n```", page("kubernetes.md"), re.M | re.S)
    assert blocks
    for kind, commands in blocks:
        assert kind == "sh cluster" or commands.startswith("# not run by the tests: "), commands
