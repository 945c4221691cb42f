"""Reading `.pth` checkpoints: tensors and plain data, and nothing that runs.

What mmengine's Runner saves holds its log buffers, optimizers and configs beside the weights: objects of classes that
torch's reader of plain data refuses. Such a name is never looked up here: a stand-in that does nothing takes its place.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import torch

from predictors.common.errors import UntrustedWeights, WeightsError


class Checkpoint(NamedTuple):
    """tensors: parameter name → tensor on the CPU; meta: what the trainer noted beside them, plain data only."""

    tensors: dict[str, torch.Tensor]
    meta: dict[str, Any]


class StandIn:
    """In place of an object whose class is not trusted: takes whatever it is given and drops it."""

    def __init__(self, *arguments: Any) -> None:
        """Arguments of a constructor or function that was not called."""

    def __setstate__(self, state: Any) -> None:
        """The object's state."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """An entry of a mapping."""

    def append(self, value: Any) -> None:
        """An entry of a list."""

    def extend(self, values: Any) -> None:
        """Several of them."""


def read_checkpoint(file: Path) -> Checkpoint:
    """The weights of a `.pth`, as a bare state dict or under `state_dict` or `model`, without DataParallel's prefix.

    UntrustedWeights where it cannot be read without running what it says; WeightsError where it is no checkpoint.
    """
    content = _load(file)
    tensors: Any = content
    meta: Any = None
    if isinstance(content, dict):
        meta = content.get("meta")
        tensors = next((content[key] for key in ("state_dict", "model") if isinstance(content.get(key), dict)), content)
    if not (isinstance(tensors, dict) and tensors and all(isinstance(v, torch.Tensor) for v in tensors.values())):
        raise WeightsError(f"{file.name}: expected a state dict, names with a tensor each")
    told = meta if isinstance(meta, dict) else {}
    return Checkpoint({str(name).removeprefix("module."): tensor for name, tensor in tensors.items()}, told)


def _load(file: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_stand_ins(file)):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        why = str(error).split("\n", 1)[0][:300]
        raise UntrustedWeights(
            f"{file.name}: cannot be read without running what it says ({why}); "
            "save its state dict alone with torch.save"
        ) from None
    except OSError as error:
        raise WeightsError(f"{file.name}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged file fails anywhere in torch's readers
        why = f"{type(error).__name__}: {error}".split("\n", 1)[0][:300]
        raise WeightsError(f"{file.name}: not a whole PyTorch checkpoint ({why})") from None


def _stand_ins(file: Path) -> list[Any]:
    """A stand-in for each name in the file that torch does not take for plain data."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except ValueError:  # the format of before torch 1.6, which cannot be looked through: plain data or refused
        return []
    return [(StandIn, name) for name in names]
