"""What the pages for people who come from Nuclio tell them to type works as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from demo.reef import DEMO_SEEDS, render
from demo.training import pages
from kelp.cli.lazy import COMMANDS, load
from tests.describe import files
from tests.local.conftest import Up, starter

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FOLLOWED = [DOCS / "nuclio.md", DOCS / "production.md", *sorted((DOCS / "models").glob("*.md"))]
NOT_RUN = "# not run by the tests: "
REEF = ROOT / "demo" / "weights"
TINY = ROOT / "tests" / "data" / "weights"


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)\n```", page.read_text(encoding="utf-8"), re.M | re.S)


def to_run(page: Path) -> list[str]:
    return [block for block in blocks(page) if not block.startswith(NOT_RUN)]


def commands(page: Path) -> Iterator[list[str]]:
    """Every `kelp …` of a page, in its blocks and in its text, as words."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in blocks(page) for line in block.splitlines()]
    lines += re.findall(r"`(kelp [^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    for line in lines:
        for part in re.split(r" [>|] |\\\| ", line):
            words = shlex.split(part, comments=True)
            if words[:1] == ["kelp"] and len(words) > 1:
                yield words[1:]


@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.name)
def test_every_command_and_option_exists(page: Path) -> None:
    for words in commands(page):
        assert words[0] in COMMANDS, words
        command = load(words[0])
        names = words[1:]
        if hasattr(command, "commands") and names and names[0] in command.commands:
            command, names = command.commands[names[0]], names[1:]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for word in names:
            if word.startswith("-") and word != "-":
                assert word.partition("=")[0] in known, f"{page.name}: kelp {' '.join(words)}: {word}"


@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.name)
def test_what_is_not_run_says_why(page: Path) -> None:
    for block in blocks(page):
        assert block.startswith(NOT_RUN) or page.name in {"nuclio.md", "README.md"}


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder as a training and the Nuclio functions leave it, with pictures."""
    for run in ("criobe_finegrained_yolo11m", "train7"):
        weights = tmp_path / "runs" / "segment" / run / "weights"
        weights.mkdir(parents=True)
        shutil.copy(REEF / "pth-yolo-coralsegv4.pt", weights / "best.pt")
    packed = tmp_path / "deploy" / "gridcorners" / "nuclio"
    packed.mkdir(parents=True)
    shutil.copy(TINY / "yolo-tiny-pose.pt", packed / "model_weights.pt")
    files.template(packed / "kp_template.npy", 2, 2)
    (tmp_path / "weights").mkdir()
    shutil.copy(TINY / "yolo-tiny-detect.pt", tmp_path / "weights" / "best.pt")
    for name in ("quadrats", "pictures"):
        (tmp_path / name).mkdir()
        for seed in DEMO_SEEDS[:2]:
            cv2.imwrite(str(tmp_path / name / f"{seed}.jpg"), render(seed, 480).image[..., ::-1])
    (tmp_path / "models").mkdir()
    return tmp_path


def run(block: str, desk: Path, up: Up | None) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KELP_")}
    environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "KELP_MODELS": "models"}
    if up is not None:
        environment |= {"KELP_V2_URL": up.url, "KELP_CACHE": str(desk / "cache")}
        block = block.replace("http://127.0.0.1:8100", up.url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=desk, env=environment, capture_output=True, text=True,
        timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def test_the_way_from_nuclio_is_walked(desk: Path) -> None:
    first, *rest = to_run(DOCS / "nuclio.md")
    run(first, desk, None)
    with starter(desk) as start:
        up = start([sys.executable, "-m", "kelp.cli", "up", "--no-bridge"])
        for block in rest:
            run(block, desk, up)
        assert len(list((desk / "found").iterdir())) == 2
        assert sorted(up.http.get("/v2").json()) is not None
        names = {model["name"] for model in up.http.post("/v2/repository/index").json()}
    assert names == {"pth-yolo-coralsegv4", "pth-yolo-coralsegv4-v2", "pth-yolo-gridcorners"}


def test_the_models_page_is_walked(desk: Path) -> None:
    for block in to_run(DOCS / "models" / "README.md"):
        run(block, desk, None)
    assert (desk / "models" / "corals-onnx.yaml").exists()


def test_the_models_pages_say_what_the_cards_say() -> None:
    stale = [page.name for page, text in pages.renewed() if page.read_text(encoding="utf-8") != text]
    assert not stale, f"{stale}: `python -m demo.training.pages` renews them"
