"""Making the file, by ultralytics' own export, from a checkpoint that was read without trusting it."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

from predictors.common.errors import WeightsError
from predictors.yolo.tensorrt_here import missing

Format = Literal["onnx", "engine"]
OPSET = 17


class NotHere(WeightsError):
    """This machine lacks what the export needs."""

    default_code = "not_possible_here"


def check_machine(form: Format) -> None:
    """NotHere names everything that is missing."""
    needed = {"torch": "yolo", "ultralytics": "yolo", "onnx": "export", "onnxslim": "export"}
    lacking = [
        f"the package {name} (the extra {extra})"
        for name, extra in needed.items()
        if importlib.util.find_spec(name) is None
    ]
    if form == "engine":
        lacking += [what for what in missing() if not (lacking and what.startswith("torch"))]
    if lacking:
        where = "; an engine is made on the machine, with the GPU, that will run it" if form == "engine" else ""
        raise NotHere(f"a file of format '{form}' cannot be made here, there is missing: {'; '.join(lacking)}{where}")


def make(file: Path, form: Format, task: str, target: Path, *, imgsz: tuple[int, int], batch: int, half: bool) -> None:
    """Writes `target` from the checkpoint `file`. imgsz: height and width; batch: most images at once, of an engine;
    half: compute in half precision, of an engine. WeightsError where ultralytics cannot."""
    with tempfile.TemporaryDirectory(prefix=".kelp-export-", dir=target.parent) as work:
        os.environ.setdefault("YOLO_OFFLINE", "true")
        os.environ.setdefault("YOLO_AUTOINSTALL", "false")
        os.environ.setdefault("YOLO_VERBOSE", "false")
        # Its settings file is none of the user's business here.
        os.environ.setdefault("YOLO_CONFIG_DIR", work)
        made = _exported(file, form, task, Path(work), imgsz, batch, half)
        if form == "onnx":
            from predictors.yolo.export.tidy import tidy

            tidy(made, target, f"exported by Kelp from {file.name}")
        else:
            made.replace(target)


def _exported(file: Path, form: Format, task: str, work: Path, imgsz: tuple[int, int], batch: int, half: bool) -> Path:
    from predictors.yolo.checkpoint.read import read_checkpoint
    from predictors.yolo.torch_engine import network_of

    network: Any = network_of(read_checkpoint(file), file.name)
    network.task = task
    network.pt_path = str(work / "model.pt")
    network.args = {"data": ""}  # for a description, which is not kept
    overrides: dict[str, Any] = {"format": form, "imgsz": list(imgsz), "dynamic": True, "simplify": True}
    overrides |= {"opset": OPSET, "device": "cpu", "mode": "export", "verbose": False}
    if form == "engine":
        overrides |= {"device": "0", "batch": batch, **({"quantize": 16} if half else {})}
    from ultralytics.engine.exporter import Exporter

    try:
        return Path(Exporter(overrides=overrides)(model=network))
    except Exception as error:  # whatever torch, onnx or TensorRT raise on the way
        raise WeightsError(
            f"{file.name}: ultralytics could not export it as {form} ({type(error).__name__}: {str(error)[:500]})"
        ) from error
