"""The asynchronous REST client."""

from __future__ import annotations

import asyncio

import httpx

from kelp import tracing
from kelp.client.async_calls import AsyncCalls
from kelp.client.config import ClientConfig
from kelp.client.rest_core import HttpAnswer, HttpCall, RestCore
from kelp.client.rest_transport import client_options, error_of, late, timeouts


class AsyncClient(AsyncCalls):
    """V2 over REST, on asyncio. `transport`: httpx's, for tests and unusual networks."""

    def __init__(self, config: ClientConfig, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        core = RestCore(config)
        super().__init__(core)
        self._config = config
        self._http = httpx.AsyncClient(**client_options(config, core.headers), transport=transport)

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(self, call: HttpCall, timeout_s: float) -> HttpAnswer:
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._http.request(
                    call.method,
                    call.path,
                    headers={**call.headers, **tracing.headers()},
                    content=b"".join(call.body),
                    timeout=timeouts(self._config, timeout_s),
                )
        except httpx.HTTPError as error:
            raise error_of(error, self._config.url) from error
        except TimeoutError as error:
            raise late(self._config.url, timeout_s) from error
        return HttpAnswer(response.status_code, response.headers, response.content)
