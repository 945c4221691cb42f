"""An mmsegmentation config: Python that is run, so only the very bytes that the card's sha256 names."""

from __future__ import annotations

import ast
import hashlib
import tempfile
from pathlib import Path
from typing import Any

from predictors.common.errors import UntrustedWeights, WeightsError


def read_config(file: Path, sha256: str | None) -> Any:
    """mmengine's Config of a `.py` that stands for itself, as a training writes it into its work_dir.

    sha256: of the bytes that may be run, None where a manifest has vouched for them. UntrustedWeights for other bytes,
    or a config that would run further files; WeightsError where it cannot be read or names what is not installed.
    """
    try:
        source = file.read_bytes()
    except OSError as error:
        raise WeightsError(f"{file.name}: cannot be read: {error.strerror}") from None
    if sha256 is not None and hashlib.sha256(source).hexdigest() != sha256:
        raise UntrustedWeights(f"{file.name}: has changed since its sha256 was checked; it is not run")
    check_alone(source, file.name)

    from mmengine.config import Config

    # mmengine wants a file: a private copy of the bytes that were checked.
    with tempfile.TemporaryDirectory(prefix="kelp-config-") as folder:
        copy = Path(folder) / "config.py"
        copy.write_bytes(source)
        try:
            config = Config.fromfile(copy)
        except Exception as error:  # the config's own code
            told = f": {error}" if str(error) else ", and does not say why"
            raise WeightsError(f"{file.name}: its code fails: {type(error).__name__}{told}"[:500]) from None
    if not isinstance(config.get("model"), dict) or "type" not in config.model:
        raise WeightsError(f"{file.name}: expected an mmsegmentation config with `model = dict(type=…)`")
    return config


def check_file(file: Path) -> None:
    """What is seen of a config without running it: WeightsError where it is not there, no Python, or not alone."""
    try:
        source = file.read_bytes()
    except OSError as error:
        raise WeightsError(f"{file.name}: cannot be read: {error.strerror or error}") from None
    check_alone(source, file.name)


def check_alone(source: bytes, name: str) -> None:
    """A base would be another file to run, one that no sha256 stands for."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise WeightsError(f"{name}: not Python: {error}") from None
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if names & {"_base_", "read_base"}:
        raise UntrustedWeights(
            f"{name}: builds on other files (_base_), which no sha256 vouches for; give the whole config, which "
            "mmengine writes into the work_dir of every training: the .py beside its checkpoints"
        )
