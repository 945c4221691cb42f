"""What a pod is given is what its predictor serves: the card in a variable, the weights in a folder."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from kelp.card import Card, Weights
from kelp.deploy.cards import serving_json
from tests.support.predictor import NUMPY_RUNTIME, ROOT, numpy_card, wait_for

CONTENT = b"weights of a model that needs none"
SHA = hashlib.sha256(CONTENT).hexdigest()


def variables(folder: Path, sha256: str = SHA) -> dict[str, str]:
    card = Card.model_validate(numpy_card(settings={"conf_threshold": 0.4}))
    weights = Weights.model_validate(
        {"uri": "s3://bucket/folder", "files": {"model": {"file": "best.bin", "sha256": sha256}}}
    )
    return {"KELP_CARD_JSON": serving_json(card, weights), "KELP_WEIGHTS_DIR": str(folder)}


@contextmanager
def started(folder: Path, env: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The process, and the file in which it says its ports."""
    ports = folder / "ports.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "predictors.serving", "--port", "0", "--grpc-port", "0", "--announce", str(ports)],
        cwd=ROOT,
        env={**os.environ, **NUMPY_RUNTIME, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process, ports
    finally:
        process.kill()
        process.wait()


def url_of(ports: Path) -> str:
    wait_for(ports.exists, 60)
    return f"http://127.0.0.1:{json.loads(ports.read_text())['rest']}"


def is_ready(url: str) -> bool:
    return httpx.get(f"{url}/v2/health/ready").status_code == 200


def test_it_serves_the_card_of_its_environment(tmp_path: Path) -> None:
    (tmp_path / "best.bin").write_bytes(CONTENT)
    with started(tmp_path, variables(tmp_path)) as (_, ports):
        url = url_of(ports)
        wait_for(lambda: is_ready(url), 60)
        card = httpx.get(f"{url}/v2/models/numpy-reef").json()["parameters"]["card"]
    assert card["settings"] == {"conf_threshold": 0.4}
    assert card["sha256"] == {"model": SHA}


def test_weights_of_a_container_beside_it_may_come_later(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    with started(tmp_path, {**variables(folder), "MODEL_INIT_MODE": "async"}) as (process, ports):
        url = url_of(ports)
        assert not is_ready(url)
        there = tmp_path / "there"
        there.mkdir()
        (there / "best.bin").write_bytes(CONTENT)
        folder.symlink_to(there)
        wait_for(lambda: is_ready(url), 60)
        assert process.poll() is None


@pytest.mark.parametrize(("content", "code", "says"), [(b"others", 3, "wrong content"), (None, 3, "no such file")])
def test_wrong_weights_end_it_with_the_reason(tmp_path: Path, content: bytes | None, code: int, says: str) -> None:
    if content is not None:
        (tmp_path / "best.bin").write_bytes(content)
    with started(tmp_path, variables(tmp_path)) as (process, _):
        output, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert says in output


def test_without_a_card_it_says_where_one_is_expected(tmp_path: Path) -> None:
    with started(tmp_path, {"KELP_CARD_JSON": ""}) as (process, _):
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "KELP_CARD_JSON" in output


def test_a_start_that_takes_too_long_ends_it(tmp_path: Path) -> None:
    (tmp_path / "best.bin").write_bytes(CONTENT)
    env = variables(tmp_path)
    env["KELP_CARD_JSON"] = json.dumps({**json.loads(env["KELP_CARD_JSON"]), "start_timeout": 0.5})
    with started(tmp_path, {**env, "KELP_NUMPY_LOAD_S": "60"}) as (process, _):
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "did not start within 0.5 s" in output
