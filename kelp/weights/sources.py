"""A remote file that can be read from any offset: what every scheme gives to the download."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from kelp.weights.errors import WeightsError
from kelp.weights.uris import ON_CLUSTER_ONLY, REMOTE_SCHEMES, hub_url, is_loopback, scheme_of, shown


@dataclass(frozen=True, slots=True)
class Opened:
    """An open transfer.

    offset: where `chunks` begin: the offset asked for, or 0 where the source had to start anew
    total: bytes of the whole file, None where unknown; version: changes when the file does, None where unknown
    """

    offset: int
    total: int | None
    version: str | None
    chunks: Iterator[bytes]


class Source(Protocol):
    """One remote file. `open` raises Interrupted where another try may help, else WeightsError."""

    def open(self, offset: int, version: str | None) -> AbstractContextManager[Opened]:
        """Bytes from `offset` on, if the file still has `version` (None: whichever it has), else from 0."""
        ...


def check_scheme(uri: str, *, sha256: str | None) -> None:
    """WeightsError unless this machine can fetch from `uri`."""
    scheme = scheme_of(uri)
    if scheme in ON_CLUSTER_ONLY:
        raise WeightsError(f"{shown(uri)}: {scheme}:// is mounted by a cluster; this machine takes a path or a copy")
    if scheme not in REMOTE_SCHEMES:
        raise WeightsError(f"{shown(uri)}: expected a path or one of {', '.join(s + '://' for s in REMOTE_SCHEMES)}")
    if scheme == "http" and sha256 is None and not is_loopback(uri):
        raise WeightsError(f"{shown(uri)}: http:// is taken only with a sha256 beside it, which proves the content")


def source_of(uri: str) -> Source:
    """The file at `uri`, whose scheme has been checked. Imports only what that scheme needs."""
    scheme = scheme_of(uri)
    if scheme in {"s3", "gs"}:
        from kelp.weights.object_source import ObjectSource

        return ObjectSource(uri)
    from kelp.weights.http_source import HttpSource

    return HttpSource(hub_url(uri), hub=True) if scheme == "hf" else HttpSource(uri)
