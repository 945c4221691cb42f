"""A 24-megapixel photograph to the square of its quadrat, as the crop webhook makes it.

Against decoding, the same anti-aliased warp and encoding, and nothing else: what checking the file and
carrying date and place over cost. The picture itself is compared with one that averages 64 samples a pixel.
"""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.row import Row, interleaved, paired_ratio
from bridge.tasks.picture import crop
from demo.reef import HELD_OUT_SEEDS, project, render
from kelp.geometry.quadrat import crop_quadrat

SIZE_HW = (4000, 6000)
SIDE = 1920
QUALITY = 95
ROUNDS = 9
ALLOWED = 1.1
FINER = 8
BAND = 96


def run() -> list[Row]:
    """One row; its note says how near the picture comes to the best."""
    pixels, corners = _photograph()
    file = _encoded(pixels)
    ours, theirs = interleaved(
        lambda: crop(file, corners.ravel().tolist(), SIZE_HW, size=SIDE, form="jpeg", quality=QUALITY),
        lambda: _bare(file, corners),
        ROUNDS,
    )
    decibel = _psnr(crop_quadrat(pixels, corners, SIDE), _best(pixels, corners))
    return [
        Row(
            "bridge", "a 24-megapixel photograph to a quadrat of 1920²", paired_ratio(ours, theirs), ALLOWED, False,
            "s", ours, theirs, against="decoding, the same warp, encoding",
            note=f"{decibel:.1f} dB against {FINER}×{FINER} samples a pixel, averaged",
        )
    ]  # fmt: skip


def _photograph() -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """BGR uint8 [4000, 6000, 3], and the quadrat's corners [4, 2]: a reef in the middle, mirrored at its sides."""
    height, width = SIZE_HW
    scene = render(HELD_OUT_SEEDS[0], height)
    aside = (width - height) // 2
    picture = cv2.copyMakeBorder(scene.image[:, :, ::-1], 0, 0, aside, aside, cv2.BORDER_REFLECT)
    corners = scene.corners + 0.5 + (aside, 0)
    return np.asarray(picture, np.uint8), np.asarray(corners, np.float64)


def _encoded(pixels: NDArray[np.uint8]) -> bytes:
    """As a camera writes it: with a date and a place."""
    exif = Image.Exif()
    exif[0x0132] = "2026:05:17 09:30:00"
    exif[0x8825] = {1: "S", 2: (1.0, 34.0, 12.5), 3: "E", 4: (123.0, 29.0, 50.0)}
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, ::-1]).save(buffer, "JPEG", quality=92, exif=exif)
    return buffer.getvalue()


def _bare(file: bytes, corners: NDArray[np.float64]) -> Any:
    pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    square = crop_quadrat(np.asarray(pixels, np.uint8), corners, SIDE)
    return cv2.imencode(".jpg", square, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def _best(pixels: NDArray[np.uint8], corners: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Each pixel the mean of 8 × 8 bicubic samples; a band of rows at a time, for they are 235 million."""
    square = np.array([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]], np.float64)
    matrix = cv2.getPerspectiveTransform(square.astype(np.float32), (corners - 0.5).astype(np.float32))
    across = (np.arange(SIDE * FINER) + 0.5) / FINER
    bands = []
    for top in range(0, SIDE, BAND):
        down = top + (np.arange(BAND * FINER) + 0.5) / FINER
        where = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
        at = project(matrix, where).astype(np.float32).reshape(BAND * FINER, SIDE * FINER, 2)
        fine = [
            cv2.remap(pixels, part, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            for part in np.array_split(at, FINER)
        ]
        rows = np.concatenate(fine).reshape(BAND, FINER, SIDE, FINER, 3)
        bands.append(rows.mean(axis=(1, 3)))
    return np.rint(np.concatenate(bands)).astype(np.uint8)


def _psnr(found: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    apart = found.astype(np.float64) - true
    return float(10 * np.log10(255**2 / (apart**2).mean()))
