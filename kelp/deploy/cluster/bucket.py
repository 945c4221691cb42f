"""Weights into a bucket. A file's name holds the sha256 of what it belongs to, so that one that is there is right."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import GCSStore, S3Store

from kelp.deploy.cluster.bundle import Bundle, OnBytes
from kelp.deploy.cluster.multipart import PART, Keys, Multipart
from kelp.deploy.cluster.platform import Storage
from kelp.errors import Forbidden, NotFound, Unreachable
from kelp.weights import WeightsError
from kelp.weights.manifest import MANIFEST

_CHUNK = 1 << 20
_PART = 8 << 20  # S3 takes no smaller ones but the last


class Bucket:
    """`base`: `s3://bucket/folder` or `gs://…`. keys: access key and secret, where the environment has none."""

    def __init__(self, base: str, storage: Storage, *, inside: bool, keys: tuple[str, str] | None = None) -> None:
        parts = urlsplit(base)
        self._base = base
        self._prefix = unquote(parts.path).strip("/")
        if not parts.netloc:
            raise WeightsError(f"{base}: expected {parts.scheme}://bucket/folder")
        retry: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}
        self._where = ""
        self._multipart: Multipart | None = None
        try:
            if parts.scheme == "gs":
                self._store: Any = GCSStore(parts.netloc, retry_config=retry)
            else:
                self._where = _endpoint(storage, inside=inside)
                self._store = S3Store(
                    parts.netloc, retry_config=retry,
                    client_options={"allow_http": self._where.startswith("http:")},
                    **_s3_options(self._where, storage.region, keys),
                )  # fmt: skip
                self._multipart = _multipart(self._where, storage.region, parts.netloc, keys)
        except BaseError as error:
            raise WeightsError(f"{base}: {_short(error)}") from None

    def missing(self, bundle: Bundle) -> list[str]:
        """Names of the bundle's files that are not there yet, the manifest's among them."""
        wanted = {file.name: file.size for file in bundle.files} | {MANIFEST: len(bundle.manifest)}
        return [name for name, size in wanted.items() if self._size(bundle, name) != size]

    def upload(self, bundle: Bundle, on_bytes: OnBytes) -> None:
        """Send what is missing; the manifest last, so that it tells a whole folder."""
        missing = set(self.missing(bundle))
        for file in bundle.files:
            if file.name not in missing:
                on_bytes(file.size)
            elif self._multipart is not None and file.size > PART:
                self._multipart.upload(self._key(bundle, file.name), file.path, on_bytes)
            else:
                self._put(bundle, file.name, _chunks(file.path, on_bytes))
        if missing:
            self._put(bundle, MANIFEST, bundle.manifest)

    def _key(self, bundle: Bundle, name: str) -> str:
        return "/".join(part for part in (self._prefix, bundle.sha256, name) if part)

    def _size(self, bundle: Bundle, name: str) -> int | None:
        try:
            return int(obstore.head(self._store, self._key(bundle, name))["size"])
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            raise self._error(error) from None

    def _put(self, bundle: Bundle, name: str, content: Any) -> None:
        try:
            obstore.put(self._store, self._key(bundle, name), content, chunk_size=_PART)
        except (BaseError, OSError) as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> Exception:
        where = f"{self._base} at {self._where}" if self._where else self._base
        if isinstance(error, (PermissionDeniedError, UnauthenticatedError, PermissionError)):
            return Forbidden(f"{where}: the store does not let us in (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)")
        text = _short(error)
        if "NoSuchBucket" in str(error) or isinstance(error, (NotFoundError, FileNotFoundError)):
            return NotFound(f"{where}: no such bucket")
        return Unreachable(f"{where}: {text}")


def _endpoint(storage: Storage, *, inside: bool) -> str:
    """The environment's wins: only the one at the keyboard knows a tunnel's address."""
    named = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    return named or (storage.endpoint if inside else storage.external_endpoint or storage.endpoint)


def _s3_options(endpoint: str, region: str, keys: tuple[str, str] | None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if endpoint:
        options["endpoint"] = endpoint
    if not (os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")):
        options["region"] = region or "us-east-1"
    if keys is not None and not os.environ.get("AWS_ACCESS_KEY_ID"):
        options["access_key_id"], options["secret_access_key"] = keys
    return options


def _multipart(endpoint: str, region: str, bucket: str, keys: tuple[str, str] | None) -> Multipart | None:
    """None where the credentials are none that we can sign with: a profile or a role, which obstore knows to ask for;
    large files are then sent as a whole."""
    import httpx

    environment = os.environ
    if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        found = Keys(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN", ""),
        )
    elif keys is not None:
        found = Keys(*keys)
    else:
        return None
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or region or "us-east-1"
    http = httpx.Client(timeout=httpx.Timeout(30.0, read=300.0, write=300.0))
    return Multipart(http, endpoint, region, bucket, found)


def _chunks(path: Path, on_bytes: OnBytes) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
            on_bytes(len(chunk))


def _short(error: Exception) -> str:
    """The first line; the rest is the library's own debugging text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
