"""The automatic masks are the library's: the same ones, in the same order, whatever the image's size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from segment_anything import SamAutomaticMaskGenerator, SamPredictor
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide

from predictors.coralscop.decoder import Decoder
from predictors.coralscop.masks import MaskFinder
from predictors.coralscop.sam import build_sam
from tests.coralscop.library import assert_same, find
from tests.coralscop.tiny import FINDS, coral_heads, picture, small_sam

SIZES = [(100, 140), (200, 150), (128, 128), (64, 31), (90, 257)]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"box_nms_thresh": 1.0},  # every candidate stays: all of them are compared
        {"points_per_side": 3, "points_per_batch": 100, "box_nms_thresh": 1.0, "pred_iou_thresh": 0.0},
        {"stability_score_thresh": 0.3, "points_per_batch": 7, "box_nms_thresh": 1.0},
    ],
)
def test_random_weights_on_five_images(changed: dict[str, float]) -> None:
    sam, settings = small_sam(), {**FINDS, **changed}
    counts = []
    for seed, size in enumerate(SIZES):
        image = picture(*size, seed=seed)
        theirs = SamAutomaticMaskGenerator(sam, **settings).generate(image)
        assert_same(find(sam, image, **settings), theirs)
        counts.append(len(theirs))
    assert min(counts) >= 1
    assert sum(counts) >= (30 if settings["box_nms_thresh"] == 1.0 else 5)


def test_nothing_found_is_no_mask() -> None:
    image = picture(60, 90)
    settings = {**FINDS, "pred_iou_thresh": 1.0, "stability_score_thresh": 1.0}
    assert find(small_sam(), image, **settings).crops == []


def test_a_sam_is_built_from_its_tensors_alone() -> None:
    sam = small_sam()
    built = build_sam(sam.state_dict(), "sam.pth")
    image = torch.rand(1, 3, 128, 128)
    with torch.inference_mode():
        torch.testing.assert_close(built.image_encoder(image), sam.image_encoder(image))
    assert [block.window_size for block in built.image_encoder.blocks] == [3, 0, 3]


class TestCoralscop:
    """CoralSCoP's own decoder: one mask a point, and a word on whether it is coral."""

    @pytest.fixture
    def sam(self) -> Sam:
        torch.manual_seed(1)
        return build_sam(small_sam().state_dict() | coral_heads(32, 64, 16), "vit_b_coralscop.pth")

    def test_what_is_not_coral_goes(self, sam: Sam) -> None:
        image = picture(100, 140)
        settings = {**FINDS, "box_nms_thresh": 1.0, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}
        verdict(sam, coral=True)
        assert 0 < len(find(sam, image, **settings).crops) <= settings["points_per_side"] ** 2
        verdict(sam, coral=False)
        assert find(sam, image, **settings).crops == []

    def test_the_word_is_about_each_mask_by_itself(self, sam: Sam) -> None:
        image, decoder, finder = picture(100, 140), Decoder(sam), MaskFinder(sam)
        points = torch.rand(40, 2, generator=torch.Generator().manual_seed(0)) * 100
        last = sam.mask_decoder.cate_prediction_head.layers[-1]
        torch.nn.init.eye_(last.weight)
        scores: list[torch.Tensor] = []
        handle = last.register_forward_hook(lambda module, given, answer: scores.append(answer[:, 0]))
        with torch.no_grad():
            decoder.ask(finder.embed([finder.resized(image)]), points)
            handle.remove()
            middle = (scores[0][:, 1] - scores[0][:, 0]).median()
            last.bias[1] = last.bias[1] - middle
            asked = decoder.ask(finder.embed([finder.resized(image)]), points)
        assert asked.wanted[:, 0].tolist() == (scores[0][:, 1] - scores[0][:, 0] > middle).tolist()
        assert 10 <= int(asked.wanted.sum()) <= 30

    def test_masks_are_those_of_a_single_answer(self, sam: Sam) -> None:
        """As the library's predictor gives them where it is asked for one mask a point."""
        image, points = picture(100, 140), np.array([[20.0, 30.0], [90.0, 60.0]])
        verdict(sam, coral=True)
        finder, decoder = MaskFinder(sam), Decoder(sam)
        with torch.inference_mode():
            places = torch.as_tensor(ResizeLongestSide(128).apply_coords(points, (100, 140)))
            asked = decoder.ask(finder.embed([finder.resized(image)]), places)
            logits, quality = decoder.logits(asked, asked.wanted), asked.quality[:, 0]
        predictor = SamPredictor(sam)
        predictor.set_image(image)
        for number, point in enumerate(points):
            _, score, low = predictor.predict(point[None], np.ones(1), multimask_output=False)
            np.testing.assert_allclose(logits[number].numpy(), low[0], atol=1e-4)
            assert float(quality[number]) == pytest.approx(float(score[0]), abs=1e-5)


def verdict(sam: Sam, *, coral: bool) -> None:
    """CoralSCoP's classifier says the same of everything."""
    last = sam.mask_decoder.cate_prediction_head.layers[-1]
    torch.nn.init.zeros_(last.weight)
    with torch.no_grad():
        last.bias.copy_(torch.tensor([0.0, 1.0] if coral else [1.0, 0.0]))
