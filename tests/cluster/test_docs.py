"""The commands of docs/kubernetes.md, run as they stand there, one after another."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.support import cards
from tests.cluster.support.annotating import pictures
from tests.cluster.support.platform import TOKEN, Platform
from tests.cluster.support.shell import ROOT
from tests.support.cvat import PASSWORD, SECRET

PAGE = ROOT / "docs" / "kubernetes.md"
BLOCKS = re.findall(r"^```sh cluster\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
MODEL = "corals"


@pytest.fixture(scope="module")
def place(platform: Platform, folder: Path) -> Path:
    """A folder in which somebody follows the page: the checkout's parts, their own values, card and picture."""
    for name in ("charts", "environments"):
        (folder / name).symlink_to(ROOT / name)
    named = {name: {"existingSecret": f"kelp-{name}"} for name in ("cvat", "webhook", "api")}
    values = platform.values(bridge=named, test={"model": ""})
    (folder / "my-values.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    cards.write(folder, cards.card(MODEL))
    (folder / "reef.jpg").write_bytes(pictures(1)[0])
    return folder


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_commands_of_the_page(platform: Platform, place: Path, number: int) -> None:
    """Each block of commands in docs/kubernetes.md that is marked for a cluster ends well, as it stands there."""
    platform.cluster.shell.run(
        "bash", "-euo", "pipefail", "-c", _here(BLOCKS[number], platform.ns), timeout_s=500, cwd=place, env=_env()
    )


def _here(commands: str, ns: str) -> str:
    """With this module's namespace for `kelp`, and what a reader fills in for `…`."""
    filled = commands.replace("-n kelp", f"-n {ns}")
    for key, value in {"password": PASSWORD, "secrets": SECRET, "token": TOKEN}.items():
        filled = filled.replace(f"{key}=…", f"{key}={value}")
    assert "…" not in filled, filled
    return filled


def _env() -> dict[str, Any]:
    """With the checkout's own `kelp` first."""
    return {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
