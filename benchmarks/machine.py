"""What the figures were measured on: processor, load, and a fixed piece of work as calibration."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

# What the calibration took where the absolute targets were set; a slower machine only warns.
REFERENCE_CALIBRATION_S = 0.15


def calibrate() -> float:
    """Seconds that a fixed mix of Python and numpy work takes here: best of five."""
    values = np.random.Generator(np.random.PCG64(0)).standard_normal((400, 400)).astype(np.float32)

    def work() -> float:
        started = time.perf_counter()
        total = 0
        for number in range(1_500_000):
            total += number & 7
        matrix = values
        for _ in range(20):
            matrix = np.tanh(matrix @ values * 0.01)
        return time.perf_counter() - started

    return min(work() for _ in range(5))


def describe() -> dict[str, Any]:
    """Commit, processor, cores, memory, load and calibration, JSON-able."""
    return {
        "commit": _commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "calibration_s": round(calibrate(), 4),
        "reference_calibration_s": REFERENCE_CALIBRATION_S,
    }


def _commit() -> str:
    answer = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        # Not Linux: the platform's own word must do.
        pass
    return platform.processor() or platform.machine()
