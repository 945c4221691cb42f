"""Training of a small SAM: Segment Anything's own code, a smaller ViT, one point a colony."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.modeling.transformer import Attention

from demo.training.coralscop.loop import Plan, coloured, train, turned
from demo.training.coralscop.pictures import Pictures
from predictors.coralscop.decoder import Decoder

SIDE, PATCH, DIM, CHANNELS = 288, 12, 96, 64
TOKENS = SIDE // PATCH
GRID = 4 * TOKENS
_ON_COLONIES, _ON_BACKGROUND = 8, 3
_CLASSES = 17
_FREQUENCIES = 16
"""Of the 32 that the prompt encoder has; the other channels of an embedding are free for what else is seen."""


def small_sam() -> Sam:
    """1.6 MB in half precision; masks of 96 × 96."""
    transformer = TwoWayTransformer(depth=2, embedding_dim=CHANNELS, mlp_dim=256, num_heads=8)
    sam = Sam(
        ImageEncoderViT(
            img_size=SIDE, patch_size=PATCH, embed_dim=DIM, depth=5, num_heads=4, mlp_ratio=3, out_chans=CHANNELS,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), use_rel_pos=True, window_size=8,
            global_attn_indexes=(2, 4),
        ),
        PromptEncoder(CHANNELS, (TOKENS, TOKENS), (SIDE, SIDE), mask_in_chans=4),
        MaskDecoder(transformer_dim=CHANNELS, transformer=transformer, iou_head_hidden_dim=64),
    )  # fmt: skip
    with torch.no_grad():
        torch.nn.init.trunc_normal_(sam.image_encoder.pos_embed, std=0.02)
        # Colonies are smaller than the objects that SAM's positions are tuned to.
        sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.mul_(2)
        for block in transformer.layers:
            _look_by_place(block.cross_attn_token_to_image)
            _look_by_place(block.cross_attn_image_to_token)
        _look_by_place(transformer.final_attn_token_to_image)
    return sam


def _look_by_place(attention: Attention) -> None:
    """Attention that begins between things of one place: each head compares two of the frequencies that places are
    written in. A point then sees the colony it lies on from the first step; from random numbers that takes thousands.
    """
    for layer in (attention.q_proj, attention.k_proj):
        torch.nn.init.zeros_(layer.bias)
        layer.weight.mul_(0.2)
        for frequency in range(_FREQUENCIES):
            layer.weight[2 * frequency, frequency] += 2
            layer.weight[2 * frequency + 1, CHANNELS // 2 + frequency] += 2


class _Trained(torch.nn.Module):  # type: ignore[misc]
    """A SAM, and a head that is thrown away: of each token the genus."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam
        self.tokens = torch.nn.Conv2d(CHANNELS, _CLASSES, 1)


def train_sam(pictures: Pictures, plan: Plan, kept: Path, progress: Callable[[int, int, float], None]) -> Sam:
    """The trained model. pictures: at SIDE and GRID."""
    torch.manual_seed(7)
    trained = _Trained(small_sam())

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        images, truths, genera = [], [], []
        for number in rng.choice(len(pictures.images), plan.batch, replace=False):
            every = [pictures.images[number], pictures.instances[number], pictures.classes[number]]
            image, instances, classes = turned(every, rng)
            images.append(coloured(image, rng))
            truths.append(instances)
            genera.append(classes)
        return _loss(trained, np.stack(images), np.stack(truths), np.stack(genera), rng)

    train(trained, loss_of, plan, kept, progress)
    return trained.sam


def save_sam(sam: Sam, file: Path) -> None:
    """The bare state dict, as SAM's checkpoints are, in half precision."""
    torch.save({name: tensor.half() for name, tensor in sam.state_dict().items()}, file)


def _loss(
    trained: _Trained,
    images: NDArray[np.float32],
    instances: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    rng: np.random.Generator,
) -> torch.Tensor:
    sam = trained.sam
    inputs = (torch.from_numpy(images).permute(0, 3, 1, 2) - sam.pixel_mean) / sam.pixel_std
    embeddings = sam.image_encoder(inputs)
    total = _token_loss(trained, embeddings, instances, classes)
    decoder = Decoder(sam)
    for number, truth in enumerate(instances):
        points, owners = _points(truth, rng)
        if not len(points):
            continue
        asked = decoder.ask(embeddings[number : number + 1], torch.from_numpy(points))
        logits = decoder.logits(asked, asked.wanted).unflatten(0, asked.quality.shape)
        masks = torch.from_numpy(truth[None] == owners[:, None, None]).float()
        total = total + _mask_loss(logits.float(), asked.quality.float(), masks, torch.from_numpy(owners > 0)) / len(
            instances
        )
    return total


