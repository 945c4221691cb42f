"""What helm makes of the chart, without what is helm's own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from kelp.deploy.generate.places import NAMESPACE, RELEASE
from kelp.errors import KelpError

_LABELS = ("helm.sh/chart", "app.kubernetes.io/managed-by")


class HelmFailed(KelpError):
    default_code = "helm_failed"


def is_there() -> bool:
    return shutil.which("helm") is not None


def template(chart: Path, values: Sequence[Path], settings: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The objects that an install would make, hooks left out. HelmFailed says what helm said."""
    command = ["helm", "template", RELEASE, str(chart), "--namespace", NAMESPACE, "--no-hooks"]
    command += [part for path in values for part in ("--values", str(path))]
    command += [part for setting in settings for part in ("--set", setting)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HelmFailed(done.stderr.strip())
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def without_helm(item: dict[str, Any]) -> dict[str, Any]:
    """`item` without helm's own labels and annotations, on itself and on what it makes pods of."""
    return _stripped(item)  # type: ignore[no-any-return]


def _stripped(value: Any) -> Any:
    if isinstance(value, list):
        return [_stripped(part) for part in value]
    if not isinstance(value, dict):
        return value
    found = {key: _stripped(part) for key, part in value.items()}
    labels = found.get("labels")
    if isinstance(labels, dict) and labels.get("app.kubernetes.io/part-of") == "kelp" and "helm.sh/chart" in labels:
        found["labels"] = {key: label for key, label in labels.items() if key not in _LABELS}
    notes = found.get("annotations")
    if isinstance(notes, dict):
        kept = {key: note for key, note in notes.items() if not key.startswith("helm.sh/")}
        if kept:
            found["annotations"] = kept
        else:
            del found["annotations"]
    return found
