"""What weights say of themselves, asked of the predictors' side by a process: which files there are is known there."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kelp.cli.exits import UsageError
from kelp.errors import KelpError

_LONGEST_S = 600.0  # weights of gigabytes on a slow disk


@dataclass(frozen=True, slots=True)
class Described:
    """runtime, task; files: role → file; labels in CVAT's form; input_hw: height and width it was trained for;
    keypoints, grid_shape: of a pose; device: what the file demands; memory: what a start should be given; request_s:
    how long a request may take, None for the usual; notes: what the reader should know."""

    runtime: str
    task: str
    files: dict[str, Path]
    labels: list[dict[str, Any]]
    input_hw: tuple[int, int] | None
    keypoints: int | None
    grid_shape: list[int] | None
    device: str | None
    memory: str
    request_s: float | None
    notes: list[str]


def describe_weights(path: Path, *, config: Path | None, sam: Path | None, template: Path | None) -> Described:
    """KelpError says what cannot be read; UsageError, that predictors are not installed here."""
    arguments = [str(path)]
    for option, value in (("--config", config), ("--sam", sam), ("--template", template)):
        arguments += [option, str(value)] if value is not None else []
    found = ask("predictors.describe", arguments)
    files = {role: Path(file) for role, file in found.pop("files").items()}
    size = found.pop("input_hw")
    return Described(files=files, input_hw=(size[0], size[1]) if size else None, **found)


def _deaf_to_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def ask(module: str, arguments: Sequence[str], *, timeout_s: float = _LONGEST_S) -> dict[str, Any]:
    """The JSON object that `python -m MODULE ARGUMENTS…` prints last; with `error` in it, that KelpError."""
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        raise UsageError("'predictors' is not installed here: install kelp-platform[yolo-onnx]")
    command = [sys.executable, "-m", module, *arguments]
    # The terminal's Ctrl-C reaches both; the process leaves it to us, and so tells nothing of where it was.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=_deaf_to_interrupts) as process:
        try:
            told, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise KelpError(f"python -m {module}: no answer within {timeout_s:.0f} s") from None
        finally:
            process.kill()  # where it has not ended by itself
    lines = told.strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise KelpError(f"python -m {module} ended with {process.returncode}, and said nothing of use")
    if "error" in found:
        raise KelpError(found["error"], code=found.get("code"))
    return found