def _points(truth: NDArray[np.uint8], rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """x y in the encoder's pixels [n, 2], and the colony each lies on [n], 0 for the background."""
    there = np.flatnonzero(np.bincount(truth.ravel(), minlength=2)[1:] >= 6) + 1
    chosen = [*rng.choice(there, _ON_COLONIES), *[0] * _ON_BACKGROUND] if len(there) else []
    places = [rng.choice(np.flatnonzero(truth.ravel() == owner)) for owner in chosen if (truth == owner).any()]
    y, x = np.divmod(np.array(places, np.int64), GRID)
    points = (np.stack([x, y], axis=1) + rng.uniform(0, 1, (len(places), 2))) * (SIDE / GRID)
    return points.astype(np.float32), truth[y, x]


def _mask_loss(
    logits: torch.Tensor, quality: torch.Tensor, masks: torch.Tensor, on_colony: torch.Tensor
) -> torch.Tensor:
    """Loss of masks [n, 3, h, w] against [n, h, w], crossed entropy (colony and rest alike heavy) and dice, most of it
    the best mask's; and of the predicted IoUs."""
    truth = masks[:, None].expand_as(logits)
    with torch.no_grad():
        found = logits > 0
        shared = (found & (truth > 0)).sum(dim=(2, 3))
        either = (found | (truth > 0)).sum(dim=(2, 3))
        iou = torch.where(on_colony[:, None], shared / either.clamp(min=1), 0.0)
    told = torch.nn.functional.mse_loss(quality, iou)
    logits, truth = logits[on_colony], truth[on_colony]
    if not len(logits):
        return told
    crossed = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    inside, outside = truth.sum(dim=(2, 3)).clamp(min=1), (1 - truth).sum(dim=(2, 3)).clamp(min=1)
    balanced = ((crossed * truth).sum(dim=(2, 3)) / inside + (crossed * (1 - truth)).sum(dim=(2, 3)) / outside) / 2
    share = torch.sigmoid(logits)
    dice = 1 - (2 * (share * truth).sum(dim=(2, 3)) + 1) / (share.sum(dim=(2, 3)) + truth.sum(dim=(2, 3)) + 1)
    each = balanced + dice
    return 0.7 * each.amin(dim=1).mean() + 0.3 * each.mean() + told


def _token_loss(
    trained: _Trained, embeddings: torch.Tensor, instances: NDArray[np.uint8], classes: NDArray[np.uint8]
) -> torch.Tensor:
    """What the encoder is told directly, long before points and masks would teach it: of each token the genus, and, in
    the channels that attention compares, the place of its colony's centre as the prompt encoder writes places."""
    middle = slice(2, None, 4)
    owners, genera = instances[:, middle, middle], torch.from_numpy(classes[:, middle, middle]).long()
    loss = 0.3 * torch.nn.functional.cross_entropy(trained.tokens(embeddings).float(), genera)
    centres = np.zeros((*owners.shape, 2), np.float32)
    for number, truth in enumerate(instances):
        y, x = np.indices(truth.shape)
        size = np.maximum(np.bincount(truth.ravel()), 1)
        middle_of = np.stack([np.bincount(truth.ravel(), place.ravel()) / size for place in (x, y)], axis=1)
        centres[number] = (middle_of[owners[number]] + 0.5) / GRID
    places = trained.sam.prompt_encoder.pe_layer._pe_encoding(torch.from_numpy(centres))
    compared = [*range(_FREQUENCIES), *range(CHANNELS // 2, CHANNELS // 2 + _FREQUENCIES)]
    off = (embeddings.float().permute(0, 2, 3, 1) - places)[..., compared].pow(2).mean(dim=3)
    on = torch.from_numpy(owners > 0)
    return loss + (off * on).sum() / on.sum().clamp(min=1)
