"""mmsegmentation without mmcv's compiled kernels.

mmcv has no wheels with its kernels for today's torch, and mmsegmentation imports the module that holds them although
few models call one. Where they are missing, a module stands in for them whose functions say so when they are called.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from kelp.errors import NotSupported

_NAME = "mmcv._ext"


class _Missing(ModuleType):
    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **options: Any) -> Any:
            raise NotSupported(f"this model needs mmcv's compiled kernel '{name}', which is not installed")

        return call


def without_kernels() -> None:
    """To be called before mmseg is imported: where mmcv has no kernels, it gets stand-ins for them."""
    if _NAME in sys.modules or importlib.util.find_spec(_NAME) is not None:
        return
    module = _Missing(_NAME)
    module.__spec__ = ModuleSpec(_NAME, None)
    sys.modules[_NAME] = module
