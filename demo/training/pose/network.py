"""The network of a pose recipe, and what it is told when it errs."""

from __future__ import annotations

from typing import Any

import torch
import yaml
from torch import Tensor, nn
from ultralytics.cfg import get_cfg
from ultralytics.nn.modules.conv import Conv
from ultralytics.nn.tasks import PoseModel
from ultralytics.utils.loss import v8PoseLoss

from demo.training.pose.views import POINTS
from demo.training.recipes import PoseRecipe, QuadratTraining

_NARROW = 112
_SMOOTH = 0.004
_GAIN = 4.0
_CORNER_WEIGHT = 8.0
"""A corner counts as so many crossings: there are few of them, and they are farther out."""


def make_network(recipe: QuadratTraining) -> PoseModel:
    """An untrained YOLO pose model for all points of a quadrat.

    For many points ultralytics makes the head's inner layers as wide as its outputs: most of the file. They get a
    width of their own; nothing else knows of it.
    """
    plan = yaml.safe_load(recipe.layers.read_text())
    plan["kpt_shape"] = [len(POINTS), 3]
    torch.manual_seed(7)
    model = PoseModel(plan, nc=1, verbose=False)
    head = model.model[-1]
    head.cv4 = nn.ModuleList(
        nn.Sequential(
            Conv(branch[0].conv.in_channels, _NARROW, 3), Conv(_NARROW, _NARROW, 1), nn.Conv2d(_NARROW, head.nk, 1)
        )
        for branch in head.cv4
    )
    model.args = get_cfg(overrides={"task": "pose", "imgsz": recipe.imgsz})
    model.names = {0: "quadrat"}
    return model


def only(model: PoseModel, recipe: PoseRecipe) -> PoseModel:
    """The same network with the points of `recipe` alone: their rows of the head's last layer."""
    head = model.model[-1]
    rows = slice(3 * recipe.first, 3 * (recipe.first + recipe.points))
    for branch in head.cv4:
        last = branch[-1]
        kept = nn.Conv2d(last.in_channels, 3 * recipe.points, 1)
        kept.weight.data, kept.bias.data = last.weight.data[rows].clone(), last.bias.data[rows].clone()
        branch[-1] = kept
    shape = [recipe.points, 3]
    head.kpt_shape, head.nk = shape, 3 * recipe.points
    model.kpt_shape = shape
    model.yaml = {**model.yaml, "kpt_shape": shape}
    model.names = {0: recipe.label}
    return model


def answers(model: PoseModel, images: Tensor, half: bool) -> dict[str, Tensor]:
    """The head's raw answers for images float [N, 3, H, W]; all but the head in bfloat16 where `half`.

    A keypoint is a distance of many pixels from its cell: in half precision it would be a third of a pixel coarse.
    """
    kept: list[Any] = []
    value: Any = images
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        for layer in model.model[:-1]:
            if layer.f != -1:
                value = kept[layer.f] if isinstance(layer.f, int) else [value if f == -1 else kept[f] for f in layer.f]
            value = layer(value)
            kept.append(value)
    head = model.model[-1]
    given: dict[str, Tensor] = head([kept[f].float() for f in head.f])
    return given


class Distance(v8PoseLoss):  # type: ignore[misc]
    """ultralytics' criterion, with another loss for keypoints.

    OKS, which it takes, is flat for what is far off, and for a quadrat's points its scale (one over their number) fits
    nothing: here the distance itself counts, in parts of the quadrat's size, for hidden points too, whose places follow
    from the others. What is hidden is learned as visibility.
    """

    def calculate_keypoints_loss(
        self,
        masks: Tensor,
        target_gt_idx: Tensor,
        keypoints: Tensor,
        stride_tensor: Tensor,
        target_bboxes: Tensor,
        pred_kpts: Tensor,
    ) -> tuple[Tensor, Tensor]:
        true = keypoints[masks.nonzero(as_tuple=True)[0], target_gt_idx[masks]]
        strides = stride_tensor.view(1, -1).expand(masks.shape[0], -1)[masks]
        boxes = target_bboxes[masks]
        size = (boxes[:, 2:] - boxes[:, :2]).prod(1).clamp(min=1).sqrt()
        found = pred_kpts[masks]
        apart = (found[..., :2] * strides[:, None, None] - true[..., :2]) / size[:, None, None]
        distance = (apart.square().sum(-1) + _SMOOTH**2).sqrt() - _SMOOTH
        weight = torch.ones(distance.shape[1])
        weight[:4] = _CORNER_WEIGHT
        return _GAIN * (distance * weight).sum(1).mean() / weight.sum(), self.bce_pose(
            found[..., 2], (true[..., 2] > 1.5).float()
        )
