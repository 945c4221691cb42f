"""Pictures with what a model found drawn on them."""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from kelp.cli.draw_points import draw_points, number_points
from kelp.detections import Detections

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

_FILL = 0.35  # how much of an instance's colour covers it
_SHIFT = 4  # OpenCV draws with 1/16 of a pixel


def colour_of(label: str, given: Mapping[str, str]) -> Colour:
    """RGB 0..255 of a label: `given` (`#rrggbb` by label), else one that always belongs to its name."""
    text = given.get(label, "").lstrip("#")
    if len(text) == 6:
        try:
            return int(text[0:2], 16), int(text[2:4], 16), int(text[4:6], 16)
        except ValueError:
            pass  # a colour in a form that CVAT does not have either
    hue = int.from_bytes(hashlib.sha256(label.encode()).digest()[:2], "big") / 65536
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 1.0)
    return int(red * 255), int(green * 255), int(blue * 255)


def draw(picture: Picture, found: Detections, image: int, colours: Mapping[str, str]) -> Picture:
    """A copy of `picture` (uint8 [H, W, 3] RGB) with the detections of image number `image` on it: filled outlines,
    boxes where there is no outline, keypoints in their order (hollow where hidden), label and score."""
    out = picture.copy()
    height, width = out.shape[:2]
    thickness = max(1, round(max(height, width) / 800))
    rows = found.rows_of(image)
    outlines = {row: found.polygon(row) for row in rows} if found.polygon_offsets is not None else {}
    paints = {row: colour_of(found.labels[int(found.label_id[row])], colours) for row in rows}
    _fill(out, {row: points for row, points in outlines.items() if len(points)}, paints)
    for row in rows:
        paint = paints[row]
        if len(outlines.get(row, ())):
            cv2.polylines(out, [_fixed(outlines[row])], True, paint, thickness, cv2.LINE_AA, _SHIFT)
        elif found.keypoints is None:
            left_top, right_bottom = _fixed(found.box[row].reshape(2, 2))[:, 0]
            cv2.rectangle(out, left_top.tolist(), right_bottom.tolist(), paint, thickness, cv2.LINE_AA, _SHIFT)
        if found.keypoints is not None:
            draw_points(out, found.keypoints[row], paint, thickness)
    return _write_labels(out, found, rows, paints)


def _fill(out: Picture, outlines: dict[int, NDArray[np.float32]], paints: dict[int, Colour]) -> None:
    covered = out.copy()
    for row, points in outlines.items():
        cv2.fillPoly(covered, [_fixed(points)], paints[row], cv2.LINE_AA, _SHIFT)
    cv2.addWeighted(covered, _FILL, out, 1 - _FILL, 0, dst=out)


def _fixed(points: NDArray[np.float32]) -> NDArray[np.int32]:
    """[V, 1, 2] in OpenCV's fixed point: its pixel centres lie at whole numbers, ours at halves."""
    return np.round((points - 0.5) * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)


def _write_labels(out: Picture, found: Detections, rows: range, paints: dict[int, Colour]) -> Picture:
    height, width = out.shape[:2]
    size = max(11, round(max(height, width) / 90))
    font = ImageFont.load_default(size)
    canvas = Image.fromarray(out)
    pen = ImageDraw.Draw(canvas)
    pad = size // 5
    for row in rows:
        if found.keypoints is not None:
            number_points(pen, found.keypoints[row], size)
        text = f"{found.labels[int(found.label_id[row])]} {found.score[row]:.2f}"
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
        box_w, box_h = right - left + 2 * pad, bottom - top + 2 * pad
        x = min(max(0.0, float(found.box[row, 0])), max(0.0, width - box_w))
        y = max(0.0, float(found.box[row, 1]) - box_h)
        paint = paints[row]
        pen.rectangle((x, y, x + box_w, y + box_h), fill=paint)
        dark = 0.299 * paint[0] + 0.587 * paint[1] + 0.114 * paint[2] > 140
        pen.text((x + pad - left, y + pad - top), text, font=font, fill=(0, 0, 0) if dark else (255, 255, 255))
    return np.asarray(canvas)
