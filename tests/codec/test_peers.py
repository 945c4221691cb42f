"""KServe's and Triton's own Python clients understand what we write, and we what they write, in one process."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("peer", ["kserve", "triton"])
def test_peer(peer):
    if find_spec({"kserve": "kserve", "triton": "tritonclient"}[peer]) is None:
        pytest.skip(f"{peer}'s client is not installed")
    script = ROOT / "tests" / "codec" / "peers" / f"{peer}.py"
    # Not the script's own folder first: the files there are named after the packages that they import.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-4000:]
