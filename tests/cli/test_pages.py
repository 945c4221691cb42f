"""The pages say what the code does: every command, every setting, every exit code."""

from __future__ import annotations

import pytest

from kelp.cli import exits
from kelp.cli.lazy import COMMANDS
from kelp.local.settings import CallerSettings, UpSettings
from kelp.settings.process import PREFIX
from tests.local.conftest import ROOT

COMMAND_LINE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
KELP_UP = (ROOT / "docs" / "kelp-up.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_line(name):
    assert f"| `kelp {name}" in COMMAND_LINE


@pytest.mark.parametrize("field", UpSettings.model_fields)
def test_every_setting_of_kelp_up_is_described_with_its_default(field):
    row = next(line for line in KELP_UP.splitlines() if line.startswith("| `") and f"`{PREFIX}{field.upper()}`" in line)
    default = UpSettings.model_fields[field].default
    if isinstance(default, str | int) and default:
        assert str(default) in row


@pytest.mark.parametrize("field", [f for f in CallerSettings.model_fields if f != "cache"])
def test_every_setting_of_callers_is_described(field):
    assert f"| `{PREFIX}{field.upper()}` |" in COMMAND_LINE


def test_every_exit_code_is_described():
    codes = {
        exits.OK,
        exits.FAILED,
        exits.USAGE,
        exits.UNREACHABLE,
        exits.NOT_ALLOWED,
        exits.NOT_WORKING,
        exits.INTERRUPTED,
    }
    assert {int(line.split("|")[1]) for line in COMMAND_LINE.splitlines() if line[2:3].isdigit()} == codes
