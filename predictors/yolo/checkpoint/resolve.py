"""What stands behind a checkpoint's names while it is unpickled: the same list once more, and stricter functions."""

from __future__ import annotations

import codecs
import importlib
import pathlib
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import torch

from predictors.common.errors import UntrustedWeights
from predictors.yolo.checkpoint.names import ALLOWED

# Classes that ultralytics has renamed or dropped since.
_RENAMED = {
    "YOLOv10DetectionModel": "DetectionModel",
}
_STORED: dict[str, torch.dtype] = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
}


class StandIn:
    """Takes the place of what only training needs, and of numpy's arrays, whose states numpy trusts too much."""

    def __init__(self, *arguments: Any) -> None:
        """Whatever is given is dropped."""

    def __setstate__(self, state: Any) -> None:
        """Likewise."""


def resolve(module: str, name: str) -> Any:
    """The object for a name of the allow-list; a storage's is its number type. UntrustedWeights for any other."""
    role = ALLOWED.get((module, name))
    match role:
        case "layer":
            return _layer(module, name)
        case "stand-in":
            return StandIn
        case "storage":
            return _STORED[name]
        case None:
            raise UntrustedWeights(f"the checkpoint names '{module}.{name}', which no YOLO checkpoint needs")
        case _:
            return _OTHERS[name] if name in _OTHERS else getattr(torch, name)


def _layer(module: str, name: str) -> type[torch.nn.Module]:
    found = getattr(importlib.import_module(module), _RENAMED.get(name, name), None)
    if not (isinstance(found, type) and issubclass(found, torch.nn.Module)):
        raise UntrustedWeights(f"the checkpoint needs '{module}.{name}', which the installed version does not have")
    return found


def _method(layer: Any, name: str) -> Any:
    if not (isinstance(layer, type) and issubclass(layer, torch.nn.Module) and name == "forward"):
        raise UntrustedWeights("the checkpoint asks for an attribute that is no layer's 'forward'")
    return getattr(layer, name)


def _bytes(text: str, encoding: str = "latin1") -> bytes:
    """Bytes as pickle's protocol 2 writes them."""
    if codecs.lookup("latin1").name != encoding.replace("latin1", "iso8859-1"):
        raise UntrustedWeights("the checkpoint holds bytes in another form than pickle writes")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


_OTHERS: dict[str, Any] = {
    "IterableSimpleNamespace": SimpleNamespace,
    "OrderedDict": OrderedDict,
    "PosixPath": pathlib.PurePosixPath,
    "PurePosixPath": pathlib.PurePosixPath,
    "PureWindowsPath": pathlib.PureWindowsPath,
    "WindowsPath": pathlib.PureWindowsPath,
    "_rebuild_parameter": torch._utils._rebuild_parameter,
    "_rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,
    "_reconstruct": StandIn,
    "bytes": _no_bytes,
    "dtype": StandIn,
    "encode": _bytes,
    "frozenset": frozenset,
    "getattr": _method,
    "ndarray": None,
    "scalar": StandIn,
    "set": set,
}
