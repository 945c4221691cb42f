"""`DinoVisionBackbone`: the name under which DINOv2's ViT is known in mmsegmentation configs.

DINOv2 has no package; its state dict has the names of timm's ViT, and differs in how positions are stretched to other
sizes. Source: "DINOv2: Learning Robust Visual Features without Supervision", Oquab et al. 2023, and its published code.
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from timm.models.vision_transformer import VisionTransformer

_SIZES = {"small": (384, 12, 6), "base": (768, 12, 12), "large": (1024, 24, 16)}
"""name → (embed_dim, depth, num_heads)."""


@MODELS.register_module()
class DinoVisionBackbone(VisionTransformer, BaseModule):  # type: ignore[misc]
    """DINOv2's ViT; answers with the normed patch tokens of its last four blocks, [n, embed_dim, h, w] each.

    size: small, base or large; or embed_dim, depth and num_heads by themselves. img_size: side or (height, width) whose
    positions the weights hold. Images of other sizes are brought to the nearest multiple of patch_size.
    """

    def __init__(
        self,
        size: str = "base",
        img_size: int | tuple[int, int] = 518,
        patch_size: int = 14,
        embed_dim: int | None = None,
        depth: int | None = None,
        num_heads: int | None = None,
        out_indices: tuple[int, ...] | None = None,
        freeze_vit: bool = False,
        init_cfg: Any = None,
        pretrained: Any = None,
    ) -> None:
        if size not in _SIZES:
            raise ValueError(f"size: expected one of {', '.join(_SIZES)}, got {size!r}")
        dim, blocks, heads = _SIZES[size]
        super().__init__(
            img_size=img_size,
            patch_size=patch_size,
            embed_dim=embed_dim or dim,
            depth=depth or blocks,
            num_heads=num_heads or heads,
            init_values=1.0,
            num_classes=0,
            global_pool="",
            dynamic_img_size=True,
        )
        last = len(self.blocks)
        self.out_indices = tuple(out_indices) if out_indices else tuple(range(max(last - 4, 0), last))
        self.init_cfg = None
        self.register_buffer("mask_token", torch.zeros(1, embed_dim or dim))
        if freeze_vit:
            self.requires_grad_(False)

    def _pos_embed(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens [n, h, w, dim] → [n, 1 + h·w, dim], with positions and the class token."""
        count, height, width, dim = x.shape
        tokens = torch.cat([self.cls_token.expand(count, -1, -1), x.reshape(count, height * width, dim)], dim=1)
        return tokens + self._positions(height, width)

    def _positions(self, height: int, width: int) -> torch.Tensor:
        rows, columns = self.patch_embed.grid_size
        if (rows, columns) == (height, width):
            return self.pos_embed
        grid = self.pos_embed[:, 1:].reshape(1, rows, columns, -1).permute(0, 3, 1, 2)
        # DINOv2 adds 0.1 to the sides that it stretches to, and its weights were trained so.
        factors = ((height + 0.1) / rows, (width + 0.1) / columns)
        grid = torch.nn.functional.interpolate(grid, scale_factor=factors, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        patch = self.patch_embed.patch_size[0]
        sides = [max(round(side / patch), 1) * patch for side in x.shape[-2:]]
        if sides != list(x.shape[-2:]):  # the last window of a narrow picture
            x = torch.nn.functional.interpolate(x, sides, mode="bilinear", align_corners=False)
        return tuple(self.forward_intermediates(x, indices=list(self.out_indices), norm=True, intermediates_only=True))
