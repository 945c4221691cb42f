"""Which kind of weights one file is, by its content; its ending only says which reader to begin with."""

from __future__ import annotations

from pathlib import Path

from predictors.common.errors import WeightsError
from predictors.describe.found import Found, Inpainter
from predictors.describe.inert import Inert, is_torchscript, read_inert
from predictors.describe.semantic import prompted_of, semantic_of
from predictors.describe.torchscript import inputs_of
from predictors.describe.yolo import from_checkpoint, from_engine, from_onnx
from predictors.yolo.engine import CHECKPOINTS

SUFFIXES = frozenset({".pt", ".pth", ".onnx", ".engine", ".ts", ".torchscript"})


def look(file: Path) -> Found:
    """What `file` is. WeightsError says what it holds instead, or that it is empty or cut short."""
    try:
        size = file.stat().st_size
    except OSError as error:
        raise WeightsError(f"{file.name}: cannot be read: {error.strerror or error}") from None
    if size == 0:
        raise WeightsError(f"{file.name}: the file is empty")
    if file.suffix == ".onnx":
        found = from_onnx(file)
        return Inpainter(file) if isinstance(found, list) else found
    if file.suffix == ".engine":
        return from_engine(file)
    if file.suffix not in SUFFIXES:
        raise WeightsError(f"{file.name}: expected weights: {', '.join(sorted(SUFFIXES))}")
    if is_torchscript(file):
        return _torchscript(file)
    checkpoint = read_inert(file)
    content = checkpoint.content
    if isinstance(content, dict):
        network = content.get("ema") or content.get("model")
        if isinstance(network, Inert) and network.name.startswith("ultralytics."):
            if file.suffix not in CHECKPOINTS:
                raise WeightsError(f"{file.name}: a YOLO checkpoint, which is served under the ending .pt or .pth only")
            return from_checkpoint(file, checkpoint)
        found_here = semantic_of(file, content) or prompted_of(file, content)
        if found_here is not None:
            return found_here
    raise WeightsError(
        f"{file.name}: holds {_told(content)}: expected a YOLO of ultralytics, a checkpoint of mmsegmentation, a "
        "segment-anything model or a TorchScript inpainter"
    )


def _torchscript(file: Path) -> Inpainter:
    inputs = inputs_of(file)
    if len(inputs) != 2:
        raise WeightsError(
            f"{file.name}: a TorchScript module that takes {', '.join(inputs) or 'nothing'}: expected an inpainter, "
            "(image, mask) → image. A YOLO is served from its checkpoint (.pt) or as ONNX"
        )
    return Inpainter(file)


def _told(content: object) -> str:
    if isinstance(content, Inert):
        return f"an object of {content.name}"
    if not isinstance(content, dict):
        return f"a {type(content).__name__}"
    model = content.get("ema") or content.get("model")
    if isinstance(model, Inert):
        return f"a model of {model.name}"
    keys = ", ".join(str(key) for key in list(content)[:5])
    return f"a mapping of {keys}{'…' if len(content) > 5 else ''}" if keys else "nothing"
