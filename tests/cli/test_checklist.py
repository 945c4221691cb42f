"""`kelp card check --deploy` says what production has to wait for."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from kelp.card import load_card
from kelp.cli.checklist import Line, checklist
from kelp.cli.checklist_runs import of_cvat
from tests.cli.conftest import Kelp, run_kelp
from tests.cli.test_words import NOBODY
from tests.local.conftest import write_card
from tests.support.cvat import pictures, wait_for
from tests.support.predictor import NUMPY_RUNTIME

RGB = tuple({"name": name, "type": "polygon"} for name in ("red", "green", "blue"))
QUALITY = {"data": "40 quadrats of three islands", "mask_f1_at_iou_0.5": 0.81}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(7)
    for name in ("a.jpg", "b.png"):
        patches = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / name), np.kron(patches, np.ones((40, 60, 1), np.uint8)))
    return folder


def gone_through(card: Path, *arguments: object, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    known = {**NUMPY_RUNTIME, "KELP_BRIDGE_URL": ""}
    done = run_kelp("card", "check", card, "--deploy", "-o", "json", *arguments, **{**known, **environment})
    (document,) = json.loads(done.stdout)
    return done.returncode, {line["point"]: line for line in document["lines"]}


def states(lines: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {point: line["state"] for point, line in lines.items()}


def test_a_model_that_is_ready_for_production(tmp_path: Path, images: Path) -> None:
    write_card(tmp_path, "reef", quality=QUALITY, resources={"limits": {"memory": "4Gi"}})
    code, lines = gone_through(tmp_path / "reef.yaml", "--images", images)
    assert code == 0, lines
    assert states(lines) == {
        "card": "ok", "accuracy": "ok", "start": "ok", "real images": "ok", "memory": "ok", "GPU": "ok",
        "errors and logs": "ok", "speed": "ok", "CVAT task": "warn",
    }  # fmt: skip
    assert "mask_f1_at_iou_0.5 0.81; on 40 quadrats" in lines["accuracy"]["told"]
    assert "2 pictures" in lines["real images"]["told"]


def test_what_is_missing_blocks(tmp_path: Path, images: Path) -> None:
    write_card(tmp_path, "reef", resources={"limits": {"memory": "8Mi"}})
    code, lines = gone_through(tmp_path / "reef.yaml", KELP_BRIDGE_URL=NOBODY)
    assert code == 1
    found = states(lines)
    assert {point for point, line in lines.items() if line["blocks"]} == {
        "accuracy", "real images", "memory", "CVAT task",
    }  # fmt: skip
    assert found["speed"] == "warn"
    assert all(line["advice"] for line in lines.values() if line["state"] == "missing")


def test_a_model_that_does_not_start_is_told_with_its_reason(tmp_path: Path, images: Path) -> None:
    write_card(tmp_path, "reef", quality={"note": "for tests only", "f1": 0.1, "data": "few"})
    why = "the weights are of another reef"
    code, lines = gone_through(tmp_path / "reef.yaml", "--images", images, KELP_NUMPY_FAIL_LOAD=why)
    assert code == 1
    assert lines["accuracy"]["state"] == "warn"
    assert lines["start"]["blocks"]
    assert why in lines["start"]["told"]


def test_synthetic_figures_are_a_warning(tmp_path: Path) -> None:

    write_card(tmp_path, "reef", quality={"data": "synthetic reef", "f1": 0.9})
    lines: list[Line] = []
    for line in checklist(
        tmp_path / "reef.yaml", load_card(tmp_path / "reef.yaml"), ["x: wrong"], None, lambda _: None
    ):
        lines.append(line)
        if line.point == "start":
            break
    assert [(line.point, line.state) for line in lines] == [
        ("card", "missing"),
        ("accuracy", "warn"),
        ("start", "missing"),
    ]


def test_a_finished_run_on_a_real_task_is_found(kelp: Kelp, platform, cvat, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("KELP_BRIDGE_URL", platform.bridge_url)
    task = cvat.task(cvat.project(RGB), pictures(1))
    done = kelp("annotate", "--model", "reef", "--task", task.id, "--follow")
    assert done.returncode == 0, done.stderr
    write_card(tmp_path, "reef")
    line = of_cvat(load_card(tmp_path / "reef.yaml"))
    assert (line.state, "nobody can tell" in line.told) == ("warn", True)
    assert "completed, the fullest with" in line.told
    write_card(tmp_path, "slow")
    assert of_cvat(load_card(tmp_path / "slow.yaml").model_copy(update={"name": "nobody"})).blocks


def test_only_runs_with_the_cards_own_weights_count(
    kelp: Kelp, platform, cvat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KELP_BRIDGE_URL", platform.bridge_url)
    write_card(tmp_path, "dated", weights={"uri": "weights.bin", "sha256": hashlib.sha256(b"reef").hexdigest()})
    card = load_card(tmp_path / "dated.yaml")
    shutil.copy(tmp_path / "dated.yaml", platform.models / "dated.yaml")
    task = cvat.task(cvat.project(RGB), pictures(1))
    try:
        wait_for(lambda: kelp("annotate", "--model", "dated", "--task", task.id, "--follow").returncode == 0)
    finally:
        (platform.models / "dated.yaml").unlink()
        wait_for(lambda: "dated" not in kelp("models").stdout)
    line = of_cvat(card)
    assert (line.state, line.told[:15]) == ("ok", "1 run completed")
    write_card(tmp_path, "dated", weights={"uri": "weights.bin", "sha256": "0" * 64})
    line = of_cvat(load_card(tmp_path / "dated.yaml"))
    assert (line.state, line.told) == (
        "missing",
        "no run of dated with these weights has completed; 1 run made with other weights of that name",
    )
