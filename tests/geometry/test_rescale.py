"""From a small mask grid to the original: the pixels of the enlarged mask, without making it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kelp.geometry import encode_cvat_masks, mask_to_cvat, pixel_boxes, spans_of_grids
from kelp.geometry.rescale import taps
from tests.geometry.masks import SIZES, smooth
from tests.geometry.test_spans import assert_well_formed

TARGETS = st.tuples(st.integers(1, 50), st.integers(1, 50))


def enlarged(grid: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """The whole grid at full size, float32, rows first: what the spans promise to equal."""
    rows, columns = taps(grid.shape[0], size_hw[0]), taps(grid.shape[1], size_hw[1])
    below = rows.weight[:, None]
    tall = grid[rows.lower] * (1 - below) + grid[rows.upper] * below
    return tall[:, columns.lower] * (1 - columns.weight) + tall[:, columns.upper] * columns.weight


def cut(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = box
    kept = np.zeros_like(mask)
    kept[y1:y2, x1:x2] = mask[y1:y2, x1:x2]
    return kept


@st.composite
def grids(draw: st.DrawFn) -> np.ndarray:
    """Float32 [D, h, w]: smooth or wild numbers, or few whole ones, so that zeros and ties are common."""
    shape = (draw(st.integers(0, 3)), *draw(SIZES))
    wild = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
    return draw(hnp.arrays(np.float32, shape, elements=draw(st.sampled_from((wild, st.integers(-2, 2))))))


@settings(max_examples=300)
@given(grids(), TARGETS, st.data())
def test_equal_to_enlarging_the_whole_and_cutting(grid: np.ndarray, size: tuple[int, int], data: st.DataObject) -> None:
    sides = st.tuples(*[st.floats(-5, 55)] * 4)
    boxes = np.array([data.draw(sides) for _ in grid]).reshape(-1, 4)
    spans = spans_of_grids(grid, size, boxes)
    assert_well_formed(spans)
    pixels = pixel_boxes(boxes, size)
    for row, mask in enumerate(spans.masks()):
        assert np.array_equal(mask, cut(enlarged(grid[row], size) > 0, pixels[row]))


@given(hnp.arrays(np.bool_, SIZES), st.sampled_from((1, 3, 5, 7)))
def test_model_size_to_original_and_back(mask: np.ndarray, factor: int) -> None:
    size = (mask.shape[0] * factor, mask.shape[1] * factor)
    large = spans_of_grids(mask[None], size, threshold=0.5).masks()[0]
    # An odd factor puts a pixel right on each cell's centre.
    assert np.array_equal(large[factor // 2 :: factor, factor // 2 :: factor], mask)


@pytest.mark.parametrize(
    ("grid_hw", "size"), [((90, 160), (1080, 1920)), ((64, 48), (1333, 1000)), ((160, 160), (99, 120))]
)
def test_agrees_with_opencv(grid_hw: tuple[int, int], size: tuple[int, int]) -> None:
    grid = np.stack([smooth(seed, grid_hw, 4) for seed in range(4)])
    boxes = np.array([(0, 0, *size[::-1]), (10, 20, 80.5, 90.25), (3, 3, 4, 4), (50, 50, 50, 60)])
    spans = spans_of_grids(grid, size, boxes)
    offsets, values = encode_cvat_masks(spans)
    for row, box in enumerate(pixel_boxes(boxes, size)):
        tall = cv2.resize(grid[row], (grid_hw[1], size[0]), interpolation=cv2.INTER_LINEAR)
        full = cut(cv2.resize(tall, size[::-1], interpolation=cv2.INTER_LINEAR) > 0, box)
        ours = spans.take([row]).masks()[0]
        # OpenCV may round a value to the other side of zero where ours is zero to seven digits.
        assert np.count_nonzero(ours != full) <= 2
        if np.array_equal(ours, full):
            assert np.array_equal(values[offsets[row] : offsets[row + 1]], mask_to_cvat(full))


def test_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    grid = np.stack([smooth(seed, (40, 60), 3) for seed in range(4)])
    interpolate = torch.nn.functional.interpolate
    theirs = interpolate(torch.from_numpy(grid)[None], (500, 777), mode="bilinear", align_corners=False)[0].numpy() > 0
    # torch places pixels in float32: on an outline some fall to the other side.
    assert np.count_nonzero(spans_of_grids(grid, (500, 777)).masks() != theirs) <= 1e-4 * theirs.size


def test_thresholds_of_probabilities_and_masks() -> None:
    logits = smooth(5, (20, 30), 2)[None]
    odds = 1 / (1 + np.exp(-logits))
    assert np.array_equal(spans_of_grids(logits, (20, 30)).masks(), logits > 0)
    assert np.array_equal(spans_of_grids(odds, (20, 30), threshold=0.5).masks(), odds > 0.5)
    assert np.array_equal(spans_of_grids(logits > 0, (20, 30), threshold=0.5).masks(), logits > 0)


def test_values_that_are_no_numbers_are_unset() -> None:
    grid = smooth(8, (30, 40), 3)[None]
    grid[0, 5:9, 5:9] = np.nan
    grid[0, 20, 20], grid[0, 25, 25] = np.inf, -np.inf
    spans = spans_of_grids(grid, (300, 400))
    assert_well_formed(spans)
    mask = spans.masks()[0]
    assert not mask[60:80, 60:80].any()
    far = np.s_[110:180, :]
    assert np.array_equal(mask[far], enlarged(grid[0], (300, 400))[far] > 0)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint8])
def test_other_number_types(dtype: type) -> None:
    grid = (smooth(6, (12, 12), 2)[None] > 0).astype(dtype)
    assert np.array_equal(spans_of_grids(grid, (12, 12), threshold=0.5).masks(), grid > 0.5)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="grids: expected"):
        spans_of_grids(np.zeros((4, 4), np.float32), (8, 8))
    with pytest.raises(ValueError, match="boxes: expected \\[2, 4\\]"):
        spans_of_grids(np.zeros((2, 4, 4), np.float32), (8, 8), [(0, 0, 1, 1)])
