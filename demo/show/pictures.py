"""Before and after, side by side: the photograph, what the model made of it in CVAT, and the truth."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reef import GENUS_NAMES
from demo.show.score import shape_pixels

Picture = NDArray[np.uint8]


def genus_colors() -> dict[str, tuple[int, int, int]]:
    """A colour (RGB) a genus, far apart and bright enough to be seen on a reef."""
    count = len(GENUS_NAMES)
    hues = [(7 * i % count) / count for i in range(count)]
    return {
        name: tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.75 if i % 2 else 0.95, 1.0))  # type: ignore[misc]
        for i, (name, hue) in enumerate(zip(GENUS_NAMES, hues, strict=True))
    }


def draw_shapes(image: Picture, shapes: Iterable[Mapping[str, Any]], genus_by_label: Mapping[int, str]) -> Picture:
    """The photograph with each shape tinted, outlined and named; uint8 [H, W, 3] RGB."""
    colors = genus_colors()
    parts = [(shape_pixels(s, image.shape), genus_by_label[s["label_id"]]) for s in shapes]
    return _drawn(image, parts, colors)


def draw_truth(image: Picture, masks: Iterable[tuple[NDArray[np.bool_], str]]) -> Picture:
    """The photograph with the true colonies (mask, genus), drawn the same way."""
    return _drawn(image, list(masks), genus_colors())


def _drawn(
    image: Picture, parts: list[tuple[NDArray[np.bool_], str]], colors: Mapping[str, tuple[int, int, int]]
) -> Picture:
    canvas = image.copy()
    line = max(2, image.shape[1] // 480)
    for pixels, genus in parts:
        tint = np.array(colors[genus], np.float32)
        canvas[pixels] = (0.62 * canvas[pixels] + 0.38 * tint).astype(np.uint8)
        contours, _ = cv2.findContours(pixels.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, contours, -1, colors[genus], line)
    for pixels, genus in parts:
        _name(canvas, pixels, genus)
    return canvas


def _name(canvas: Picture, pixels: NDArray[np.bool_], genus: str) -> None:
    rows, columns = np.nonzero(pixels)
    if not len(rows):
        return
    scale = canvas.shape[1] / 1920
    (width, height), _ = cv2.getTextSize(genus, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x = int(np.clip(columns.mean() - width / 2, 0, canvas.shape[1] - width))
    y = int(np.clip(rows.mean() + height / 2, height, canvas.shape[0] - 1))
    thickness = max(1, round(2 * scale))
    cv2.putText(canvas, genus, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 3 * thickness, cv2.LINE_AA)
    cv2.putText(canvas, genus, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thickness, cv2.LINE_AA)


def save_jpeg(path: Path, image: Picture, *, width: int | None = None, quality: int = 88) -> None:
    """Writes an RGB picture, scaled down to `width` pixels where it is wider."""
    if width and image.shape[1] > width:
        size = (width, round(image.shape[0] * width / image.shape[1]))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    done, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"{path}: the picture could not be encoded")
    path.write_bytes(data.tobytes())
