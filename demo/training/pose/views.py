"""Quadrats for training pose models, drawn fast: pictures of the bare reef, with frame and strings laid over them.

What the reef draws with every shade (`demo.reef`) is drawn here in a hundredth of the time, coarsely; it is shrunk to a
few hundred pixels anyway. Quality is measured on the reef's own pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reef.quadrat import (
    GRID_SHAPE,
    MARK_COLOUR,
    PIPE_MM,
    SIDE_MM,
    STRING_MM,
    TEMPLATE_CORNERS,
    TEMPLATE_GRID,
    project,
    view,
)

Image = NDArray[np.uint8]
Points = NDArray[np.float64]
POINTS: Points = np.concatenate([TEMPLATE_CORNERS, TEMPLATE_GRID])
"""All points of a quadrat, in the unit square of its opening: the corners, then the crossings row by row."""
_SHIFT = 5
_PHOTOGRAPHED_PX = (1280, 640, 640, 512)
_PIPE, _STRING = PIPE_MM / SIDE_MM, STRING_MM / SIDE_MM
_STRIPS = 5


@dataclass(frozen=True)
class Sample:
    """image: uint8 [side, side, 3], RGB; points: float64 [121, 2], POINTS in parts of the side, half-open; seen: bool
    [121], False where something lies over a point."""

    image: Image
    points: Points
    seen: NDArray[np.bool_]


def sample(rng: np.random.Generator, ground: Image, side: int, crops: float) -> Sample:
    """One quadrat at any turn, or, in `crops` of all cases, cropped to its opening and upright.

    ground: uint8 [S, S, 3] of the bare reef; side: of the picture, in pixels.
    """
    size = int(rng.choice(_PHOTOGRAPHED_PX))
    cropped = bool(rng.uniform() < crops)
    matrix = _cropped(rng, size) if cropped else _photographed(rng, size)
    picture = _seabed(rng, ground, size)
    _draw(rng, picture, matrix)
    at = project(matrix, POINTS)
    seen = _cover(rng, picture, at, matrix)
    small = np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    return Sample(_exposed(rng, small), (at + 0.5) / size, seen)


def _photographed(rng: np.random.Generator, size: int) -> Points:
    """The reef's own camera, and a little more freedom."""
    matrix = view(rng, size, float(rng.uniform(0, 360)))
    zoom = rng.uniform(0.86, 1.06)
    shift = rng.uniform(-0.03, 0.03, 2) * size
    middle = size / 2
    return (
        np.array([[zoom, 0, middle * (1 - zoom) + shift[0]], [0, zoom, middle * (1 - zoom) + shift[1]], [0, 0, 1]])
        @ matrix
    )


def _cropped(rng: np.random.Generator, size: int) -> Points:
    """A crop whose corners were a little off, as the step before it leaves them."""
    off = rng.normal(0, rng.choice([0.002, 0.006, 0.02]), (4, 2))
    corners = (np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) + off) * size - 0.5
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    return np.asarray(cv2.getPerspectiveTransform(unit, corners.astype(np.float32)), np.float64)


