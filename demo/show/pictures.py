"""Pictures of what stands in CVAT, and of what is true, drawn the same way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.show.score import shape_pixels
from kelp.card import Card

Picture = NDArray[np.uint8]
Colors = Mapping[str, tuple[int, int, int]]


def label_colors(card: Card) -> Colors:
    """The card's own colours (RGB) by label: the page shows what CVAT shows."""
    return {label.name: _rgb(label.color or "#ffffff") for label in card.labels}


def draw_shapes(
    image: Picture, shapes: Iterable[Mapping[str, Any]], name_by_label: Mapping[int, str], colors: Colors
) -> Picture:
    """The photograph with each shape tinted, outlined and named; uint8 [H, W, 3] RGB."""
    parts = [(shape_pixels(s, image.shape), name_by_label[s["label_id"]]) for s in shapes]
    return _drawn(image, parts, colors)


def draw_truth(image: Picture, masks: Iterable[tuple[NDArray[np.bool_], str]], colors: Colors) -> Picture:
    """The photograph with the true colonies (mask, genus), drawn the same way."""
    return _drawn(image, list(masks), colors)


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def draw_points(
    image: Picture, points: NDArray[np.float64], grid_shape: tuple[int, int] | None, color: tuple[int, int, int]
) -> Picture:
    """The picture with `points` [K, 2] (half-open) and what joins them: lines of a grid, or once around.

    The first point has a ring, so that one sees which way is up.
    """
    canvas = image.copy()
    fine = np.round((points - 0.5) * 16).astype(np.int32)
    line = max(2, image.shape[1] // 640)
    if grid_shape is None:
        cv2.polylines(canvas, [fine], True, color, line, cv2.LINE_AA, 4)
    else:
        grid = fine.reshape(*grid_shape, 2)
        lines = [*grid, *np.ascontiguousarray(grid.transpose(1, 0, 2))]
        cv2.polylines(canvas, lines, False, color, max(1, line // 2), cv2.LINE_AA, 4)
    for point in fine:
        cv2.circle(canvas, [int(v) for v in point], 16 * line * 2, color, -1, cv2.LINE_AA, 4)
    cv2.circle(canvas, [int(v) for v in fine[0]], 16 * line * 7, color, line, cv2.LINE_AA, 4)
    return canvas


def _drawn(image: Picture, parts: list[tuple[NDArray[np.bool_], str]], colors: Colors) -> Picture:
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
    path.write_bytes(jpeg_of(image, quality))


def jpeg_of(image: Picture, quality: int = 92) -> bytes:
    """An RGB picture as a JPEG; as a camera writes it unless `quality` says otherwise."""
    done, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("the picture could not be encoded")
    return data.tobytes()
