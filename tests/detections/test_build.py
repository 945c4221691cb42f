"""Several images' predictions become one set of columns, and come back from tensors as they were."""

import json

import numpy as np
import pytest

from kelp.codec.tensor import Tensor
from kelp.detections import Detections, Predictions
from kelp.detections.build import build
from kelp.detections.tensors import DETECTOR_OUTPUTS, from_tensors, outputs_of, to_tensors
from kelp.errors import BadGateway
from kelp.geometry import cvat_to_mask, polygon_to_mask, spans_of_masks


def picture(height: int, width: int, *blobs: tuple[int, int, int, int]) -> Predictions:
    """Predictions whose masks are filled boxes (x1 y1 x2 y2)."""
    masks = np.zeros((len(blobs), height, width), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, blobs, strict=True):
        mask[y1:y2, x1:x2] = True
    return Predictions(
        (height, width),
        np.arange(len(blobs), dtype=np.int32) % 2,
        np.linspace(0.9, 0.5, len(blobs), dtype=np.float32),
        np.array(blobs, np.float32).reshape(-1, 4),
        spans_of_masks(masks),
    )


IMAGES = [picture(50, 60, (1, 2, 20, 30), (5, 5, 5, 5)), picture(10, 10), picture(40, 30, (0, 0, 30, 40))]


def test_columns_hold_each_image_in_order() -> None:
    found = build(IMAGES, ("a", "b"), DETECTOR_OUTPUTS, [0.0] * 3)
    assert found.image_index.tolist() == [0, 0, 2]
    assert [list(found.rows_of(i)) for i in range(3)] == [[0, 1], [], [2]]
    assert found.image_size.tolist() == [[50, 60], [10, 10], [40, 30]]
    assert cvat_to_mask(found.cvat_mask(0), (50, 60)).sum() == 19 * 28
    assert len(found.cvat_mask(1)) == 0, "an instance without a pixel has no run lengths"
    assert polygon_to_mask(found.polygon(2), (40, 30)).all()


def test_only_what_is_asked_for_is_there() -> None:
    found = build(IMAGES, ("a", "b"), {"box", "score"}, [1.0] * 3)
    assert found.polygon_points is None
    assert found.mask_rle is None
    assert [t.name for t in to_tensors(found, {"score", "box"})] == ["score", "box"]


def test_nothing_found_in_nothing() -> None:
    empty = build([picture(5, 5)], ("a",), DETECTOR_OUTPUTS, [1.0])
    assert len(empty) == 0
    assert empty.mask_offsets is not None
    assert empty.mask_offsets.tolist() == [0]
    back = from_tensors({t.name: t for t in to_tensors(empty, DETECTOR_OUTPUTS)})
    assert back.image_count == 1


def test_tensors_carry_everything() -> None:
    found = build(IMAGES, ("a", "ä"), DETECTOR_OUTPUTS, [0.0] * 3)
    tensors = {t.name: t for t in to_tensors(found, DETECTOR_OUTPUTS, [[{"label": "ä"}], [], []])}
    assert set(tensors) == {column.name for column in outputs_of("segment")}
    back = from_tensors(tensors)
    assert back.labels == ("a", "ä")
    for column in ("box", "score", "label_id", "polygon_points", "polygon_offsets", "mask_rle", "mask_offsets"):
        np.testing.assert_array_equal(getattr(back, column), getattr(found, column))
    assert [json.loads(text) for text in tensors["annotations"].texts()] == [[{"label": "ä"}], [], []]


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("score", np.array((0.5, 0.5, 2), np.float32), "score: expected values from 0 to 1"),
        ("label_id", np.array((0, 1, 7), np.int32), "label_id: expected values from 0 to 1"),
        ("label_id", np.array((0, 1), np.int32), "image_index: expected int32"),
        ("image_index", np.array((2, 0, 0), np.int32), "image_index: expected rising"),
        ("image_index", np.array((0, 0, 3), np.int32), "image_index: expected values from 0 to 2"),
        ("box", np.zeros((3, 5), np.float32), "box: expected float32"),
        ("box", np.full((3, 4), np.nan, np.float32), "box: expected finite numbers"),
        ("polygon_offsets", np.array((0, 9, 4, 8), np.int32), "polygon_offsets: expected offsets that rise"),
        ("mask_offsets", np.array((0, 1, 2, 3), np.int32), "mask_offsets: expected offsets that rise"),
        ("score", np.array((1, 2, 3), np.int32), "output 'score': expected FP32, got INT32"),
    ],
)
def test_a_models_wrong_answer_names_the_tensor(name: str, values: np.ndarray, says: str) -> None:
    found = build(IMAGES, ("a", "b"), DETECTOR_OUTPUTS, [0.0] * 3)
    tensors = {t.name: t for t in to_tensors(found, DETECTOR_OUTPUTS)}
    tensors[name] = Tensor.from_array(name, values)
    with pytest.raises(BadGateway, match=says):
        from_tensors(tensors)


def test_a_missing_tensor_is_named() -> None:
    found = build(IMAGES, ("a", "b"), DETECTOR_OUTPUTS, [0.0] * 3)
    with pytest.raises(BadGateway, match="lacks: score"):
        from_tensors({t.name: t for t in to_tensors(found, set(DETECTOR_OUTPUTS) - {"score"})})


def test_predictions_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="box: expected float32"):
        Predictions((5, 5), np.zeros(1, np.int32), np.zeros(1, np.float32), np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError, match="masks: expected 1 in an image"):
        Predictions(
            (5, 5), np.zeros(1, np.int32), np.zeros(1, np.float32), np.zeros((1, 4), np.float32),
            spans_of_masks(np.zeros((1, 4, 4), bool)),
        )  # fmt: skip


def test_detections_of_no_images_are_valid() -> None:
    assert isinstance(build([], (), DETECTOR_OUTPUTS, []), Detections)
