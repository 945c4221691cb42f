"""Detections become what CVAT's annotation API stores, and nothing leaves the image."""

import numpy as np
import pytest

from kelp.detections import Detections
from kelp.detections.cvat_annotations import Annotations, AttributeValue, ScoreAttribute, Target
from kelp.detections.shape_kind import shape_kind

HEIGHT, WIDTH = 100, 200


def found(**columns: object) -> Detections:
    """Two instances in one image of 100 × 200: one inside, one reaching over the right lower corner."""
    values: dict[str, object] = {
        "image_index": np.zeros(2, np.int32),
        "label_id": np.array((0, 1), np.int32),
        "labels": ("Porites", "Fungia"),
        "score": np.array((0.91, 0.5), np.float32),
        "box": np.array(((10, 20, 30.126, 40), (190, 90, 210, 110)), np.float32),
        "image_size": np.array(((HEIGHT, WIDTH),), np.int32),
    }
    return Detections(**{**values, **columns})  # type: ignore[arg-type]


MASKS = found(
    polygon_offsets=np.array((0, 3, 3), np.int32),
    polygon_points=np.array(((10, 20), (30.1234, 20), (-5, 140)), np.float32),
    mask_offsets=np.array((0, 6, 6), np.int32),
    mask_rle=np.array((0, 4, 10, 20, 11, 21), np.int32),
)


def test_a_box_is_clipped_and_rounded_to_hundredths() -> None:
    shape = Annotations(found()).of(1, 7, Target(5, "rectangle"))
    assert shape is not None
    assert shape["points"] == [190.0, 90.0, 200.0, 100.0]
    assert (shape["frame"], shape["label_id"], shape["type"], shape["source"]) == (7, 5, "rectangle", "auto")
    inside = Annotations(found()).of(0, 0, Target(5, "rectangle"))
    assert inside is not None
    assert inside["points"] == [10.0, 20.0, 30.13, 40.0]


def test_a_polygon_is_clipped_and_a_polyline_closed() -> None:
    annotations = Annotations(MASKS)
    polygon = annotations.of(0, 0, Target(5, "polygon"))
    polyline = annotations.of(0, 0, Target(5, "polyline"))
    assert polygon is not None
    assert polyline is not None
    assert polygon["points"] == [10.0, 20.0, 30.12, 20.0, 0.0, 100.0]
    assert polyline["points"] == [*polygon["points"], 10.0, 20.0]


def test_an_instance_without_contour_becomes_its_box() -> None:
    shape = Annotations(MASKS).of(1, 0, Target(5, "polygon"))
    assert shape is not None
    assert shape["points"] == [190, 90, 200, 90, 200, 100, 190, 100]


def test_a_mask_carries_cvats_run_lengths_and_inclusive_box() -> None:
    shape = Annotations(MASKS).of(0, 0, Target(5, "mask"))
    assert shape is not None
    assert shape["points"] == [0, 4, 10, 20, 11, 21]
    assert Annotations(MASKS).of(1, 0, Target(5, "mask")) is None, "an empty mask is no shape"


def test_a_box_model_fills_its_box_where_the_label_wants_a_mask() -> None:
    shape = Annotations(found()).of(1, 0, Target(5, "mask"))
    assert shape is not None
    assert shape["points"] == [0, 100, 190, 90, 199, 99]


def test_what_lies_outside_the_image_is_no_shape() -> None:
    outside = found(box=np.array(((10, 20, 30, 40), (300, 90, 310, 95)), np.float32))
    assert Annotations(outside).of(1, 0, Target(5, "rectangle")) is None
    assert Annotations(outside).of(1, 0, Target(5, "polygon")) is None


def test_a_skeleton_has_its_points_by_sublabel_and_guessed_ones_hidden() -> None:
    keypoints = np.array((((1, 2, 0.9), (250, 3, 0.2)), ((0, 0, 1), (0, 0, 1))), np.float32)
    target = Target(5, "skeleton", elements=((51, ()), (52, (AttributeValue(9, "x"),))))
    shape = Annotations(found(keypoints=keypoints)).of(0, 3, target)
    assert shape is not None
    first, second = shape["elements"]
    assert (first["label_id"], first["points"], first["occluded"], first["outside"]) == (51, [1.0, 2.0], False, False)
    assert (second["label_id"], second["points"], second["occluded"], second["outside"]) == (52, [200, 3], True, False)
    assert second["attributes"] == [{"spec_id": 9, "value": "x"}]


