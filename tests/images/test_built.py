"""The images that this machine has built: they need nothing but /tmp to write to, and are as large as the page says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kelp import __version__
from tests.images.test_build import table

ROOT = Path(__file__).parents[2]
SANDBOX = [
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--tmpfs",
    "/tmp",
    "--network",
    "none",
]
IMPORTS = {
    "bridge": "import bridge.runs.engine, kelp.cli.app, kelp.deploy, kubernetes.client, kelp.tracing.sdk",
    "predictor": "import predictors.serving.process, predictors.yolo, onnxruntime, kelp.tracing.sdk",
    "up": "import kelp.local.up, bridge.process, predictors.serving.process, onnxruntime",
}

pytestmark = pytest.mark.slow


@pytest.fixture(params=sorted(table()))
def image(request: pytest.FixtureRequest) -> str:
    """The name of an image that is on this machine."""
    name = f"{os.environ.get('KELP_TEST_IMAGE_PREFIX', '')}{request.param}:{__version__}"
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False).returncode
    ):
        pytest.skip(f"no image {name} here (make images; KELP_TEST_IMAGE_PREFIX names their prefix)")
    return name


def short(image: str) -> str:
    return image.rsplit("/", 1)[-1].split(":")[0]


def inside(image: str, *command: str) -> str:
    line = ["docker", "run", "--rm", *SANDBOX, "--entrypoint", command[0], image, *command[1:]]
    run = subprocess.run(line, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_it_imports_what_it_runs_without_a_network_and_without_a_right(image: str) -> None:
    said = inside(
        image, "python", "-W", "error::ImportWarning", "-c", f"{IMPORTS[table()[short(image)][0]]}; print('fine')"
    )
    assert said == "fine\n"
    assert inside(image, "id", "-u").strip() == "65532"


def test_all_of_it_is_byte_compiled_and_nothing_of_the_build_is_left(image: str) -> None:
    source = inside(image, "sh", "-c", "find /opt -name '*.py' | wc -l; find /opt -name '*.pyc' | wc -l")
    sources, compiled = map(int, source.split())
    # A few files that packages carry are of another Python.
    assert compiled >= 0.99 * sources > 1000
    tools = inside(image, "sh", "-c", "command -v gcc cc make git /opt/venv/bin/pip; true")
    assert tools == ""


def test_weights_and_cards_are_in_no_image(image: str) -> None:
    found = inside(image, "sh", "-c", "find /opt/kelp -name '*.onnx' -o -name '*.pt' -o -name 'demo' -o -name 'tests'")
    assert found == ""


def test_it_holds_its_rooms_and_no_other(image: str) -> None:
    rooms = inside(image, "sh", "-c", "cd /opt/kelp && ls -d */").split()
    assert {room.strip("/") for room in rooms} == {"bin", *table()[short(image)][2]}


def test_the_page_says_how_large_it_is(image: str) -> None:
    page = (ROOT / "docs/images.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| `{short(image)}` |"))
    told = int(re.sub(r"\D", "", row.split("|")[5]))
    size = subprocess.run(
        ["docker", "image", "inspect", image, "-f", "{{.Size}}"], capture_output=True, text=True, check=True
    ).stdout
    assert int(size) / 1e6 == pytest.approx(told, rel=0.1)
