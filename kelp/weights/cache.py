"""Where fetched weights lie: by their sha256, or by address and version where no sha256 is known.

CACHE/weights/sha256/<hex>/<name>              a file whose content is known
CACHE/weights/uri/<of the address>/<of the version>/<name>
…/<name>.part, …/<name>.part.json              a transfer that has not ended, and what it is of
…/lock                                         held by the one process that fetches into this folder
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def default_cache() -> Path:
    """`KELP_CACHE`, else `kelp` in the user's cache folder."""
    given = os.environ.get("KELP_CACHE")
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kelp"


def folder_of_content(cache: Path, sha256: str) -> Path:
    return cache / "weights" / "sha256" / sha256


def folder_of_uri(cache: Path, uri: str) -> Path:
    return cache / "weights" / "uri" / short_hash(uri)


def short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Alone in `folder`, among all processes of this machine; a process that dies lets go."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def publish(part: Path, final: Path) -> None:
    """Give a complete file its name: after a power cut it is whole under it, or not there."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, final)
    handle = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
