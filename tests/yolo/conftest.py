"""Models for the tests: the demo's trained ones, and random ones for what nobody trained."""

import os
import tempfile
from pathlib import Path

import pytest

# Before anything imports torch or ultralytics: no network, settings of its own, threads that wait asleep.
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_VERBOSE", "false")
os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp(prefix="kelp-ultralytics-"))
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="session")
def random_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of random networks, see `tests.yolo.zoo`.

    detect.onnx; segment-two-heads.onnx and pose-two-heads.onnx with the head that needs no suppression;
    pose.onnx with suppression inside; the checkpoint of each.
    """
    from tests.yolo.zoo import build

    folder = tmp_path_factory.mktemp("random-models")
    build("detect", folder)
    build("segment-two-heads", folder, nms=False)
    build("pose-two-heads", folder, nms=False)
    build("pose", folder, nms=True, conf=0.4, iou=0.5)
    return folder
