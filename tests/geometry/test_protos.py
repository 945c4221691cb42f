"""Prototype masks: the same as ultralytics' `process_mask_native`."""

from __future__ import annotations

import numpy as np
import pytest

from kelp.geometry import Letterbox, spans_of_protos
from tests.geometry.masks import smooth
from tests.geometry.test_spans import assert_well_formed


def instances(box: Letterbox, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients, prototypes and boxes (in pixels of the original) of a made-up model."""
    random = np.random.Generator(np.random.PCG64(3))
    grid = (box.model_hw[0] // 4, box.model_hw[1] // 4)
    protos = np.stack([smooth(seed, grid, 3) for seed in range(8)])
    corners = np.sort(random.random((count, 2, 2)), axis=1).reshape(count, 4) * (
        *box.model_hw[::-1],
        *box.model_hw[::-1],
    )
    return random.standard_normal((count, 8)).astype(np.float32), protos, box.inverse(corners)


@pytest.mark.parametrize(
    "box",
    [
        Letterbox((1080, 1920), (640, 640)),
        Letterbox.smallest((1080, 1920), (640, 640)),
        Letterbox((640, 640), (640, 640)),
        Letterbox((1000, 1340), (640, 640)),  # padding that ends on no whole cell
        Letterbox((1001, 707), (320, 320)),
        Letterbox((120, 90), (320, 320)),  # enlarged for the model
    ],
    ids=str,
)
def test_agrees_with_ultralytics(box: Letterbox) -> None:
    ops = pytest.importorskip("ultralytics.utils.ops", reason="ultralytics is not installed")
    torch = pytest.importorskip("torch")
    coefficients, protos, boxes = instances(box, 12)
    native = ops.process_mask_native(
        torch.from_numpy(protos), torch.from_numpy(coefficients), torch.from_numpy(boxes), box.original_hw
    )
    theirs = native.numpy().astype(np.bool_)
    spans = spans_of_protos(coefficients, protos, boxes, box)
    assert_well_formed(spans)
    ours = spans.masks()
    compared = 0
    for mine, other in zip(ours, theirs, strict=True):
        if other.sum() >= 400:
            compared += 1
            assert np.count_nonzero(mine & other) >= 0.995 * np.count_nonzero(mine | other)
    assert compared > 0


def test_half_precision_and_no_instances() -> None:
    box = Letterbox((100, 120), (64, 64))
    coefficients, protos, boxes = instances(box, 3)
    full = spans_of_protos(coefficients, protos, boxes, box)
    half = spans_of_protos(coefficients.astype(np.float16), protos.astype(np.float16), boxes, box)
    assert np.abs(half.area() - full.area()).max() <= 0.01 * full.area().max()
    assert len(spans_of_protos(coefficients[:0], protos, boxes[:0], box)) == 0


def test_wrong_shapes_are_refused() -> None:
    box = Letterbox((100, 120), (64, 64))
    coefficients, protos, boxes = instances(box, 3)
    with pytest.raises(ValueError, match="protos: expected"):
        spans_of_protos(coefficients[:, :5], protos, boxes, box)
    with pytest.raises(ValueError, match="boxes: expected"):
        spans_of_protos(coefficients, protos, boxes[:2], box)
