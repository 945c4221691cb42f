"""The quadrat: a PVC frame with a string grid, its geometry and how it is drawn.

Template: the frame's inner opening is the unit square, x to the right, y down; its corner 0 (0, 0) carries the coloured
mark, and the others follow clockwise. 9 × 13 strings cross in it: point r·13 + c lies at ((c + 1) / 14, (r + 1) / 10).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

GRID_SHAPE = (9, 13)
TEMPLATE_CORNERS: NDArray[np.float64] = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
TEMPLATE_GRID: NDArray[np.float64] = np.array(
    [
        [(column + 1) / (GRID_SHAPE[1] + 1), (row + 1) / (GRID_SHAPE[0] + 1)]
        for row in range(GRID_SHAPE[0])
        for column in range(GRID_SHAPE[1])
    ],
    np.float64,
)
SIDE_MM = 1000.0
PIPE_MM = 34.0
STRING_MM = 3.0
MARK_COLOUR = (226, 62, 28)
_PIPE_COLOUR = (222, 222, 214)
_SHIFT = 5


def project(homography: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Template points [P, 2] → picture points [P, 2], in pixels (a pixel's centre is at whole numbers)."""
    raised = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ homography.T
    return np.asarray(raised[:, :2] / raised[:, 2:], np.float64)


def view(rng: np.random.Generator, size: int, turn: float | None) -> NDArray[np.float64]:
    """The homography (3 × 3) from the template to the picture, of a camera held over the quadrat by hand.

    turn: degrees by which the quadrat is turned in the picture; None draws a small one.
    """
    tilt_x, tilt_y, roll, fill, shift_x, shift_y = rng.uniform(-1, 1, 6)
    angle = np.deg2rad(7 * roll if turn is None else turn)
    # A frame turned by up to 45° needs more room: its diagonal still has to fit.
    side = (0.745 + 0.03 * fill) / max(1.0, (abs(np.cos(angle)) + abs(np.sin(angle))) / 1.14)
    cos, sin = np.cos(angle), np.sin(angle)
    centre = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    lean = np.array([[1, 0, 0], [0, 1, 0], [0.13 * tilt_x, 0.13 * tilt_y, 1]])
    scale = np.diag([side * size, side * size, 1])
    middle = np.array([[1, 0, (0.5 + 0.02 * shift_x) * size], [0, 1, (0.5 + 0.02 * shift_y) * size], [0, 0, 1]])
    homography = middle @ scale @ lean @ rotation @ centre
    return np.asarray(homography / homography[2, 2], np.float64)


def draw_grid(
    rng: np.random.Generator,
    canvas: NDArray[np.float32],
    homography: NDArray[np.float64],
    px_per_mm: float,
    *,
    strings: bool = True,
) -> None:
    """Draws strings (unless told not to), then the frame, over `canvas` (float32 [H, W, 3], RGB 0..255), in place."""
    pipe = PIPE_MM / SIDE_MM
    string = STRING_MM / SIDE_MM
    brush = _Brush(canvas, homography)
    dark = rng.uniform(0.82, 1.0)
    string_colour = np.array([232, 230, 214]) * dark
    rows, columns = GRID_SHAPE
    lines = [((c + 1) / (columns + 1), True) for c in range(columns)] + [
        ((r + 1) / (rows + 1), False) for r in range(rows)
    ]
    # Drawn by lot whether they are shown or not: the frame is the same with and without them.
    colours = [string_colour * rng.uniform(0.9, 1.05) for _ in lines]
    if strings:
        for at, upright in lines:
            # Strings hang a little above the ground: a narrow shadow beside each.
            brush.line(at + 0.55 * string, upright, string, np.zeros(3), 0.28)
        for (at, upright), colour in zip(lines, colours, strict=True):
            brush.line(at, upright, string, colour, 0.96)
    _draw_frame(brush, pipe, px_per_mm, rng)


