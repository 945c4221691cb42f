"""A file in s3 or gs. Credentials and endpoint come from the environment (AWS_…, GOOGLE_…)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    BaseError,
    GenericError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import GCSStore, S3Store

from kelp.weights.errors import Interrupted, WeightsError
from kelp.weights.sources import Opened
from kelp.weights.uris import shown

_CHUNK = 1 << 18


class ObjectSource:
    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        self._where = shown(uri)
        self._key = unquote(parts.path.lstrip("/"))
        if not parts.netloc or not self._key:
            raise WeightsError(f"{self._where}: expected {parts.scheme}://bucket/file")
        # The store's own patience is short: the download resumes by itself.
        retry: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        try:
            if parts.scheme == "gs":
                self._store: Any = GCSStore(parts.netloc, retry_config=retry, client_options={"allow_http": True})
            elif endpoint:
                options: Any = {"allow_http": endpoint.startswith("http:")}
                self._store = S3Store(parts.netloc, endpoint=endpoint, retry_config=retry, client_options=options)
            else:
                self._store = S3Store(parts.netloc, retry_config=retry)
        except BaseError as error:
            raise WeightsError(f"{self._where}: {_short(error)}") from None

    @contextmanager
    def open(self, offset: int, version: str | None) -> Iterator[Opened]:
        try:
            yield self._get(offset, version)
        except PreconditionError:  # it has changed since: what we hold is of the old one
            yield self._get(0, None)
        except (NotFoundError, FileNotFoundError):
            raise WeightsError(f"{self._where}: no such file") from None
        except (PermissionDeniedError, UnauthenticatedError, PermissionError):
            raise WeightsError(f"{self._where}: the store does not let us read it") from None
        except (GenericError, OSError) as error:
            raise Interrupted(_short(error)) from None
        except BaseError as error:
            raise WeightsError(f"{self._where}: {_short(error)}") from None

    def _get(self, offset: int, version: str | None) -> Opened:
        head = obstore.head(self._store, self._key)
        if offset >= head["size"] or (version and version != head["e_tag"]):
            offset = 0
        options: Any = {"range": {"offset": offset}} if offset else {}
        if head["e_tag"]:
            options["if_match"] = head["e_tag"]
        result = obstore.get(self._store, self._key, options=options)
        chunks = (bytes(chunk) for chunk in result.stream(min_chunk_size=_CHUNK))
        return Opened(offset, head["size"], head["e_tag"], chunks)


def _short(error: Exception) -> str:
    """The first line; the rest is the library's own debugging text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
