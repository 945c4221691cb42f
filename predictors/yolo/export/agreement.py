"""Whether two files of one network find the same in the same pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kelp.detections import Predictions
from kelp.geometry import mask_iou
from predictors.model import Item
from predictors.yolo.export.raw_agreement import raw_faults
from predictors.yolo.model import YoloModel

Picture = NDArray[np.uint8]
_OUTPUTS = frozenset({"mask_rle", "keypoints"})
_NEAR = 0.03
"""Scores so near the threshold may fall on its other side."""
_SCORE = 0.03
_BOX_SHARE = 0.01
"""How far an edge may move, in parts of the box's longer side, but always a pixel."""
_LEAST_MASK_IOU, _MASK_PX = 0.95, 400
_LOWEST = 0.001
_ENOUGH = 10
"""So many instances that are alike speak for themselves, where the networks' answers differ a little everywhere."""
_MOST = 100


@dataclass(frozen=True, slots=True)
class Agreement:
    """pictures, instances: how many were compared, at conf_threshold; worst_box_px, worst_score, least_mask_iou: of the
    pairs; faults: what does not agree, in words."""

    pictures: int
    instances: int
    conf_threshold: float
    worst_box_px: float
    worst_score: float
    least_mask_iou: float | None
    faults: list[str]

    def figures(self) -> dict[str, Any]:
        """For people and cards, rounded."""
        found: dict[str, Any] = {
            "pictures": self.pictures,
            "instances": self.instances,
            "conf_threshold": round(self.conf_threshold, 3),
            "largest_move_of_a_box_px": round(self.worst_box_px, 3),
            "largest_change_of_a_score": round(self.worst_score, 4),
        }
        if self.least_mask_iou is not None:
            found["least_mask_iou"] = round(self.least_mask_iou, 4)
        return found


def compare(
    original: YoloModel, made: YoloModel, pictures: Sequence[Picture], settings: Mapping[str, Any]
) -> Agreement:
    """Both models over `pictures` at the card's settings. They agree where the networks answer the same, or else where
    enough is found, and it is the same.

    conf_threshold: where the original finds nothing in any picture, a lower one, at which it does.
    """
    conf = float(settings["conf_threshold"])
    best = max(
        (float(found.score.max()) for found in _ask(original, pictures, settings, _LOWEST) if len(found)), default=0
    )
    conf = max(_LOWEST, min(conf, best * 0.6))
    ours, theirs = _ask(original, pictures, settings, conf), _ask(made, pictures, settings, conf)
    # Whoever is just above the threshold in one may be just below it in the other.
    lenient = [_ask(model, pictures, settings, max(_LOWEST, conf - _NEAR)) for model in (original, made)]
    tally = _Tally()
    for number in range(len(pictures)):
        tally.pair(ours[number], lenient[1][number], f"picture {number + 1}: the original's")
        tally.pair(theirs[number], lenient[0][number], f"picture {number + 1}: the new file's")
    least = min(tally.mask_iou, default=None)
    instances = sum(len(found) for found in ours)
    raw = raw_faults(original, made, pictures, conf)
    if raw is None:
        faults = tally.faults
    elif not raw or (not tally.faults and instances >= _ENOUGH):
        faults = []
    else:
        faults = [*raw, *tally.faults]
    return Agreement(len(pictures), instances, conf, tally.box_px, tally.score, least, faults)


class _Tally:
    def __init__(self) -> None:
        self.box_px = 0.0
        self.score = 0.0
        self.mask_iou: list[float] = []
        self.faults: list[str] = []

    def pair(self, given: Predictions, among: Predictions, whose: str) -> None:
        """Each of `given` must have its like in `among`, each of those taken once."""
        free = np.ones(len(among), np.bool_)
        for row in range(len(given)):
            apart = np.abs(among.box - given.box[row]).max(axis=1) if len(among) else np.empty(0)
            apart = np.where(free & (among.label_id == given.label_id[row]), apart, np.inf)
            partner = int(apart.argmin()) if len(apart) else -1
            side = float((given.box[row, 2:] - given.box[row, :2]).max())
            if partner < 0 or apart[partner] > max(1.0, _BOX_SHARE * side):
                moved = (
                    f", the nearest lies {apart[partner]:.1f} px off" if partner >= 0 and apart[partner] < 1e9 else ""
                )
                self.faults.append(f"{whose} instance {row + 1} (score {given.score[row]:.2f}) has no like{moved}")
                continue
            free[partner] = False
            self._compare(given, row, among, partner, float(apart[partner]), side, whose)

    def _compare(
        self, given: Predictions, row: int, among: Predictions, partner: int, moved: float, side: float, whose: str
    ) -> None:
        self.box_px = max(self.box_px, moved)
        score = abs(float(given.score[row] - among.score[partner]))
        self.score = max(self.score, score)
        if score > _SCORE:
            self.faults.append(f"{whose} instance {row + 1}: its score differs by {score:.3f}")
        if given.masks is not None and among.masks is not None:
            one, other = given.masks.take(np.array([row])), among.masks.take(np.array([partner]))
            if int(one.area()[0]) >= _MASK_PX:
                iou = float(mask_iou(one, other)[0])
                self.mask_iou.append(iou)
                if iou < _LEAST_MASK_IOU:
                    self.faults.append(f"{whose} instance {row + 1}: the masks' IoU is {iou:.3f}")
        if given.keypoints is not None and among.keypoints is not None:
            seen = given.keypoints[row, :, 2] >= 0.5
            off = np.abs(given.keypoints[row, seen, :2] - among.keypoints[partner][seen, :2])
            worst = float(off.max()) if off.size else 0.0
            if worst > max(1.0, _BOX_SHARE * side):
                self.faults.append(f"{whose} instance {row + 1}: a point lies {worst:.1f} px off")


def _ask(model: YoloModel, pictures: Sequence[Picture], settings: Mapping[str, Any], conf: float) -> list[Predictions]:
    asked = {**settings, "conf_threshold": conf, "max_detections": _MOST, "use_template_matching": False}
    found = []
    for picture in pictures:
        items = [Item(picture, asked, _OUTPUTS)]
        found += model.postprocess(model.predict(model.preprocess(items)), items)
    return found
