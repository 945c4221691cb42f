"""A card's local weights as one folder that is named by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kelp.card import Card, WeightFile, Weights
from kelp.deploy.weights import manifest_bytes
from kelp.weights import WeightsError
from kelp.weights.manifest import MANIFEST, read_manifest
from kelp.weights.uris import check_relative, scheme_of

OnBytes = Callable[[int], None]
"""Called with the bytes done since the last call."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class LocalFile:
    """name: below the folder, with `/`."""

    name: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """manifest: the bytes of `kelp-weights.json`; sha256: of these bytes, the folder's name."""

    files: tuple[LocalFile, ...]
    roles: dict[str, WeightFile]
    manifest: bytes
    sha256: str

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def weights_at(self, base: str) -> Weights:
        """What the card says of its weights once they lie below `base`."""
        return Weights(uri=f"{base.rstrip('/')}/{self.sha256}", files=self.roles)


def is_local(card: Card) -> bool:
    """Whether the weights lie on this machine, and have to be sent."""
    return not scheme_of(card.weights.uri)


def bundle_of(card: Card, on_bytes: OnBytes | None = None) -> Bundle:
    """Read and hash the files. WeightsError where one is missing, or is not what the card says."""
    files: dict[str, LocalFile] = {}
    roles: dict[str, WeightFile] = {}
    for role, (name, path, expected) in _listed(card).items():
        file = files.get(name) or _read(name, path, role, on_bytes)
        if expected is not None and file.sha256 != expected:
            raise WeightsError(f"{path}: wrong content: expected sha256 {expected}, found {file.sha256}")
        files[name] = file
        roles[role] = WeightFile(file=name, sha256=file.sha256)
    manifest = manifest_bytes(roles)
    return Bundle(tuple(files.values()), roles, manifest, hashlib.sha256(manifest).hexdigest())


def _listed(card: Card) -> dict[str, tuple[str, Path, str | None]]:
    """role → (name below the folder, where it lies here, the sha256 that is expected)."""
    place = Path(card.weights.uri)
    entries = card.weights.files
    if not entries and place.is_dir():
        path = place / MANIFEST
        if card.weights.sha256 is not None and path.is_file():
            found = _sha256(path, None)
            if found != card.weights.sha256:
                raise WeightsError(f"{path}: wrong content: expected sha256 {card.weights.sha256}, found {found}")
        entries = read_manifest(path, source=str(path))
    if not entries:
        return {"model": (place.name, place, card.weights.sha256)}
    listed = {}
    for role, entry in entries.items():
        if not entry.file:
            listed[role] = (place.name, place, entry.sha256)
            continue
        check_relative(entry.file, f"{card.model_name}: weights.files.{role}.file")
        listed[role] = (str(PurePosixPath(entry.file)), place / entry.file, entry.sha256)
    return listed


def _read(name: str, path: Path, role: str, on_bytes: OnBytes | None) -> LocalFile:
    if not path.is_file():
        kind = "a folder, and a file was expected" if path.is_dir() else "no such file"
        raise WeightsError(f"{path}: {kind} (weights of the role '{role}')")
    return LocalFile(name, path, path.stat().st_size, _sha256(path, on_bytes))


def _sha256(path: Path, on_bytes: OnBytes | None) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                if on_bytes is not None:
                    on_bytes(len(chunk))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None
    return digest.hexdigest()
