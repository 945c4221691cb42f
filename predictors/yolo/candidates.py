"""From a network's raw answer to what it found in one image: thresholds, labels, suppression."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictors.yolo.engine import Floats
from predictors.yolo.suppress import MOST_CANDIDATES, suppress


class Found(NamedTuple):
    """D instances, best first, in pixels of the network's input.

    box: float32 [D, 4] x1 y1 x2 y2; score: float32 [D]; label_id: int32 [D]; extra: float32 [D, E], mask coefficients
    or keypoints
    """

    box: Floats
    score: Floats
    label_id: NDArray[np.int32]
    extra: Floats

    def only(self, chosen: NDArray[np.bool_]) -> Found:
        return Found(self.box[chosen], self.score[chosen], self.label_id[chosen], self.extra[chosen])


def pick(prediction: Floats, labels: int, conf_threshold: float, iou_threshold: float, most: int) -> Found:
    """What one image's raw answer [4 + labels + E, anchors] holds: each anchor's best label, as ultralytics does it."""
    scores = prediction[4 : 4 + labels]
    best = scores.max(0)
    anchors = np.flatnonzero(best > np.float32(conf_threshold))
    if len(anchors) > MOST_CANDIDATES:
        anchors = anchors[np.argsort(-best[anchors], kind="stable")[:MOST_CANDIDATES]]
    chosen = prediction[:, anchors]
    label_id = chosen[4 : 4 + labels].argmax(0).astype(np.int32) if len(anchors) else np.empty(0, np.int32)
    centre, half = chosen[:2], chosen[2:4] / np.float32(2)
    box = np.concatenate((centre - half, centre + half)).T
    kept = suppress(box, best[anchors], label_id, iou_threshold, most)
    return Found(box[kept], best[anchors[kept]], label_id[kept], np.ascontiguousarray(chosen[4 + labels :, kept].T))


def pick_finished(rows: Floats, conf_threshold: float, most: int) -> Found:
    """What the final answer [rows, 6 + E] of a head without suppression holds, best first as it came."""
    chosen = rows[rows[:, 4] > np.float32(conf_threshold)][:most]
    return Found(chosen[:, :4], chosen[:, 4], chosen[:, 5].astype(np.int32), chosen[:, 6:])