def test_a_skeleton_of_another_length_is_refused_in_words() -> None:
    keypoints = np.zeros((2, 3, 3), np.float32)
    with pytest.raises(ValueError, match="the label has 1 points, the model found 3"):
        Annotations(found(keypoints=keypoints)).of(0, 0, Target(5, "skeleton", elements=((51, ()),)))


@pytest.mark.parametrize(
    ("attribute", "written"),
    [
        (ScoreAttribute(3), "0.91"),
        (ScoreAttribute(3, maximum=100, step=1), "91"),
        (ScoreAttribute(3, maximum=100, step=5), "90"),
        (ScoreAttribute(3, maximum=100), "91"),
    ],
)
def test_the_score_is_written_on_its_attributes_scale(attribute: ScoreAttribute, written: str) -> None:
    target = Target(5, "rectangle", attributes=(AttributeValue(2, "unknown"), AttributeValue(3, "0")), score=attribute)
    shape = Annotations(found()).of(0, 0, target)
    assert shape is not None
    assert shape["attributes"] == [{"spec_id": 2, "value": "unknown"}, {"spec_id": 3, "value": written}]


def test_a_tag_is_a_tag() -> None:
    assert Annotations(found()).of(0, 4, Target(5, "tag")) == {
        "frame": 4,
        "label_id": 5,
        "source": "auto",
        "attributes": [],
    }


@pytest.mark.parametrize(
    ("label_type", "found_by_model", "conv_mask_to_poly", "shape", "kind"),
    [
        # the label's own type decides
        ("rectangle", "masks", None, "auto", "rectangle"),
        ("polygon", "masks", None, "auto", "polygon"),
        ("any", "masks", None, "auto", "polygon"),
        ("polyline", "masks", None, "auto", "polyline"),
        ("mask", "masks", None, "auto", "mask"),
        ("tag", "masks", None, "auto", "tag"),
        ("ellipse", "masks", None, "auto", None),
        ("cuboid", "boxes", None, "auto", None),
        ("any", "boxes", None, "auto", "rectangle"),
        ("skeleton", "keypoints", None, "auto", "skeleton"),
        ("points", "keypoints", None, "auto", "points"),
        ("skeleton", "masks", None, "auto", None),
        # the webhook's parameter moves outlines only
        ("mask", "masks", True, "auto", "polygon"),
        ("polyline", "masks", True, "auto", "polyline"),
        ("polygon", "masks", False, "auto", "mask"),
        ("any", "masks", False, "auto", "mask"),
        ("rectangle", "masks", False, "auto", "rectangle"),
        ("any", "boxes", False, "auto", "rectangle"),
        ("skeleton", "keypoints", False, "auto", "skeleton"),
        # shape forces
        ("polygon", "masks", None, "polyline", "polyline"),
        ("any", "masks", False, "polygon", "polygon"),
        ("mask", "masks", None, "rectangle", "rectangle"),
        ("any", "keypoints", None, "rectangle", "rectangle"),
        # but not what the label cannot hold
        ("tag", "masks", None, "polygon", "tag"),
        ("points", "masks", None, "polyline", None),
        ("skeleton", "boxes", None, "rectangle", None),
        ("ellipse", "masks", None, "mask", None),
        ("cuboid", "boxes", None, "rectangle", None),
        ("cuboid", "keypoints", None, "rectangle", None),
        ("points", "keypoints", None, "rectangle", "points"),
    ],
)
def test_which_shape_is_written(
    label_type: str, found_by_model: str, conv_mask_to_poly: bool | None, shape: str, kind: str | None
) -> None:
    chosen = shape_kind(label_type, found_by_model, shape=shape, conv_mask_to_poly=conv_mask_to_poly)  # type: ignore[arg-type]
    assert chosen == kind
