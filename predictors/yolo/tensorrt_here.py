"""What TensorRT needs of a machine, and what of it is missing here."""

from __future__ import annotations

import importlib.util


def missing() -> list[str]:
    """What is not here, each in words; nothing where engines can be made and run."""
    if importlib.util.find_spec("torch") is None:
        return ["torch (the extra yolo)"]
    import torch

    lacking = []
    if not torch.cuda.is_available():
        lacking.append(f"a GPU with its driver (torch {torch.__version__} finds none)")
    if importlib.util.find_spec("tensorrt") is None:
        major = (torch.version.cuda or "13").partition(".")[0]
        lacking.append(f"the package tensorrt-cu{major}")
    return lacking
