"""Requests to the API server, and what its answers mean."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx
import orjson

from bridge.kube.access import ClusterAccess
from kelp import __version__
from kelp.codec.status import retry_after_s
from kelp.errors import BadGateway, KelpError, Unreachable, error_from_answer

CONNECT_S = 5.0
GET_S = 15.0
# While nothing happens the server sends a bookmark about once a minute: longer silence is a dead connection.
SILENCE_S = 90.0


class Expired(KelpError):
    """The resource version is too old for the server (410): everything must be listed again."""

    default_code = "expired"


class KubeApi:
    """`get` and `watch` with the identity of `access`. Errors are KelpErrors; a refused token is read anew once."""

    def __init__(self, access: ClusterAccess, *, silence_s: float = SILENCE_S) -> None:
        self._access = access
        self._silence_s = silence_s
        self._http = httpx.AsyncClient(
            base_url=access.url,
            verify=access.trust,
            auth=access.basic,
            trust_env=access.proxies,
            headers={"user-agent": f"kelp-bridge/{__version__}", "accept": "application/json"},
        )

    async def get(self, path: str, query: Mapping[str, str] | None = None, *, accept: str = "") -> dict[str, Any]:
        """The object or list at `path`."""
        headers = {"accept": accept} if accept else {}
        response = await self._send(path, query, headers, httpx.Timeout(GET_S, connect=CONNECT_S), stream=False)
        body = _object(response.content)
        if body is None:
            raise BadGateway(f"{self._access.url}: {path} is not answered with a JSON object")
        return body

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a watch as they come; it ends when the server ends it. Expired when it must begin anew."""
        timeout = httpx.Timeout(GET_S, connect=CONNECT_S, read=self._silence_s)
        response = await self._send(path, {**query, "watch": "1"}, {}, timeout, stream=True)
        try:
            rest = b""
            # By hand: httpx would also end a line within an object, where a text holds some rare character.
            async for chunk in response.aiter_bytes():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in filter(None, lines):
                    yield self._event(line)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self._access.url}: {type(error).__name__} {error}".rstrip()) from error
        finally:
            await response.aclose()

    async def close(self) -> None:
        await self._http.aclose()

    def _event(self, line: bytes) -> dict[str, Any]:
        event = _object(line)
        if event is None or not isinstance(event.get("object"), dict):
            raise BadGateway(f"{self._access.url}: an event of a watch is none")
        if event.get("type") == "ERROR":
            status = event["object"]
            raise _error(int(status.get("code") or 500), status, self._access.url)
        return event

    async def _send(
        self,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        timeout: httpx.Timeout,
        *,
        stream: bool,
    ) -> httpx.Response:
        for anew in (False, True):
            token = self._access.token.read(anew=anew)
            request = self._http.build_request(
                "GET",
                path,
                params=query,
                headers={**headers, **({"authorization": f"Bearer {token}"} if token else {})},
                timeout=timeout,
            )
            try:
                response = await self._http.send(request, stream=stream)
                if response.status_code == 200:
                    return response
                body = await response.aread()
                await response.aclose()
            except httpx.HTTPError as error:
                raise Unreachable(f"{self._access.url}: {type(error).__name__} {error}".rstrip()) from error
            if response.status_code != 401:
                break
        wait = retry_after_s(response.headers.get("retry-after"))
        raise _error(response.status_code, _object(body) or {}, self._access.url, wait)


def _error(status: int, body: Mapping[str, Any], url: str, wait_s: float | None = None) -> KelpError:
    """The error that a `Status` object stands for."""
    text = f"{url}: {body.get('message') or f'answered {status}'}"
    if status == 410:
        return Expired(text)
    if status == 404 and not (body.get("details") or {}).get("name"):
        # Not an object that is missing but the whole kind; an API group that nobody serves has no `Status` at all.
        text = f"{url}: no such API: is KServe installed? ({body.get('message') or 'answered 404'})"
    return error_from_answer(status, {"error": text}, retry_after_s=wait_s)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
