"""mmsegmentation's model and test pipeline, built from a config."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from predictors.common.errors import WeightsError
from predictors.coralscop.checkpoint import Checkpoint
from predictors.coralscop.kernels import without_kernels

_NEVER_IN_CHECKPOINTS = ("backbone.mask_token",)


def build_segmentor(config: Any, name: str) -> Any:
    """The model of a config, in evaluation on the CPU, with random weights; nothing that training began from is read.

    name: the config's file, for errors. WeightsError where the config names a class or argument that is not there.
    """
    without_kernels()
    import mmseg.datasets.transforms
    import mmseg.models  # noqa: F401  registers what models name
    from mmengine.model import revert_sync_batchnorm
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    import predictors.coralscop.backbone  # noqa: F401  registers it

    logging.getLogger("mmengine").setLevel(logging.WARNING)
    init_default_scope("mmseg")
    try:
        model = MODELS.build(_without_downloads(config.model))
    except Exception as error:  # classes and arguments that the config names
        raise WeightsError(f"{name}: {type(error).__name__}: {error}"[:600]) from None
    return revert_sync_batchnorm(model).eval()


def _without_downloads(model: Any) -> Any:
    """The model's part of a config, less what training started from: a checkpoint elsewhere, or one to be fetched."""
    model = model.copy()
    model["train_cfg"] = None
    for name, part in model.items():
        if isinstance(part, dict):
            part = part.copy()
            part.pop("init_cfg", None)
            if part.get("type") == "TIMMBackbone":
                part |= {"pretrained": False, "checkpoint_path": ""}
            model[name] = part
    model.pop("pretrained", None)
    model.pop("init_cfg", None)
    return model


def build_pipeline(config: Any, name: str) -> Any:
    """The config's test pipeline for an image that is there already, BGR. WeightsError where it cannot be built."""
    from mmcv.transforms import Compose

    steps = config.get("test_pipeline") or []
    kept = [dict(step) for step in steps if not str(step.get("type")).startswith("Load")]
    load = next((dict(step) for step in steps if str(step.get("type")).startswith("LoadImage")), {})
    load = {"type": "LoadImageFromNDArray", "to_float32": bool(load.get("to_float32", False))}
    try:
        return Compose([load, *(kept or [{"type": "PackSegInputs"}])])
    except Exception as error:  # classes and arguments that the config names
        raise WeightsError(f"{name}: test_pipeline: {type(error).__name__}: {error}"[:600]) from None


def load_weights(model: Any, checkpoint: Checkpoint, files: tuple[Path, Path]) -> None:
    """Fills `model`. files: the config's and the checkpoint's. WeightsError where the two do not fit together."""
    try:
        missing, unknown = model.load_state_dict(checkpoint.tensors, strict=False)
    except RuntimeError as error:  # shapes
        why = " ".join(str(error).split())[:400]
        raise WeightsError(f"{files[1].name}: does not fit {files[0].name}: {why}") from None
    missing = [name for name in missing if name not in _NEVER_IN_CHECKPOINTS and "auxiliary_head" not in name]
    if missing or unknown:
        raise WeightsError(
            f"{files[1].name}: does not fit {files[0].name}: {len(missing)} tensors are missing "
            f"({', '.join(missing[:3])}), {len(unknown)} have no place ({', '.join(unknown[:3])})"
        )
