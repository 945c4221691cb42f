"""What is sent: a synthetic quadrat of 1920 x 1920 pixels as JPEG, rendered once a run."""

from __future__ import annotations

from pathlib import Path

import cv2

from demo.reef import DEMO_SEEDS, render

SIDE = 1920


def quadrat(folder: Path) -> Path:
    """The JPEG file."""
    path = folder / "quadrat.jpg"
    if not path.exists():
        image = render(next(iter(DEMO_SEEDS)), SIDE).image
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return path
