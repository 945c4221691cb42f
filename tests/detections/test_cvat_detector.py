"""`annotations`: the form in which CVAT's detector functions answer."""

import json

import numpy as np

from kelp.detections import Detections
from kelp.detections.cvat_detector import detector_columns, to_detector_form


def found() -> Detections:
    """One instance: a 2 × 3 crop at (10, 20) with a hole in the middle of its first row."""
    return Detections(
        image_index=np.array((1,), np.int32),
        label_id=np.zeros(1, np.int32),
        labels=("Porites",),
        score=np.array((0.87654,), np.float32),
        box=np.array(((10, 20, 13, 22),), np.float32),
        image_size=np.array(((50, 60), (50, 60)), np.int32),
        polygon_offsets=np.array((0, 4), np.int32),
        polygon_points=np.array(((10, 20), (13, 20), (13, 22), (10, 22)), np.float32),
        mask_offsets=np.array((0, 8), np.int32),
        mask_rle=np.array((0, 1, 1, 4, 10, 20, 12, 21), np.int32),
        keypoints=np.array((((1, 2, 0.9), (3, 4, 0.1)),), np.float32),
    )


def test_polygons_unless_told_otherwise() -> None:
    assert to_detector_form(found(), 0, task="segment", settings={}) == []
    (entry,) = to_detector_form(found(), 1, task="segment", settings={"conv_mask_to_poly": None, "shape": "auto"})
    assert (entry["label"], entry["type"], entry["confidence"]) == ("Porites", "polygon", 0.8765)
    assert entry["points"] == [10, 20, 13, 20, 13, 22, 10, 22]
    assert json.loads(json.dumps(entry)) == entry


def test_a_mask_is_the_flattened_crop_and_its_inclusive_box() -> None:
    (entry,) = to_detector_form(found(), 1, task="segment", settings={"conv_mask_to_poly": False})
    assert entry["type"] == "mask"
    assert entry["mask"] == [1, 0, 1, 1, 1, 1, 10, 20, 12, 21]
    assert entry["points"], "CVAT's own conversion to polygons reads them"


def test_keypoints_are_a_skeleton_where_the_label_is_one_else_points() -> None:
    skeletons = {"Porites": ("a", "b")}
    (entry,) = to_detector_form(found(), 1, task="pose", settings={}, skeletons=skeletons)
    assert entry["type"] == "skeleton"
    assert [(e["label"], e["points"], e["occluded"], e["outside"]) for e in entry["elements"]] == [
        ("a", [1, 2], False, False),
        ("b", [3, 4], True, False),
    ]
    (plain,) = to_detector_form(found(), 1, task="pose", settings={})
    assert (plain["type"], plain["points"]) == ("points", [1, 2, 3, 4])


def test_only_the_columns_that_are_needed_are_computed() -> None:
    assert detector_columns("detect", {}) == frozenset()
    assert detector_columns("segment", {}) == {"polygon_offsets", "polygon_points"}
    assert "mask_rle" in detector_columns("segment", {"conv_mask_to_poly": False})
    assert detector_columns("pose", {}) == {"keypoints"}
