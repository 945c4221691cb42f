"""CoralSCoP's way through an image, against the libraries' own: mmsegmentation's `inference_model`, Segment Anything's
`SamAutomaticMaskGenerator`, then each mask, at full size, named by its majority and freed of what better ones cover.

The weights are the demo's: a small network, so that what is measured is what stands around it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.row import Row, interleaved, ratio_of_medians
from demo.reef import DEMO_SEEDS, render
from kelp.card import load_card
from kelp.geometry import mask_iou, outer_polygons, spans_of_masks
from kelp.settings.model import effective_settings, settings_of
from predictors.coralscop.config import read_config
from predictors.coralscop.found import Found
from predictors.coralscop.model import ROLES, CoralscopModel
from predictors.model import Item

ROOT = Path(__file__).parents[1]
CARD = ROOT / "environments" / "models" / "pth-mmseg-coralscopsegformer.yaml"
ROUNDS = 2
SIDE = 1280
"""The library makes every mask at the picture's full size: larger ones take it minutes and many GB."""
MASK_SETTINGS = ("points_per_side", "points_per_batch", "pred_iou_thresh", "stability_score_thresh", "box_nms_thresh")
Named = tuple[int, float, NDArray[np.bool_]]
"""Label, agreement, mask at full size."""


def run() -> list[Row]:
    """Two rows at SIDE: the automatic masks alone, and everything from the picture to the outlines."""
    card = load_card(CARD)
    files = {role: Path(card.weights.uri) / card.weights.files[role].file for role in ROLES}
    model = CoralscopModel(card, files)
    model.load()
    settings = effective_settings(settings_of(card.task, model.own_settings), card.settings, {"points_per_batch": 32})
    image = render(DEMO_SEEDS[0], SIDE).image
    item = Item(image, settings, frozenset({"polygon_points"}))
    engine = model._loaded()
    given, finder, sam = engine.prepare(image), engine._masks, engine._masks._sam
    theirs = _Theirs(model, files, sam, settings)

    def our_masks() -> Found:
        with torch.inference_mode():
            embedding = finder.embed([given.resized])
            return finder.find(embedding, given.resized.shape[:2], given.size_hw, settings)

    def ours() -> Any:
        (found,) = model.postprocess(model.predict(model.preprocess([item])), [item])
        return found, outer_polygons(found.masks, settings["simplify_px"])

    masks_note = _same_masks(our_masks(), theirs.masks(image))
    whole_note = _same_instances(ours()[0], theirs.instances(image))
    return [
        _row(f"automatic masks of a {SIDE}² picture", masks_note, our_masks, lambda: theirs.masks(image), target=2.0),
        _row(f"a {SIDE}² picture to outlines", whole_note, ours, lambda: theirs.outlines(image), target=2.0),
    ]


class _Theirs:
    """The libraries, and the steps around them in their original order."""

    def __init__(self, model: CoralscopModel, files: dict[str, Path], sam: Any, settings: dict[str, Any]) -> None:
        from segment_anything import SamAutomaticMaskGenerator

        self._segmentor = model._loaded()._semantic._model
        self._segmentor.cfg = read_config(files["segformer_config"], None)
        self._labels = model._label_of_class
        self._settings = settings
        self._generator = SamAutomaticMaskGenerator(sam, **{name: settings[name] for name in MASK_SETTINGS})

    def masks(self, image: NDArray[np.uint8]) -> list[dict[str, Any]]:
        return list(self._generator.generate(image))

    def instances(self, image: NDArray[np.uint8]) -> list[Named]:
        from mmseg.apis import inference_model

        semantic = inference_model(self._segmentor, np.ascontiguousarray(image[..., ::-1]))
        labels = self._labels[semantic.pred_sem_seg.data[0].cpu().numpy()]
        named = []
        for record in self.masks(image):
            vote = self._vote(labels, record["segmentation"])
            if vote is not None and vote[1] >= self._settings["conf_threshold"]:
                named.append((vote[1] * record["predicted_iou"], vote[0], record["segmentation"]))
        taken = np.zeros(labels.shape, bool)
        kept = []
        for _, label, mask in sorted(named, key=lambda entry: -entry[0]):
            free = mask & ~taken
            if not free.any() or mask.sum() - free.sum() > self._settings["iou_threshold"] * mask.sum():
                continue
            taken |= mask
            vote = self._vote(labels, free)
            if vote is not None and vote[0] == label:
                kept.append((label, vote[1], free))
        return sorted(kept, key=lambda entry: -entry[1])[: self._settings["max_detections"]]

    def outlines(self, image: NDArray[np.uint8]) -> list[NDArray[Any]]:
        found = []
        for _, _, mask in self.instances(image):
            contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            largest = max(contours, key=cv2.contourArea)
            found.append(cv2.approxPolyDP(largest, self._settings["simplify_px"], True))
        return found

    def _vote(self, labels: NDArray[np.int32], mask: NDArray[np.bool_]) -> tuple[int, float] | None:
        inside = labels[mask]
        votes = np.bincount(inside[inside >= 0])
        return (int(votes.argmax()), float(votes.max() / inside.size)) if votes.any() else None


def _same_masks(ours: Found, theirs: list[dict[str, Any]]) -> str:
    """What is equal, said; AssertionError where it is not."""
    assert len(ours.crops) == len(theirs), f"{len(ours.crops)} masks, the library found {len(theirs)}"
    least = 1.0
    for (pixels, x, y), record in zip(ours.crops, theirs, strict=True):
        mask = np.zeros(ours.size_hw, bool)
        mask[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
        their = record["segmentation"]
        least = min(least, float((mask & their).sum() / (mask | their).sum()))
    assert least >= 0.99
    return f"the same {len(theirs)} masks in the same order, least IoU {least:.5f}"


def _same_instances(ours: Any, theirs: list[Named]) -> str:
    assert ours.label_id.tolist() == [label for label, _, _ in theirs]
    np.testing.assert_allclose(ours.score, [agreement for _, agreement, _ in theirs], atol=1e-3)
    least = float(mask_iou(ours.masks, spans_of_masks(np.stack([mask for _, _, mask in theirs]))).min())
    assert least >= 0.99
    return f"the same {len(theirs)} instances with the same labels and scores, least IoU {least:.5f}"


def _row(name: str, note: str, ours: Callable[[], Any], theirs: Callable[[], Any], target: float) -> Row:
    mine, their = interleaved(ours, theirs, ROUNDS)
    return Row(
        group="coralscop",
        name=name,
        value=ratio_of_medians(their, mine),
        target=target,
        higher_is_better=True,
        unit="s",
        ours=mine,
        theirs=their,
        against="SamAutomaticMaskGenerator" + (" and mmsegmentation" if "outlines" in name else ""),
        note=note,
    )
