"""(image, mask) → image, as LaMa's: any size that is a multiple of 8."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Inpainter(nn.Module):  # type: ignore[misc]
    """Fills holes a few pixels wide: a push-pull interpolation, and what a convolutional network knows better.

    Without LaMa's Fourier convolutions, which ONNX has no operators for, and without its adversarial loss: what it
    fills is the mean of what could be there, as PSNR rewards it.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, width, 5, 2, 2)
        self.down = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.body = nn.ModuleList(
            nn.Conv2d(2 * width, 2 * width, 3, 1, dilation, dilation) for dilation in (1, 2, 4, 1, 2, 1)
        )
        self.up = nn.Conv2d(2 * width, 4 * width, 3, 1, 1)
        self.middle = nn.Conv2d(width, width, 3, 1, 1)
        self.out = nn.Conv2d(width, 12, 3, 1, 1)
        # It begins as the interpolation alone.
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """image: float [N, 3, H, W], 0..1; mask: float [N, 1, H, W], 1 where to fill. Like `image`."""
        hole = (mask > 0.5).to(image.dtype)
        known = 1.0 - hole
        base = push_pull(image * known, known)
        fine = functional.silu(self.stem(torch.cat([base - 0.5, hole], 1)))
        value = functional.silu(self.down(fine))
        for layer in self.body:
            value = value + functional.silu(layer(value))
        value = functional.pixel_shuffle(self.up(value), 2) + fine
        value = functional.silu(self.middle(functional.silu(value)))
        filled = base + functional.pixel_shuffle(self.out(value), 2)
        return (image * known + filled * hole).clamp(0.0, 1.0)


def push_pull(given: Tensor, known: Tensor) -> Tensor:
    """Holes filled from coarser and coarser means of what surrounds them (Gortler et al., SIGGRAPH 1996, 5.2).

    given: [N, 3, H, W], 0 where unknown; known: [N, 1, H, W], 1 or 0.
    """
    half, half_known = functional.avg_pool2d(given, 2), functional.avg_pool2d(known, 2)
    quarter, quarter_known = functional.avg_pool2d(half, 2), functional.avg_pool2d(half_known, 2)
    eighth, eighth_known = functional.avg_pool2d(quarter, 2), functional.avg_pool2d(quarter_known, 2)
    wide = functional.avg_pool2d(eighth, 5, 1, 2)
    wide_known = functional.avg_pool2d(eighth_known, 5, 1, 2)
    value = torch.where(wide_known > 0, wide / wide_known.clamp(min=1e-4), torch.full_like(wide, 0.5))
    value = _laid_over(eighth, eighth_known, value)
    value = _laid_over(quarter, quarter_known, _doubled(value))
    value = _laid_over(half, half_known, _doubled(value))
    return given + (1.0 - known) * _doubled(value)


def _laid_over(mean: Tensor, known: Tensor, coarser: Tensor) -> Tensor:
    """Where little is known at this scale, the coarser one shows through."""
    share = (2.0 * known).clamp(max=1.0)
    return (
        torch.where(known > 0, mean / known.clamp(min=1e-4) * share, torch.zeros_like(mean)) + (1.0 - share) * coarser
    )


def _doubled(value: Tensor) -> Tensor:
    return functional.interpolate(value, scale_factor=2.0, mode="bilinear", align_corners=False)
