"""Segment Anything from its checkpoint alone: the sizes of its parts are read from the shapes of its tensors.

The three sizes that Meta published, CoralSCoP's vit_b, and smaller ones of the same build.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from predictors.common.errors import WeightsError
from predictors.coralscop.coral_decoder import CoralMaskDecoder, has_coral_heads

_DECODER_HEADS = 8
"""Not to be seen in any shape; the same in every SAM."""
Tensors = Mapping[str, torch.Tensor]


def build_sam(tensors: Tensors, file: str) -> Sam:
    """The model with these weights, in evaluation. WeightsError where they are not those of a SAM."""
    try:
        sam = Sam(_image_encoder(tensors), _prompt_encoder(tensors), _mask_decoder(tensors))
        sam.load_state_dict(dict(tensors), strict=True)
    except KeyError as error:
        raise WeightsError(f"{file}: no Segment Anything checkpoint: it lacks {error}") from None
    except (RuntimeError, ValueError, ZeroDivisionError, AssertionError, IndexError) as error:
        why = " ".join(str(error).split())[:400]
        raise WeightsError(f"{file}: the tensors do not fit together as a Segment Anything model: {why}") from None
    return sam.eval()


def _image_encoder(tensors: Tensors) -> ImageEncoderViT:
    prefix = "image_encoder."
    patches = tensors[f"{prefix}patch_embed.proj.weight"]
    dim, patch_size = patches.shape[0], patches.shape[-1]
    grid = tensors[f"{prefix}pos_embed"].shape[1]
    depth = _count(tensors, f"{prefix}blocks.")
    # Relative positions: 2 · side − 1 of the tokens that a block looks at, for each of a head's channels.
    positions = [tensors[f"{prefix}blocks.{block}.attn.rel_pos_h"] for block in range(depth)]
    sides = [(len(position) + 1) // 2 for position in positions]
    windows = {side for side in sides if side != grid}
    if len(windows) > 1:
        raise ValueError(f"windows of several sizes: {sorted(windows)}")
    return ImageEncoderViT(
        img_size=grid * patch_size,
        patch_size=patch_size,
        in_chans=patches.shape[1],
        embed_dim=dim,
        depth=depth,
        num_heads=dim // positions[0].shape[1],
        mlp_ratio=tensors[f"{prefix}blocks.0.mlp.lin1.weight"].shape[0] / dim,
        out_chans=tensors[f"{prefix}neck.0.weight"].shape[0],
        qkv_bias=f"{prefix}blocks.0.attn.qkv.bias" in tensors,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=windows.pop() if windows else 0,
        global_attn_indexes=tuple(block for block, side in enumerate(sides) if side == grid),
    )


def _prompt_encoder(tensors: Tensors) -> PromptEncoder:
    grid = tensors["image_encoder.pos_embed"].shape[1]
    side = grid * tensors["image_encoder.patch_embed.proj.weight"].shape[-1]
    return PromptEncoder(
        embed_dim=tensors["prompt_encoder.no_mask_embed.weight"].shape[1],
        image_embedding_size=(grid, grid),
        input_image_size=(side, side),
        mask_in_chans=tensors["prompt_encoder.mask_downscaling.3.weight"].shape[0],
    )


def _mask_decoder(tensors: Tensors) -> MaskDecoder:
    prefix = "mask_decoder."
    masks, dim = tensors[f"{prefix}mask_tokens.weight"].shape
    depth = _count(tensors, f"{prefix}transformer.layers.")
    options = {
        "transformer_dim": dim,
        "transformer": TwoWayTransformer(
            depth=depth,
            embedding_dim=dim,
            mlp_dim=tensors[f"{prefix}transformer.layers.0.mlp.lin1.weight"].shape[0],
            num_heads=_DECODER_HEADS,
        ),
        "num_multimask_outputs": masks - 1,
        "iou_head_depth": _count(tensors, f"{prefix}iou_prediction_head.layers."),
        "iou_head_hidden_dim": tensors[f"{prefix}iou_prediction_head.layers.0.weight"].shape[0],
    }
    if has_coral_heads(tensors):
        return CoralMaskDecoder(tensors, **options)
    return MaskDecoder(**options)


def _count(tensors: Tensors, prefix: str) -> int:
    """How many numbered parts there are below `prefix`."""
    numbers = {int(name[len(prefix) :].split(".", 1)[0]) for name in tensors if name.startswith(prefix)}
    if not numbers:
        raise KeyError(f"{prefix}0")
    return max(numbers) + 1
