"""From a decoder's small logits to the image's pixels, for any part of the image.

The library enlarges twice, to its input's size and, less the padding, to the image's. Both are linear and work on rows
and columns apart, so that together they are one matrix a side; the rows and columns of a part of the image are rows of
these. They are made by the library's own steps, so that they round as it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from segment_anything.modeling import Sam


@dataclass(frozen=True, slots=True)
class Part:
    """Where a mask may be set: pixels x y (left upper), width and height of it in the image, and the logits they need:
    row and column (left upper), row_end and column_end, exclusive."""

    x: int
    y: int
    width: int
    height: int
    row: int
    column: int
    row_end: int
    column_end: int

    def of(self, logits: torch.Tensor) -> torch.Tensor:
        return logits[self.row : self.row_end, self.column : self.column_end]


class _Side:
    """One side: `weights` [pixels, logits]; of each pixel the first and last logit it depends on."""

    def __init__(self, logits: int, encoder: int, given: int, pixels: int) -> None:
        """Logits, the encoder's input, of which the first `given` hold the image, and the image's pixels."""
        steps = _linear(_linear(torch.eye(logits), encoder)[:given], pixels)
        self.weights = steps
        used = steps != 0
        self.first = used.int().argmax(dim=1)
        self.last = logits - 1 - used.flip(1).int().argmax(dim=1)

    def around(self, first: int, last: int) -> tuple[int, int, int, int]:
        """Pixels (start, stop) that depend on any of the logits first…last, and all logits (start, stop) they use."""
        start = int(torch.searchsorted(self.last, first))
        stop = int(torch.searchsorted(self.first, last, right=True))
        if start >= stop:  # these logits are padding
            return 0, 0, 0, 0
        return start, stop, int(self.first[start]), int(self.last[stop - 1]) + 1


def _linear(matrix: torch.Tensor, rows: int) -> torch.Tensor:
    """`matrix` [n, m] stretched to [rows, m]."""
    size = (rows, matrix.shape[1])
    return torch.nn.functional.interpolate(matrix[None, None], size, mode="bilinear", align_corners=False)[0, 0]


@lru_cache(maxsize=8)
def _side(logits: int, encoder: int, given: int, pixels: int) -> _Side:
    return _Side(logits, encoder, given, pixels)


class Enlarger:
    """For images of one size: `input_hw` as the encoder sees it, `size_hw` as it was."""

    def __init__(self, sam: Sam, input_hw: tuple[int, int], size_hw: tuple[int, int]) -> None:
        logits = 4 * sam.prompt_encoder.image_embedding_size[0]
        self.size_hw = size_hw
        self.threshold = sam.mask_threshold
        encoder = sam.image_encoder.img_size
        self._rows = _side(logits, encoder, input_hw[0], size_hw[0])
        self._columns = _side(logits, encoder, input_hw[1], size_hw[1])
        self._down = self._rows.weights.to(sam.device)
        self._across = self._columns.weights.to(sam.device)

    def parts(self, above: torch.Tensor) -> list[Part]:
        """Of each of M masks the part of the image that `above` [M, side, side] may reach."""
        bounds = torch.stack([*_bounds(above.any(dim=2)), *_bounds(above.any(dim=1))], dim=1)
        return [self._part(*four) for four in bounds.tolist()]

    def _part(self, top: int, bottom: int, left: int, right: int) -> Part:
        if bottom < top:
            return Part(0, 0, 0, 0, 0, 0, 0, 0)
        y, y_end, row, row_end = self._rows.around(top, bottom)
        x, x_end, column, column_end = self._columns.around(left, right)
        return Part(x, y, x_end - x, y_end - y, row, column, row_end, column_end)

    def enlarge(self, logits: torch.Tensor, part: Part) -> torch.Tensor:
        """Logits of the part's pixels, [height, width]."""
        box = (part.x, part.y, part.x + part.width, part.y + part.height)
        return self.enlarge_part(part.of(logits), (part.row, part.column), box)

    def enlarge_part(
        self, logits: torch.Tensor, corner: tuple[int, int], box: tuple[int, int, int, int]
    ) -> torch.Tensor:
        """`logits` whose left upper one is at `corner` (row, column), as pixels of `box` (x1 y1 x2 y2, exclusive)."""
        (row, column), (left, top, right, bottom) = corner, box
        down = self._down[top:bottom, row : row + logits.shape[0]]
        across = self._across[left:right, column : column + logits.shape[1]]
        return down @ logits @ across.T


def _bounds(any_set: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First and last place that is set in each row of [M, n]; (n, -1) where none is."""
    count = any_set.shape[1]
    places = torch.arange(count, device=any_set.device)
    first = torch.where(any_set, places, count).amin(dim=1)
    last = torch.where(any_set, places, -1).amax(dim=1)
    return first, last
