"""The letterbox agrees with ultralytics' own, and goes back to where it came from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.geometry import Letterbox

SIDES = st.integers(1, 3000)
SIZES = st.tuples(SIDES, SIDES)

TABLE = [
    # original, model, content, top left
    ((1080, 1920), (640, 640), (360, 640), (140, 0)),
    ((1920, 1920), (640, 640), (640, 640), (0, 0)),
    ((480, 640), (640, 640), (480, 640), (80, 0)),
    ((100, 60), (64, 64), (64, 38), (0, 13)),
    ((100, 61), (64, 64), (64, 39), (0, 12)),  # an odd column of padding: the larger half goes right
    ((1, 3000), (640, 640), (1, 640), (319, 0)),  # never less than a pixel
]


@pytest.mark.parametrize(("original", "model", "content", "top_left"), TABLE)
def test_place_of_the_image(
    original: tuple[int, int], model: tuple[int, int], content: tuple[int, int], top_left: tuple[int, int]
) -> None:
    box = Letterbox(original, model)
    assert (box.content_hw, box.top_left) == (content, top_left)


def test_smallest_pads_to_whole_strides_only() -> None:
    assert Letterbox.smallest((1080, 1920), (640, 640)).model_hw == (384, 640)
    assert Letterbox.smallest((1920, 1080), (640, 640)).model_hw == (640, 384)
    assert Letterbox.smallest((640, 640), (640, 640)).model_hw == (640, 640)


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_a_size_without_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="1 pixel"):
        Letterbox(size, (640, 640))


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        Letterbox((10, 12), (32, 32)).apply(np.zeros((12, 10, 3), np.uint8))


@given(SIZES, SIZES, st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=5))
def test_forward_and_back(original: tuple[int, int], model: tuple[int, int], shares: list[tuple[float, ...]]) -> None:
    height, width = original
    boxes = np.array(shares) * (width, height, width, height)
    box = Letterbox(original, model)
    back = box.inverse(box.forward(boxes))
    # float32 has 24 bits, spent on places up to the size of model and image alike.
    place = max(*model, *original) * 2.0**-22 / min(box.gain_xy)
    assert back == pytest.approx(boxes, abs=max(place, 1e-3))
    assert box.inverse(box.forward(boxes[:, :2])) == pytest.approx(back[:, :2])


def test_what_lies_in_the_padding_comes_back_on_the_border() -> None:
    box = Letterbox((1080, 1920), (640, 640))
    assert box.inverse(np.array([[-5.0, 0.0, 700.0, 640.0]])).tolist() == [[0, 0, 1920, 1080]]


@pytest.mark.parametrize("automatic", [False, True])
@pytest.mark.parametrize("size", [(1080, 1920), (61, 100), (100, 61), (640, 640), (33, 700), (3, 900)])
def test_agrees_with_ultralytics(size: tuple[int, int], automatic: bool) -> None:
    augment = pytest.importorskip("ultralytics.data.augment", reason="ultralytics is not installed")
    ops = pytest.importorskip("ultralytics.utils.ops")
    image = np.random.Generator(np.random.PCG64(1)).integers(0, 255, (*size, 3), np.uint8)
    box = Letterbox.smallest(size, (640, 640)) if automatic else Letterbox(size, (640, 640))
    theirs = augment.LetterBox((640, 640), auto=automatic, stride=32)(image=image)
    assert np.array_equal(box.apply(image), theirs)
    places = np.array([[3.5, 100.25, 600.0, 350.5], [0, 0, 640, 384]], np.float32)
    assert box.inverse(places) == pytest.approx(ops.scale_boxes(box.model_hw, places.copy(), size), abs=1e-2)


@pytest.mark.parametrize(
    ("original", "model", "expected"),
    [
        ((1080, 1920), (640, 640), (1, 35, 0, 125, 160)),
        ((1920, 1920), (640, 640), (1, 0, 0, 160, 160)),
        ((1000, 1333), (640, 640), (1, 20, 0, 140, 160)),
        ((1000, 1340), (640, 640), (4, 81, 0, 559, 640)),  # 81 rows of padding: no whole cells before quarters
        ((1000, 1325), (640, 640), (4, 78, 0, 561, 640)),
    ],
)
def test_the_window_of_a_mask_grid_ends_on_whole_cells(
    original: tuple[int, int], model: tuple[int, int], expected: tuple[int, ...]
) -> None:
    assert Letterbox(original, model).mask_window((160, 160)) == expected
