"""The servers that commands call: the V2 endpoint and the bridge, from KELP_… settings."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kelp.errors import BadGateway, Unreachable, error_from_answer
from kelp.local.settings import CallerSettings

if TYPE_CHECKING:
    import httpx

    from kelp.client import Client

_BRIDGE_TIMEOUT_S = 30.0


def v2_client(url: str | None = None, *, timeout_s: float = 30.0, cold_start_s: float = 600.0) -> Client:
    """A client of the V2 endpoint (`url`, else KELP_V2_URL)."""
    from kelp.cli.v2 import EndpointClient
    from kelp.client import ClientConfig

    settings = CallerSettings.read()
    token = settings.v2_token.get_secret_value() or settings.api_token.get_secret_value() or None
    config = ClientConfig(
        url or settings.v2_url, token=token, timeout_s=timeout_s, cold_start_s=cold_start_s, retries=1
    )
    return EndpointClient(config, named="" if url else "KELP_V2_URL")


def who() -> str:
    """Whoever uses this command, for the runs that it starts."""
    try:
        return getpass.getuser()
    except OSError:  # a container whose user has no name
        return ""


@contextmanager
def bridge() -> Iterator[Bridge]:
    """The bridge at KELP_BRIDGE_URL."""
    import httpx

    settings = CallerSettings.read()
    token = settings.api_token.get_secret_value()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=settings.bridge_url, headers=headers, timeout=_BRIDGE_TIMEOUT_S) as http:
        yield Bridge(http, settings.bridge_url)


class Bridge:
    """The bridge's API, `/api/v1/…`; errors are KelpError's subclasses."""

    def __init__(self, http: httpx.Client, url: str) -> None:
        self._http = http
        self._url = url

    def get(self, path: str, **query: Any) -> Any:
        return self._call("GET", path, params={k: v for k, v in query.items() if v is not None})

    def post(self, path: str, body: Any = None) -> Any:
        return self._call("POST", path, json=body)

    def events(self, path: str) -> Iterator[tuple[str, str]]:
        """Server-sent events of `path`: (event, data), until the bridge ends the stream.

        Source of the format: WHATWG HTML, 9.2.6.
        """
        import httpx

        try:
            headers = {"Accept": "text/event-stream"}
            with self._http.stream("GET", path, headers=headers, timeout=httpx.Timeout(30.0, read=90.0)) as response:
                if response.status_code >= 400:
                    response.read()
                    self._raise(response)
                event, data = "message", list[str]()
                for line in response.iter_lines():
                    if not line:
                        if data:
                            yield event, "\n".join(data)
                        event, data = "message", []
                    elif line.startswith("event:"):
                        event = line[6:].strip()
                    elif line.startswith("data:"):
                        data.append(line[5:].removeprefix(" "))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def _call(self, method: str, path: str, **more: Any) -> Any:
        import httpx

        try:
            response = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        if response.status_code >= 400:
            self._raise(response)
        try:
            return response.json()
        except ValueError:
            raise BadGateway(f"{self._url} answered something that is not JSON: is it the bridge?") from None

    def _raise(self, response: httpx.Response) -> None:
        try:
            body = response.json()
        except ValueError:
            body = None
        fallback = f"the bridge at {self._url} answered {response.status_code}"
        raise error_from_answer(response.status_code, body if isinstance(body, dict) else None, fallback=fallback)

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(f"no bridge answers at {self._url} (KELP_BRIDGE_URL): {error or type(error).__name__}")
