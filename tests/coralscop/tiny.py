"""Random weights in the formats that trainings leave, small enough to build in a moment."""

from __future__ import annotations

import hashlib
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from kelp.card import Card
from predictors.coralscop.model import CoralscopModel

FINDS = {
    "points_per_side": 6, "points_per_batch": 16, "pred_iou_thresh": 0.3, "stability_score_thresh": 0.1,
    "box_nms_thresh": 0.9,
}  # fmt: skip
"""Settings of the automatic masks under which random weights find something."""
CLASSES = ("background", "Acropora", "Porites", "Fungia")
CONFIG = """
norm_cfg = dict(type='SyncBN', requires_grad=True)
data_preprocessor = dict(
    type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True,
    pad_val=0, seg_pad_val=255, size=(56, 56), test_cfg=dict(size_divisor=14))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(98, 98), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='DinoVisionBackbone', size='small', img_size=(56, 56), patch_size=14, embed_dim=24, depth=5, num_heads=3,
        freeze_vit=True, init_cfg=dict(type='Pretrained', checkpoint='nowhere/dinov2.pth')),
    decode_head=dict(
        type='SegformerHead', in_channels=[24, 24, 24, 24], in_index=[0, 1, 2, 3], channels=16, dropout_ratio=0.1,
        num_classes=4, norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=(56, 56), stride=(28, 28)))
"""


def small_sam() -> Sam:
    """A SAM of 128 pixels a side whose random masks are of all sizes and whose predicted qualities differ."""
    torch.manual_seed(3)
    grid, dim = 8, 32
    sam = Sam(
        ImageEncoderViT(
            img_size=128, patch_size=16, embed_dim=32, depth=3, num_heads=2, mlp_ratio=2, out_chans=dim, window_size=3,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), use_rel_pos=True, global_attn_indexes=(1,),
        ),
        PromptEncoder(dim, (grid, grid), (128, 128), mask_in_chans=4),
        MaskDecoder(transformer_dim=32, transformer=TwoWayTransformer(2, 32, 8, 32), iou_head_hidden_dim=16),
    )  # fmt: skip
    with torch.no_grad():
        sam.image_encoder.pos_embed.normal_()
        for mlp in sam.mask_decoder.output_hypernetworks_mlps:
            mlp.layers[-1].weight.mul_(120)
            mlp.layers[-1].bias.normal_()
        for layer in (sam.mask_decoder.output_upscaling[0], sam.mask_decoder.output_upscaling[3]):
            layer.weight.mul_(6)
        quality = sam.mask_decoder.iou_prediction_head.layers[-1]
        quality.weight.mul_(3)
        quality.bias.fill_(0.5)
    return sam.eval()


def coral_heads(dim: int, tokens: int, hidden: int = 256) -> dict[str, torch.Tensor]:
    """Random tensors of what CoralSCoP adds to a SAM's decoder of `dim` channels over `tokens` tokens."""
    mlps = {f"cate_output_hypernetworks_mlps.{number}": (dim, dim, dim, dim // 8) for number in range(4)}
    mlps["cate_feature_projection_head"] = (dim, hidden, hidden, dim // 8)
    mlps["cate_prediction_head"] = (tokens, hidden, hidden, 2)
    found = {}
    for name, sizes in mlps.items():
        for layer, (given, made) in enumerate(pairwise(sizes)):
            linear = torch.nn.Linear(given, made)
            found[f"mask_decoder.{name}.layers.{layer}.weight"] = linear.weight.detach()
            found[f"mask_decoder.{name}.layers.{layer}.bias"] = linear.bias.detach()
    return found


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Coloured blots, uint8 [height, width, 3]."""
    blots = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return np.asarray(cv2.resize(blots, (width, height), interpolation=cv2.INTER_CUBIC))


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def card_of(folder: Path, labels: tuple[str, ...] = CLASSES[1:], **changes: Any) -> Card:
    """A card for the files that `write` makes."""
    names = {"segformer_config": "config.py", "segformer": "best_mIoU.pth", "sam": "vit_coralscop.pth"}
    files = {role: {"file": name, "sha256": sha256(folder / name)} for role, name in names.items()}
    return Card.model_validate(
        {
            "name": "corals", "runtime": "coralscop", "task": "segment",
            "weights": {"uri": str(folder), "files": files},
            "labels": [{"name": name} for name in labels],
            **changes,
        }
    )  # fmt: skip


def model_of(card: Card) -> CoralscopModel:
    """Not loaded; its files as they lie, unchecked."""
    folder = Path(card.weights.uri)
    return CoralscopModel(card, {role: folder / entry.file for role, entry in card.weights.by_role().items()})


def write(folder: Path, config: str = CONFIG, meta: dict[str, Any] | None = None) -> Path:
    """The three files, the checkpoint as mmengine's Runner writes one."""
    from predictors.coralscop.config import read_config
    from predictors.coralscop.segmentor import build_segmentor

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.py").write_text(config)
    torch.manual_seed(5)
    segmentor = build_segmentor(read_config(folder / "config.py", None), "config.py")
    with torch.no_grad():
        segmentor.decode_head.conv_seg.weight.normal_(0, 3)
    told = {"dataset_meta": {"classes": CLASSES}} if meta is None else meta
    torch.save({"meta": told, "state_dict": segmentor.state_dict()}, folder / "best_mIoU.pth")
    torch.save(small_sam().state_dict(), folder / "vit_coralscop.pth")
    return folder
