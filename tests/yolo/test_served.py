"""The family behind the server: the process that clients really talk to."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import torch

from demo.reef import DEMO_SEEDS, render
from tests.support.predictor import Predictor
from tests.yolo.models import REEF, ask, load

# Python imports this before anything else: an environment in which they are not installed.
WITHOUT_TORCH = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "ultralytics", "onnx", "kserve", "pandas", "matplotlib"}:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Blocked())
"""


def card(file: Path, **fields: Any) -> dict[str, Any]:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    weights = {"uri": str(file), "sha256": sha256}
    return {"name": "reef", "runtime": "yolo", "task": "segment", "weights": weights, **fields}


def columns(server: Predictor, image: bytes, **parameters: float) -> dict[str, Any]:
    data = base64.b64encode(image).decode()
    request = {
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [data]}],
        "parameters": parameters,
    }
    answer = httpx.post(server.infer_url, json=request, timeout=60)
    assert answer.status_code == 200, answer.text
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


@pytest.mark.parametrize("ending", ["onnx", "pt"])
def test_a_picture_through_the_server_is_what_the_model_finds(tmp_path: Path, ending: str) -> None:
    """With ONNX, in a process in which torch and ultralytics cannot be imported."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WITHOUT_TORCH)
    path = os.pathsep.join(filter(None, (str(tmp_path / "site"), os.environ.get("PYTHONPATH"))))
    env = {"PYTHONPATH": path} if ending == "onnx" else {}
    file = REEF / f"pth-yolo-coralsegv4.{ending}"
    image = render(DEMO_SEEDS[0], 640).image
    png = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
    with Predictor(tmp_path / "server", card(file), env=env) as server:
        found = columns(server, png, conf_threshold=0.1)
    expected = ask(load(file), [image], conf=0.1)[0]
    assert len(expected) > 3
    np.testing.assert_array_equal(found["label_id"], expected.label_id)
    np.testing.assert_allclose(np.reshape(found["box"], (-1, 4)), expected.box, atol=0.01)
    assert len(found["mask_offsets"]) == len(expected) + 1


def test_a_crafted_checkpoint_ends_the_process_with_its_reason(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'was-run'}",)

    torch.save({"model": Evil()}, tmp_path / "evil.pt")
    with Predictor(tmp_path / "server", card(tmp_path / "evil.pt"), ready=False) as server:
        assert server.process.wait(60) == 3
        (said,) = [line for line in server.log() if line.get("error_code")]
    assert said["error_code"] == "untrusted_weights"
    assert "system', which no YOLO checkpoint needs" in said["error"]
    assert not (tmp_path / "was-run").exists()
