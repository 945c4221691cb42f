"""The shipped weights."""

from __future__ import annotations

from pathlib import Path

from segment_anything import SamAutomaticMaskGenerator

from demo.reef import HELD_OUT_SEEDS, render
from predictors.coralscop.checkpoint import read_checkpoint
from predictors.coralscop.sam import build_sam
from tests.coralscop.library import assert_same, find

SAM = Path(__file__).parents[2] / "demo" / "weights" / "pth-mmseg-coralscopsegformer" / "vit_coralscop.pth"


def test_their_masks_are_the_librarys_on_five_images_of_the_reef() -> None:
    sam = build_sam(read_checkpoint(SAM).tensors, SAM.name)
    settings = {
        "points_per_side": 10, "points_per_batch": 50, "pred_iou_thresh": 0.5, "stability_score_thresh": 0.6,
        "box_nms_thresh": 0.7,
    }  # fmt: skip
    for seed in HELD_OUT_SEEDS[:5]:
        image = render(seed, 480).image[: 480 - seed % 5 * 40]
        theirs = SamAutomaticMaskGenerator(sam, **settings).generate(image)
        assert len(theirs) >= 5
        assert_same(find(sam, image, **settings), theirs)