def _seabed(rng: np.random.Generator, ground: Image, size: int) -> Image:
    """A turned, mirrored and enlarged piece of a bare picture, `size` pixels a side."""
    side = ground.shape[0]
    turned = np.rot90(ground, int(rng.integers(4)))
    if rng.uniform() < 0.5:
        turned = turned[:, ::-1]
    part = int(side * rng.uniform(0.6, 1.0))
    left, top = (int(v) for v in rng.integers(0, side - part + 1, 2))
    piece = np.ascontiguousarray(turned[top : top + part, left : left + part])
    return np.asarray(cv2.resize(piece, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def _draw(rng: np.random.Generator, picture: Image, matrix: Points) -> None:
    """Shadows, strings, pipes and fittings, over `picture` in place."""
    rows, columns = GRID_SHAPE
    lines = [((c + 1) / (columns + 1), True) for c in range(columns)]
    lines += [((r + 1) / (rows + 1), False) for r in range(rows)]
    _shade(picture, matrix, lines)
    white = np.array([232, 230, 214]) * rng.uniform(0.75, 1.0)
    for at, upright in lines:
        _fill(picture, matrix, _string(at, upright), white * rng.uniform(0.9, 1.05))
    pipe = np.array([222, 222, 214]) * rng.uniform(0.85, 1.05)
    for step in range(_STRIPS):
        low, high = step / _STRIPS, (step + 1) / _STRIPS
        tone = pipe * _round((low + high) / 2)
        for corner in range(4):
            inner, outer = low * _PIPE, high * _PIPE
            strip = np.array([[-inner, -inner], [1 + inner, -inner], [1 + outer, -outer], [-outer, -outer]])
            _fill(picture, matrix, _turned(strip, corner), tone)
    mark = np.clip(np.array(MARK_COLOUR) * rng.uniform(0.8, 1.1) + rng.uniform(-20, 20, 3), 0, 255)
    for corner in range(4):
        painted = mark if corner == 0 else pipe * 0.96
        for step in range(_STRIPS):
            low, high = step / _STRIPS, (step + 1) / _STRIPS
            tone = painted * _round((low + high) / 2)
            inner, outer = (1.3 * low - 0.15) * _PIPE, (1.3 * high - 0.15) * _PIPE
            arm = np.array([[-inner, -inner], [2.4 * _PIPE, -inner], [2.4 * _PIPE, -outer], [-outer, -outer]])
            _fill(picture, matrix, _turned(arm, corner), tone)
            _fill(picture, matrix, _turned(arm[:, ::-1], corner), tone)


def _shade(picture: Image, matrix: Points, lines: list[tuple[float, bool]]) -> None:
    """The frame's soft shadow and the strings' narrow ones."""
    size = picture.shape[0]
    coarse: Image = np.zeros((size // 8, size // 8), np.uint8)
    eighth = np.diag([1 / 8, 1 / 8, 1]) @ matrix
    ring = np.array([[0, 0], [1, 0], [1 + _PIPE, -_PIPE], [-_PIPE, -_PIPE]])
    for corner in range(4):
        _fill(coarse, eighth, _turned(ring, corner), np.array([255]))
    soft = cv2.GaussianBlur(coarse, (0, 0), max(0.0011 * size, 0.6))
    dimmed = 255 - (0.45 * soft).astype(np.uint8)
    light: Image = np.asarray(cv2.resize(dimmed, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    for at, upright in lines:
        _fill(light, matrix, _string(at + 0.55 * _STRING, upright), np.array([184]))
    cv2.multiply(picture, cv2.merge([light] * 3), picture, 1 / 255)


def _string(at: float, upright: bool) -> Points:
    low, high = at - _STRING / 2, at + _STRING / 2
    corners = np.array([[low, -0.01], [high, -0.01], [high, 1.01], [low, 1.01]])
    return corners if upright else corners[:, ::-1]


def _fill(picture: Image, matrix: Points, corners: Points, colour: NDArray[np.float64]) -> None:
    pixels = np.rint(project(matrix, corners) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(picture, [pixels], np.clip(colour, 0, 255).tolist(), cv2.LINE_AA, _SHIFT)


def _round(across: float) -> float:
    """Brightness across a pipe lit from above, `across` 0..1."""
    return float(0.52 + 0.5 * np.sin(np.pi * across) ** 0.8)


def _turned(points: Points, quarter: int) -> Points:
    turned = points - 0.5
    for _ in range(quarter):
        turned = np.stack([-turned[:, 1], turned[:, 0]], axis=1)
    return np.asarray(turned + 0.5)


def _cover(rng: np.random.Generator, picture: Image, at: Points, matrix: Points) -> NDArray[np.bool_]:
    """Fish and overhanging colonies over some of the crossings; which points are still to be seen."""
    seen = np.ones(len(at), bool)
    size = picture.shape[0]
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    for _ in range(int(rng.integers(0, 13)) if rng.uniform() < 0.5 else 0):
        middle = project(matrix, rng.uniform(0.03, 0.97, (1, 2)))[0]
        axes = rng.uniform(0.010, 0.028, 2) * scale
        angle = float(rng.uniform(0, 180))
        colour = rng.uniform(20, 210, 3).tolist()
        cv2.ellipse(
            picture, (tuple(middle.tolist()), tuple((2 * axes).tolist()), angle), colour, cv2.FILLED, cv2.LINE_AA
        )
        seen &= np.hypot(*(at - middle).T) > axes.min()
    seen &= ((at > -0.5) & (at < size - 0.5)).all(axis=1)
    return seen


def _exposed(rng: np.random.Generator, small: Image) -> Image:
    """Light falling off, water, exposure and noise."""
    light = cv2.resize(
        rng.uniform(0.75, 1.1, (3, 3, 1)).astype(np.float32), small.shape[1::-1], interpolation=cv2.INTER_CUBIC
    )
    tint = np.array([rng.uniform(0.8, 1.05), 1.0, rng.uniform(0.9, 1.05)], np.float32) * np.float32(
        rng.uniform(0.75, 1.25)
    )
    picture = small * (np.asarray(light, np.float32)[..., None] * tint) + np.float32(rng.uniform(0, 12))
    picture += rng.normal(0, rng.uniform(1, 7), small.shape).astype(np.float32)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)
