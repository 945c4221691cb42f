"""compose.yaml taken by Docker Compose, and run: where this machine has it, and the images."""

import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kelp import __version__
from tests.support.predictor import free_port

ROOT = Path(__file__).parents[2]


def compose_program() -> list[str] | None:
    """Docker Compose 2 or later, if it is on this machine."""
    named = os.environ.get("KELP_TEST_COMPOSE")
    for program in ([named],) if named else (["docker-compose"], ["docker", "compose"]):
        if shutil.which(program[0]):
            asked = subprocess.run([*program, "version"], capture_output=True, text=True, check=False)
            if asked.returncode == 0 and not re.search(r"version 1\.", asked.stdout):
                return program
    return None


@pytest.fixture
def compose(tmp_path: Path) -> list[str]:
    program = compose_program()
    if program is None:
        pytest.skip("no Docker Compose 2 on this machine (KELP_TEST_COMPOSE names it)")
    project = f"kelp-test-{os.getpid()}"
    return [*program, "-f", str(ROOT / "compose.yaml"), "-p", project, "--env-file", str(tmp_path / "env")]


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_compose_takes_it(compose: list[str], tmp_path: Path, profile: str) -> None:
    shutil.copy(ROOT / "compose.env.example", tmp_path / "env")
    shown = subprocess.run([*compose, "--profile", profile, "config"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert {"cpu": "models", "gpu": "models-gpu"}[profile] in yaml.safe_load(shown.stdout)["services"]


@pytest.fixture
def running(compose: list[str], tmp_path: Path) -> Iterator[dict[str, int]]:
    """Bridge and models of images that are here, without a CVAT; the ports they are reached on."""
    prefix = os.environ.get("KELP_TEST_IMAGE_PREFIX", "")
    for image in ("kelp-bridge", "kelp-up"):
        name = f"{prefix}{image}:{__version__}"
        if subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False).returncode:
            pytest.skip(f"no image {name} here (make images; KELP_TEST_IMAGE_PREFIX names their prefix)")
    network = f"kelp-test-{os.getpid()}-cvat"
    names = ("KELP_PORT", "KELP_METRICS_PORT", "KELP_V2_PORT", "KELP_V2_GRPC_PORT")
    ports = {name: free_port() for name in names}
    for secret in ("api-token", "webhook-secrets", "cvat-password"):
        (tmp_path / secret).write_text("0123456789\n")
    values = ports | {
        "COMPOSE_PROFILES": "cpu",
        "KELP_IMAGE_PREFIX": prefix,
        "KELP_CVAT_NETWORK": network,
        "KELP_SECRETS": tmp_path,
    }
    (tmp_path / "env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    subprocess.run(["docker", "network", "create", network], check=True, capture_output=True)
    try:
        subprocess.run([*compose, "up", "-d", "--wait", "--wait-timeout", "120"], check=True)
        yield ports
    finally:
        subprocess.run([*compose, "--profile", "cpu", "down", "-v"], check=False)
        subprocess.run(["docker", "network", "rm", network], check=False, capture_output=True)


@pytest.mark.slow
def test_bridge_and_models_come_up_and_ask_who_is_there(running: dict[str, int]) -> None:
    url = f"http://127.0.0.1:{running['KELP_V2_PORT']}/v2/models/pth-yolo-coralsegv4/ready"
    assert _status(url, None) == 401
    assert _status(url, "0123456789") == 200  # the model has been woken for it
    assert _status(f"http://127.0.0.1:{running['KELP_METRICS_PORT']}/health/ready", None) == 200


def _status(url: str, token: str | None) -> int:
    """The answer's status, asked again for a while as long as nobody listens."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    until = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
