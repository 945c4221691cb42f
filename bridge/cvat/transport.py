"""One HTTP connection pool to one host. Retries what may be repeated, follows no redirect, never leaves the host."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import orjson

from bridge import metrics
from bridge.cvat.errors import CvatGone, CvatRefused, CvatUnavailable, InDoubt

# `application/json` is answered with 406.
ACCEPT = "application/vnd.cvat+json"
TRIES = 5
# Of requests that change nothing; CVAT makes the chunks of a large task while one waits.
TIMEOUT_S = 60.0
LONGEST_PAUSE_S = 10.0
# Of an error's text, as much as fits into a run's reason.
SHOWN = 300
_TOO_MANY = 429
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CvatAccess:
    """Where CVAT is and as whom. `token` (Bearer) or `user` and `password` (Basic): never login or logout."""

    url: str
    user: str = ""
    password: str = ""
    token: str = ""
    organization: str = ""
    ca: Path | None = None


class Transport:
    def __init__(
        self, access: CvatAccess, *, transport: httpx.AsyncBaseTransport | None = None, pause_s: float = 0.5
    ) -> None:
        """`transport` replaces the network in tests; `pause_s` is the first pause between two tries."""
        headers = {"Accept": ACCEPT, "User-Agent": "kelp-bridge", "Accept-Encoding": "identity"}
        auth: httpx.Auth | None = None
        if access.token:
            headers["Authorization"] = f"Bearer {access.token}"
        elif access.user:
            auth = httpx.BasicAuth(access.user, access.password)
        self._organization = {"X-Organization": access.organization} if access.organization else {}
        self._pause_s = pause_s
        parts = urlsplit(access.url)
        # Where no proxy in front of it says so, CVAT takes its own address for uploads from this.
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._http = httpx.AsyncClient(
            base_url=access.url,
            headers=headers,
            auth=auth,
            verify=ssl.create_default_context(cafile=str(access.ca)) if access.ca else True,
            timeout=httpx.Timeout(TIMEOUT_S, connect=5.0),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=30),
            follow_redirects=False,
            transport=transport,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, params: Mapping[str, Any] | None = None, *, listing: bool = False) -> Any:
        """The decoded JSON at `path`. `listing`: limited to the configured organization (objects by id need none)."""
        headers = self._organization if listing else None
        return orjson.loads(await self.get_bytes(path, params, headers=headers))

    async def get_bytes(
        self, path: str, params: Mapping[str, Any] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> bytes:
        answer = await self.repeated(lambda: self._once("GET", path, params=params, headers=headers))
        return answer.content

    async def change(self, path: str, params: Mapping[str, Any], body: bytes, *, timeout_s: float) -> Any:
        """Send a change ONCE; its decoded answer. InDoubt where nobody can say whether it happened."""
        headers = {"Content-Type": "application/json"}
        answer = await self.send("PATCH", path, params=params, content=body, headers=headers, timeout_s=timeout_s)
        return orjson.loads(answer.content)

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> httpx.Response:
        """The same for any method. CvatRefused, CvatGone or `cvat_not_sent`: it surely did not happen."""
        timeout = httpx.Timeout(timeout_s, connect=5.0)
        try:
            return await self._once(
                method, path, params=params, content=content, headers={**(headers or {})}, timeout=timeout
            )
        except (CvatRefused, CvatGone):
            raise
        except CvatUnavailable as error:
            if error.code == "cvat_not_sent":
                raise
            raise InDoubt(error.message) from error

    async def repeat_change(self, path: str, params: Mapping[str, Any], body: bytes, *, timeout_s: float) -> Any:
        """The same for a change that may happen twice without harm."""
        return await self.repeated(lambda: self.change(path, params, body, timeout_s=timeout_s))

    async def repeated(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """`attempt`, which may happen twice without harm, again and again while CVAT does not answer."""
        pause = self._pause_s
        for left in range(TRIES - 1, -1, -1):
            try:
                return await attempt()
            except CvatUnavailable as error:
                if not left:
                    raise
                await asyncio.sleep(min(error.retry_after_s or pause * random.uniform(0.5, 1.0), LONGEST_PAUSE_S))
            pause = min(pause * 2, LONGEST_PAUSE_S)
        raise AssertionError("unreachable")

    async def _once(self, method: str, path: str, **options: Any) -> httpx.Response:
        request = self._http.build_request(method, path, **options)
        try:
            response = await self._http.send(request)
        except httpx.TransportError as error:
            metrics.CVAT_REQUESTS.labels("none").inc()
            sent = not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
            code = "cvat_unavailable" if sent else "cvat_not_sent"
            raise CvatUnavailable(f"CVAT does not answer ({_kind(error)})", code=code) from error
        # It points back at the response: a picture sent or received would live until the collector's next round.
        response.stream = httpx.ByteStream(b"")
        metrics.CVAT_REQUESTS.labels(str(response.status_code)).inc()
        if response.status_code < 300:
            return response
        raise _error(method, path, response)


def _error(method: str, path: str, response: httpx.Response) -> Exception:
    status = response.status_code
    text = " ".join(response.text[:SHOWN].split()) if "html" not in response.headers.get("content-type", "") else ""
    message = f"CVAT answered {status} to {method} {path}" + (f": {text}" if text else "")
    if status == _TOO_MANY:
        return CvatUnavailable(message, code="cvat_not_sent", retry_after_s=_seconds(response.headers))
    if status >= 500:
        return CvatUnavailable(message, retry_after_s=_seconds(response.headers))
    if status in {404, 410}:
        return CvatGone(message)
    if status < 400:
        message = f"CVAT redirects {method} {path}; set KELP_CVAT_URL to the address it really has"
    return CvatRefused(message, status)


def _seconds(headers: httpx.Headers) -> float | None:
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None


def _kind(error: httpx.TransportError) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
