"""The synchronous REST client."""

from __future__ import annotations

import time

import httpx

from kelp import tracing
from kelp.client.config import ClientConfig
from kelp.client.rest_core import HttpAnswer, HttpCall, RestCore
from kelp.client.rest_transport import client_options, error_of, late, timeouts
from kelp.client.sync_calls import SyncCalls


class Client(SyncCalls):
    """V2 over REST. `transport`: httpx's, for tests and unusual networks."""

    def __init__(self, config: ClientConfig, *, transport: httpx.BaseTransport | None = None) -> None:
        core = RestCore(config)
        super().__init__(core)
        self._config = config
        self._http = httpx.Client(**client_options(config, core.headers), transport=transport)

    def close(self) -> None:
        self._http.close()

    def _send(self, call: HttpCall, timeout_s: float) -> HttpAnswer:
        ends = time.monotonic() + timeout_s
        request = self._http.build_request(
            call.method,
            call.path,
            headers={**call.headers, **tracing.headers()},
            content=b"".join(call.body),
            timeout=timeouts(self._config, timeout_s),
        )
        try:
            response = self._http.send(request, stream=True)
            try:
                chunks = []
                # A server that sends its answer in drops meets no read time-out.
                for chunk in response.iter_bytes():
                    chunks.append(chunk)
                    if time.monotonic() > ends:
                        raise late(self._config.url, timeout_s)
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise error_of(error, self._config.url) from error
        return HttpAnswer(response.status_code, response.headers, b"".join(chunks))
