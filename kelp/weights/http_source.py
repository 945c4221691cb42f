"""A file behind http(s), resumed by Range and If-Range (RFC 9110, 13.1.5 and 14). Proxies and CA bundles of the
environment are respected."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from kelp.weights.errors import Interrupted, WeightsError
from kelp.weights.sources import Opened
from kelp.weights.uris import shown

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
_TIMEOUT = httpx.Timeout(connect=15.0, read=60.0, write=15.0, pool=15.0)
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpSource:
    """`hub=True` sends HF_TOKEN; httpx drops it when the hub redirects to another host."""

    def __init__(self, url: str, *, hub: bool = False) -> None:
        self._url = url
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "kelp"}
        token = os.environ.get("HF_TOKEN") if hub else None
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    @contextmanager
    def open(self, offset: int, version: str | None) -> Iterator[Opened]:
        headers = dict(self._headers)
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if version:
                headers["If-Range"] = version
        try:
            with httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client:
                with client.stream("GET", self._url, headers=headers) as response:
                    if not _beyond_the_end(response, offset):
                        yield self._opened(response, offset)
                        return
                with client.stream("GET", self._url, headers=self._headers) as response:
                    yield self._opened(response, 0)
        except (httpx.TransportError, httpx.StreamError) as error:
            raise Interrupted(str(error) or type(error).__name__) from None
        except (httpx.InvalidURL, httpx.TooManyRedirects) as error:
            raise WeightsError(f"{shown(self._url)}: {type(error).__name__}") from None

    def _opened(self, response: httpx.Response, offset: int) -> Opened:
        status = response.status_code
        where = shown(self._url)
        if status in {401, 403}:
            raise WeightsError(f"{where}: the server does not let us read it ({status})")
        if status in {404, 410}:
            raise WeightsError(f"{where}: no such file ({status})")
        if status in _WORTH_ANOTHER_TRY:
            raise Interrupted(f"the server answered {status}")
        if status == 416:  # nothing beyond what we hold
            return Opened(offset, offset, _version(response), iter(()))
        if status not in {200, 206}:
            raise WeightsError(f"{where}: the server answered {status}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise WeightsError(f"{where}: the server sends it re-encoded, so that it cannot be resumed or verified")
        chunks = response.iter_raw()  # as they arrive: nothing is lost in a buffer when the connection breaks
        if status == 206:
            span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if span is None or span[1] != str(offset):
                raise WeightsError(f"{where}: the server answered another range than the one asked for")
            return Opened(offset, None if span[2] == "*" else int(span[2]), _version(response), chunks)
        length = response.headers.get("Content-Length", "")
        return Opened(0, int(length) if length.isdigit() else None, _version(response), chunks)


def _beyond_the_end(response: httpx.Response, offset: int) -> bool:
    """Whether the server's file ends before `offset`: ours is another one, and has to be fetched from the start."""
    span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return response.status_code == 416 and (span is None or span[2] != str(offset))


def _version(response: httpx.Response) -> str | None:
    """What If-Range takes: a strong entity tag, else the date of the last change."""
    tag: str | None = response.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return tag
    changed: str | None = response.headers.get("Last-Modified")
    return changed
