"""Segment Anything's mask decoder, asked in two steps: first how good each mask will be, then for the good ones.

The steps are the library's modules, run in its order. Two things it does are left out: it copies the image's embedding
for every point, although the first block needs it only once, and it makes all masks, although most are then dropped
for the quality that is predicted without them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from segment_anything.modeling import Sam

from predictors.coralscop.coral_decoder import CoralMaskDecoder


class Asked(NamedTuple):
    """What n points gave: `tokens` [n, …] and `image` [n, tokens of the image, channels] of the transformer; of each
    point's m masks the predicted quality [n, m], and whether it is wanted at all [n, m]."""

    tokens: torch.Tensor
    image: torch.Tensor
    quality: torch.Tensor
    wanted: torch.Tensor


class Decoder:
    """A SAM's decoder. CoralSCoP's gives one mask a point, and none where it sees no coral; others give several."""

    def __init__(self, sam: Sam) -> None:
        self._prompts = sam.prompt_encoder
        self._decoder = sam.mask_decoder
        self._coral = isinstance(sam.mask_decoder, CoralMaskDecoder)
        self._masks = slice(0, 1) if self._coral else slice(1, None)

    def ask(self, embedding: torch.Tensor, places: torch.Tensor) -> Asked:
        """embedding: [1, channels, h, w]; places: x y of n points in the encoder's pixels [n, 2]."""
        foreground = torch.ones(len(places), 1, dtype=torch.int, device=places.device)
        sparse, dense = self._prompts(points=(places[:, None], foreground), boxes=None, masks=None)
        decoder = self._decoder
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([own.expand(len(places), -1, -1), sparse], dim=1)
        tokens, image = decoder.transformer(embedding + dense[:1], self._prompts.get_dense_pe(), tokens)
        quality = decoder.iou_prediction_head(tokens[:, 0])[:, self._masks]
        wanted = torch.ones_like(quality, dtype=torch.bool)
        if self._coral:
            wanted &= decoder.is_coral(tokens, image, 0)[:, None]
        return Asked(tokens, image, quality, wanted)

    def logits(self, asked: Asked, good: torch.Tensor) -> torch.Tensor:
        """Logits of the masks where `good` [n, m] is set, [k, side, side], in their order."""
        points = torch.nonzero(good.any(dim=1))[:, 0]
        decoder = self._decoder
        height, width = self._prompts.image_embedding_size
        image = asked.image[points].transpose(1, 2).unflatten(2, (height, width))
        pixels = decoder.output_upscaling(image)
        outputs = asked.tokens[points, 1 : 1 + decoder.num_mask_tokens][:, self._masks]
        networks = decoder.output_hypernetworks_mlps[self._masks]
        weights = torch.stack([network(outputs[:, number]) for number, network in enumerate(networks)], dim=1)
        masks = (weights @ pixels.flatten(2)).unflatten(2, pixels.shape[2:])
        return torch.as_tensor(masks[good[points]])
