"""Segment Anything's automatic masks, as its `SamAutomaticMaskGenerator` finds them, without what it wastes.

The library makes every candidate, at the image's full size, before it throws most of them away, and keeps the rest as
run lengths. Here candidates go by their predicted quality before they are made, and of the others only the part of the
image where they are set. What is decided, and by which numbers, is the library's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from segment_anything.utils.amg import build_point_grid
from segment_anything.utils.transforms import ResizeLongestSide
from torchvision.ops import nms

from predictors.coralscop.decoder import Decoder
from predictors.coralscop.enlarge import Enlarger
from predictors.coralscop.found import Found

STABILITY_OFFSET = 1.0
"""How far the threshold is moved up and down to see whether a mask stays; the library's default."""


@dataclass(slots=True)
class _Candidate:
    """A mask before duplicates are removed: its logits where they matter, not its pixels."""

    logits: torch.Tensor
    corner: tuple[int, int]
    box: list[int]
    quality: float
    stability: float


class MaskFinder:
    """A SAM, and what its automatic masks need."""

    def __init__(self, sam: Sam) -> None:
        self._sam = sam
        self._decoder = Decoder(sam)
        self._transform = ResizeLongestSide(sam.image_encoder.img_size)

    def resized(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 [H, W, 3] → [h, w, 3], the longer side as long as the encoder's input. Runs on the CPU."""
        return np.ascontiguousarray(self._transform.apply_image(image))

    def embed(self, resized: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """Embeddings of images as `resized` makes them, [n, channels, side, side], on the model's device."""
        pixels = [torch.as_tensor(image, device=self._sam.device).permute(2, 0, 1)[None] for image in resized]
        return torch.as_tensor(self._sam.image_encoder(torch.cat([self._sam.preprocess(each) for each in pixels])))

    def find(
        self,
        embedding: torch.Tensor,
        input_hw: tuple[int, int],
        size_hw: tuple[int, int],
        settings: Mapping[str, Any],
    ) -> Found:
        """The masks of one image: `embedding` [1, channels, side, side], its size as resized and as it was."""
        enlarger = Enlarger(self._sam, input_hw, size_hw)
        candidates: list[_Candidate] = []
        grid = _point_grid(settings["points_per_side"]) * np.array(size_hw)[None, ::-1]
        for start in range(0, len(grid), settings["points_per_batch"]):
            points = grid[start : start + settings["points_per_batch"]]
            candidates += self._candidates(embedding, points, enlarger, settings)
        return _without_duplicates(candidates, enlarger, settings["box_nms_thresh"])

    def _candidates(
        self, embedding: torch.Tensor, points: NDArray[np.float64], enlarger: Enlarger, settings: Mapping[str, Any]
    ) -> Iterator[_Candidate]:
        places = self._transform.apply_coords(points, enlarger.size_hw)
        asked = self._decoder.ask(embedding, torch.as_tensor(places, device=self._sam.device))
        good, wanted = asked.wanted, settings["stability_score_thresh"]
        if settings["pred_iou_thresh"] > 0:
            good = good & (asked.quality > settings["pred_iou_thresh"])
        logits, quality = self._decoder.logits(asked, good), asked.quality[good]
        if wanted > 0:
            # Enlarging never goes beyond the logits it starts from: such a mask would be empty above the threshold.
            reaches = logits.amax(dim=(1, 2)) > self._sam.mask_threshold + STABILITY_OFFSET
            logits, quality = logits[reaches], quality[reaches]
        low = self._sam.mask_threshold - STABILITY_OFFSET
        parts = enlarger.parts(logits > low)
        counts = torch.empty(len(logits), 2, dtype=torch.int64, device=logits.device)
        shadows = []
        for number, part in enumerate(parts):
            full = enlarger.enlarge(logits[number], part)
            counts[number, 0] = torch.count_nonzero(full > low + 2 * STABILITY_OFFSET)
            counts[number, 1] = torch.count_nonzero(full > low)
            pixels = full > self._sam.mask_threshold
            shadows.append((pixels.any(dim=0), pixels.any(dim=1)))
        stability = counts[:, 0].int() / counts[:, 1].int()
        stable = (stability >= wanted if wanted > 0 else torch.ones_like(stability, dtype=torch.bool)).tolist()
        for number, (part, kept) in enumerate(zip(parts, stable, strict=True)):
            if kept and (box := _box(*shadows[number], part.x, part.y)) is not None:
                yield _Candidate(
                    part.of(logits[number]).clone(), (part.row, part.column), box,
                    float(quality[number]), float(stability[number]),
                )  # fmt: skip


@lru_cache(maxsize=8)
def _point_grid(points_per_side: int) -> NDArray[np.float64]:
    """float64 [n², 2], x y in parts of the image."""
    return np.asarray(build_point_grid(points_per_side))


def _box(columns: torch.Tensor, rows: torch.Tensor, x: int, y: int) -> list[int] | None:
    """x1 y1 x2 y2 of the outermost pixels, as the library counts them: inclusive; None for an empty mask.

    columns, rows: whether any pixel of each is set; x, y: the first one's place.
    """
    across = torch.nonzero(columns)[:, 0]
    if not len(across):
        return None
    down = torch.nonzero(rows)[:, 0]
    left, right, top, bottom = torch.stack([across[0], across[-1], down[0], down[-1]]).tolist()
    return [left + x, top + y, right + x, bottom + y]


def _without_duplicates(candidates: list[_Candidate], enlarger: Enlarger, threshold: float) -> Found:
    boxes = torch.tensor([candidate.box for candidate in candidates], dtype=torch.float32).reshape(-1, 4)
    quality = torch.tensor([candidate.quality for candidate in candidates])
    kept = [candidates[number] for number in nms(boxes, quality, threshold).tolist()]
    crops = []
    for candidate in kept:
        left, top, right, bottom = candidate.box
        full = enlarger.enlarge_part(candidate.logits, candidate.corner, (left, top, right + 1, bottom + 1))
        crops.append(((full > enlarger.threshold).cpu().numpy(), left, top))
    return Found(
        enlarger.size_hw,
        crops,
        np.array([candidate.quality for candidate in kept], np.float32),
        np.array([candidate.stability for candidate in kept], np.float32),
    )
