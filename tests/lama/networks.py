"""A network small enough to reason about: each hole becomes the blurred surroundings of its place."""

from pathlib import Path
from typing import Final

import torch

REACH = 15


class Surroundings(torch.nn.Module):
    """Mean of what is not masked within REACH pixels; 0.5 where all is masked."""

    reach: Final[int]

    def __init__(self) -> None:
        super().__init__()
        self.reach = REACH

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        window = 2 * self.reach + 1
        known = 1.0 - mask
        total = torch.nn.functional.avg_pool2d(image * known, window, 1, self.reach, count_include_pad=False)
        share = torch.nn.functional.avg_pool2d(known, window, 1, self.reach, count_include_pad=False)
        mean = torch.where(share > 0, total / share.clamp(min=1e-6), torch.full_like(total, 0.5))
        return image * known + mean * mask


class Halving(torch.nn.Module):
    """Answers in half the size: no inpainter."""

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return image[:, :, ::2, ::2]


def torchscript(file: Path, network: torch.nn.Module) -> Path:
    torch.jit.script(network).save(str(file))
    return file


def onnx(file: Path, network: torch.nn.Module) -> Path:
    open_sides = {0: "n", 2: "h", 3: "w"}
    torch.onnx.export(
        network, (torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)), str(file), dynamo=False, opset_version=17,
        input_names=["image", "mask"], output_names=["filled"],
        dynamic_axes={"image": open_sides, "mask": open_sides, "filled": open_sides},
    )  # fmt: skip
    return file
