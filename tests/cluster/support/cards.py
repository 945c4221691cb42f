"""Cards for tests: the shipped model, with what a small cluster can give, under names of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.cluster.support.shell import ROOT

SHIPPED = ROOT / "environments" / "models" / "pth-yolo-coralsegv4.yaml"
SMALL = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}}
RETENTION_S = 6


def card(name: str, **changes: Any) -> dict[str, Any]:
    """The shipped card as `name`: small, asleep after `RETENTION_S` idle seconds unless `changes` say otherwise."""
    data: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    data["weights"]["uri"] = str((SHIPPED.parent / data["weights"]["uri"]).resolve())
    data |= {"name": name, "resources": SMALL, "scale": {"retention": RETENTION_S, "concurrency": 8}}
    return data | changes


def write(folder: Path, *cards: dict[str, Any]) -> Path:
    """The cards as files of `folder`, which is given back."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in cards:
        path = folder / f"{data['name']}{'-' + data['version'] if data.get('version') else ''}.yaml"
        path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return folder
