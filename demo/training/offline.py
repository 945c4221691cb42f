"""ultralytics without network: its settings, and the font it would download."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def prepare(folder: Path) -> None:
    """Points ultralytics at a settings folder of our own; to be called before its first import."""
    os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(folder)}
    # It would pin itself to one thread otherwise.
    os.environ.setdefault(
        "OMP_NUM_THREADS", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
    )
    font = folder / "Ultralytics" / "Arial.ttf"
    if not font.exists():
        import matplotlib

        font.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", font)
