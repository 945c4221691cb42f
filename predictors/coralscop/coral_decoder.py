"""CoralSCoP's addition to Segment Anything's decoder: whether a mask is coral at all.

Source: "CoralSCOP: Segment any COral Image on this Planet", Zheng et al., CVPR 2024: a branch parallel to the masks,
made of a projection of the image's tokens, an MLP a mask token, and a classifier over their product.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from segment_anything.modeling import MaskDecoder
from segment_anything.modeling.mask_decoder import MLP

_HYPER, _PROJECT, _CLASSIFY = "cate_output_hypernetworks_mlps", "cate_feature_projection_head", "cate_prediction_head"


def has_coral_heads(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether these are CoralSCoP's own weights, not a plain SAM's."""
    return f"mask_decoder.{_CLASSIFY}.layers.0.weight" in tensors


class CoralMaskDecoder(MaskDecoder):  # type: ignore[misc]
    """The library's decoder with CoralSCoP's heads, under their names."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], **options: Any) -> None:
        super().__init__(**options)
        dim = self.transformer_dim
        first = tensors[f"mask_decoder.{_CLASSIFY}.layers.0.weight"]
        last = tensors[f"mask_decoder.{_CLASSIFY}.layers.2.weight"]
        projected = tensors[f"mask_decoder.{_PROJECT}.layers.0.weight"]
        self.cate_output_hypernetworks_mlps = torch.nn.ModuleList(
            MLP(dim, dim, dim // 8, 3) for _ in range(self.num_mask_tokens)
        )
        self.cate_feature_projection_head = MLP(dim, projected.shape[0], dim // 8, 3)
        self.cate_prediction_head = MLP(first.shape[1], first.shape[0], last.shape[0], 3)

    def is_coral(self, tokens: torch.Tensor, image: torch.Tensor, mask: int) -> torch.Tensor:
        """bool [n]: whether output `mask` of n points is coral, from what the transformer gave for them."""
        features = self.cate_output_hypernetworks_mlps[mask](tokens[:, 1 + mask])[:, None]
        scores = self.cate_prediction_head(features @ self.cate_feature_projection_head(image).transpose(1, 2))
        return torch.as_tensor(scores[:, 0].argmax(dim=1) > 0)
