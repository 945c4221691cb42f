"""However many frames a task has, the bridge holds only a few of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.bridge import BridgeProcess
from tests.support.cvat import Cvat, CvatServer
from tests.support.quadrats import CORNERS, HEIGHT, WIDTH, source

FEW, MANY = 6, 40
SIZE = 1024


def peak_kib(bridge: BridgeProcess) -> int:
    """The most memory that the process ever had resident."""
    lines = Path(f"/proc/{bridge.process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def noise() -> bytes:
    """A picture that no form makes small."""
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT * 4, WIDTH * 4, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc, which this system has not")
def test_memory_does_not_grow_with_the_number_of_frames(cvat: Cvat, cvat_server: CvatServer, folder: Path) -> None:
    peaks, photo, made_bytes = [], noise(), 0
    with BridgeProcess(folder, cvat=cvat_server) as bridge:
        for frames in (FEW, MANY):
            with source(cvat, [(f"{number:03d}.jpg", photo) for number in range(frames)]) as made:
                made.mark_all(frames, [4 * value for value in CORNERS])
                body: dict[str, Any] = {"kind": "crop", "task": made.id, "target": made.target}
                body["parameters"] = {"format": "png", "size": SIZE}
                run = bridge.wait_run(bridge.post("/api/v1/runs", body).json()["runs"][0], deadline_s=240)
                assert run["state"] == "completed", run
                peaks.append(peak_kib(bridge))
                made_bytes = sum(map(len, made.pictures_made()))
    assert made_bytes > 60 << 20
    assert peaks[1] - peaks[0] < made_bytes / 1024 / 4, (peaks, made_bytes)