def _draw_frame(brush: _Brush, pipe: float, px_per_mm: float, rng: np.random.Generator) -> None:
    brush.shade_around(pipe, 0.45, max(9 * px_per_mm, 0.8))
    colour = np.array(_PIPE_COLOUR) * rng.uniform(0.9, 1.05)
    # A round pipe: strips from its inner to its outer side, each as bright as a cylinder is there.
    steps = 9
    for side in range(4):
        for step in range(steps):
            low, high = step / steps, (step + 1) / steps
            brush.strip(side, low * pipe, high * pipe, colour * _cylinder((low + high) / 2))
    for corner in range(4):
        painted = np.array(MARK_COLOUR) if corner == 0 else colour * 0.96
        for step in range(steps):
            low, high = step / steps, (step + 1) / steps
            tone = painted * _cylinder((low + high) / 2)
            brush.elbow(corner, (1.3 * low - 0.15) * pipe, (1.3 * high - 0.15) * pipe, 2.4 * pipe, tone)


def _cylinder(across: float) -> float:
    """Brightness across a pipe lit from above, `across` 0..1."""
    return float(0.52 + 0.5 * np.sin(np.pi * np.clip(across, 0.02, 0.98)) ** 0.8)


class _Brush:
    """Anti-aliased quadrilaterals given in template coordinates."""

    def __init__(self, canvas: NDArray[np.float32], homography: NDArray[np.float64]) -> None:
        self._canvas = canvas
        self._homography = homography

    def line(self, at: float, upright: bool, width: float, colour: NDArray[np.float64], opacity: float) -> None:
        """A string right through the opening, `at` of its width (upright) or height."""
        low, high = at - width / 2, at + width / 2
        corners = [[low, -0.01], [high, -0.01], [high, 1.01], [low, 1.01]]
        points = np.array(corners)
        self._fill(points if upright else points[:, ::-1], colour, opacity)

    def strip(self, side: int, inner: float, outer: float, colour: NDArray[np.float64]) -> None:
        """A piece of the pipe along one side (0 top, 1 right, 2 bottom, 3 left), `inner`..`outer` off the opening."""
        points = np.array([[-inner, -inner], [1 + inner, -inner], [1 + outer, -outer], [-outer, -outer]])
        self._fill(_turned(points, side), colour, 1.0)

    def elbow(self, corner: int, inner: float, outer: float, length: float, colour: NDArray[np.float64]) -> None:
        """A piece of the fitting at one corner, along both of its arms."""
        arm = np.array([[-inner, -inner], [length, -inner], [length, -outer], [-outer, -outer]])
        self._fill(_turned(arm, corner), colour, 1.0)
        self._fill(_turned(arm[:, ::-1], corner), colour, 1.0)

    def shade_around(self, pipe: float, opacity: float, blur: float) -> None:
        """The frame's soft shadow on the ground."""
        height, width = self._canvas.shape[:2]
        cover = np.zeros((height, width), np.uint8)
        for side in range(4):
            points = np.array([[0, 0], [1, 0], [1 + pipe, -pipe], [-pipe, -pipe]])
            cv2.fillPoly(cover, [self._pixels(_turned(points, side))], 255, cv2.LINE_AA, _SHIFT)
        soft = cv2.GaussianBlur(cover, (0, 0), blur)
        touched = soft > 0
        self._canvas[touched] *= (1 - np.float32(opacity / 255) * soft[touched].astype(np.float32))[:, None]

    def _pixels(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        return np.rint(project(self._homography, points) * (1 << _SHIFT)).astype(np.int32)

    def _fill(self, points: NDArray[np.float64], colour: NDArray[np.float64], opacity: float) -> None:
        corners = self._pixels(points)
        low = np.maximum((corners.min(axis=0) >> _SHIFT) - 2, 0)
        high = np.minimum((corners.max(axis=0) >> _SHIFT) + 3, self._canvas.shape[1::-1])
        if (low >= high).any():
            return
        cover = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        cv2.fillPoly(cover, [corners - (low << _SHIFT)], 255, cv2.LINE_AA, _SHIFT)
        rows, columns = np.nonzero(cover)
        weight = cover[rows, columns].astype(np.float32)[:, None] * np.float32(opacity / 255)
        under = self._canvas[rows + low[1], columns + low[0]]
        self._canvas[rows + low[1], columns + low[0]] = under + weight * (colour.astype(np.float32) - under)


def _turned(points: NDArray[np.float64], quarter: int) -> NDArray[np.float64]:
    """Template points turned clockwise by quarters about the centre of the opening."""
    turned = points - 0.5
    for _ in range(quarter):
        turned = np.stack([-turned[:, 1], turned[:, 0]], axis=1)
    return turned + 0.5
