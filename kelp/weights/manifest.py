"""`kelp-weights.json`: what lies in a folder of weights, role → file and sha256."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from kelp.card import WeightFile
from kelp.weights.errors import WeightsError
from kelp.weights.uris import check_relative

MANIFEST = "kelp-weights.json"
_ROLES = TypeAdapter(dict[str, WeightFile])


def read_manifest(path: Path, *, source: str) -> dict[str, WeightFile]:
    """role → file of the manifest at `path`; `source` is its name in errors."""
    try:
        roles = _ROLES.validate_python(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        fault = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
        what = f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" if fault else str(error)
        raise WeightsError(f'{source}: expected {{"role": {{"file": …, "sha256": …}}}}: {what}') from None
    if not roles:
        raise WeightsError(f"{source}: names no file")
    for role, entry in roles.items():
        check_relative(entry.file, f"{source}: {role}")
    return roles
