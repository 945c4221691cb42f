"""Weights of the real shapes: SAM vit_b with CoralSCoP's heads, DINOv2's ViT-B/14 with SegFormer's head."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# In a process of its own: its peak of memory is the model's.
SCRIPT = """
import json, resource, sys, time
from pathlib import Path
import numpy as np
from kelp.card import load_card
from predictors.model import Item
from predictors.registry import make_model

started = time.monotonic()
card = load_card(sys.argv[1])
model = make_model(card, Path(sys.argv[2]))
model.load()
loaded = time.monotonic()
settings = {setting.name: setting.default for setting in model.own_settings}
settings |= {"points_per_side": 8, "points_per_batch": 32, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0,
             "conf_threshold": 0.0, "max_detections": 300}
image = np.random.default_rng(0).integers(0, 256, (1920, 1920, 3), np.uint8)
items = [Item(image, settings, frozenset({"mask_rle"}))]
(found,) = model.postprocess(model.predict(model.preprocess(items)), items)
print(json.dumps({
    "load_s": loaded - started, "answer_s": time.monotonic() - loaded, "found": len(found),
    "size_hw": found.size_hw, "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}))
"""
CONFIG = """
norm_cfg = dict(type='SyncBN', requires_grad=True)
crop_size = (518, 518)
data_preprocessor = dict(
    type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True,
    pad_val=0, seg_pad_val=255, size=crop_size)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1036, 1036), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(type='DinoVisionBackbone', size='base', img_size=crop_size, patch_size=14, freeze_vit=True,
                  init_cfg=dict(type='Pretrained', checkpoint='dinov2_vitb14_pretrain.pth')),
    decode_head=dict(
        type='SegformerHead', in_channels=[768, 768, 768, 768], in_index=[0, 1, 2, 3], channels=256, dropout_ratio=0.1,
        num_classes=17, norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=crop_size, stride=(259, 259)))
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_full_size_weights_load_and_answer(tmp_path: Path) -> None:
    import torch
    from segment_anything import sam_model_registry

    from predictors.coralscop.config import read_config
    from predictors.coralscop.segmentor import build_segmentor
    from tests.coralscop.tiny import card_of, coral_heads

    (tmp_path / "config.py").write_text(CONFIG)
    segmentor = build_segmentor(read_config(tmp_path / "config.py", None), "config.py")
    torch.save({"meta": {}, "state_dict": segmentor.state_dict()}, tmp_path / "best_mIoU.pth")
    sam = sam_model_registry["vit_b"]()
    torch.save(sam.state_dict() | coral_heads(256, 4096), tmp_path / "vit_coralscop.pth")
    del segmentor, sam
    labels = tuple(f"genus {number}" for number in range(1, 17))
    card = card_of(tmp_path, labels).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    (tmp_path / "card.yaml").write_text(json.dumps(card))
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "card.yaml"), str(tmp_path)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    ).stdout.splitlines()[-1]  # fmt: skip
    figures = json.loads(told)
    print(figures)
    assert figures["size_hw"] == [1920, 1920]
    # The card's 16 GB, and its 600 s a request: for 32 points a side there are sixteen times as many prompts.
    assert figures["peak_gb"] < 12
    assert figures["answer_s"] < 600
    assert (tmp_path / "vit_coralscop.pth").stat().st_size > 360e6
    assert (tmp_path / "best_mIoU.pth").stat().st_size > 330e6
