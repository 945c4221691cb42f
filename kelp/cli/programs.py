"""Commands that become another program of this project."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence

from kelp.cli.exits import UsageError


def become(module: str, arguments: Sequence[str], *, extra: str) -> None:
    """Replace this process by `python -m MODULE ARGUMENTS…`. UsageError names the extra that would bring it."""
    top = module.partition(".")[0]
    if importlib.util.find_spec(top) is None:
        raise UsageError(f"'{top}' is not installed here: install kelp-platform[{extra}]")
    if sys.stderr.isatty():
        os.environ.setdefault("KELP_LOG_FORMAT", "text")
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606  # our own interpreter
