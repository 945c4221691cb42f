"""A request passed on to a model's process and its answer passed back, both as they come: nothing is parsed or kept."""

from __future__ import annotations

import asyncio
from typing import Any

from kelp.errors import TooLate
from kelp.local.caller import Caller, Receive, Scope, Send
from kelp.local.model import ServedModel
from kelp.local.start import Running
from kelp.local.upstream import Broken, Connection, end_to_end

_ANSWER_MARGIN_S = 60.0  # beyond the card's own limits, after which a process that says nothing is given up


async def forward(model: ServedModel, scope: Scope, receive: Receive, send: Send) -> None:
    """Pass one request to `model`, waking it first. KelpError until the answer has begun; afterwards Broken."""
    caller = Caller(scope, receive, model.card.limits.body)
    async with caller, model.use() as running:
        try:
            connection = await running.pool.take()
        except OSError:
            raise await model.why_it_broke(running) from None
        try:
            await _exchange(model, running, connection, caller, send)
        finally:
            if not caller.body_sent:
                connection.close()  # its process waits for a body that will not come
            running.pool.give_back(connection)


async def _exchange(model: ServedModel, running: Running, connection: Connection, caller: Caller, send: Send) -> None:
    limits = model.card.limits
    patience_s = limits.request_seconds + limits.queue_seconds + _ANSWER_MARGIN_S
    try:
        async with asyncio.timeout(None) as silence:
            caller.send_to(connection, lambda: _set(silence, patience_s))
            status, headers = await connection.head()
    except TimeoutError:
        raise TooLate(f"model '{model.name}' said nothing for {patience_s:g} s") from None
    except Broken:
        raise await model.why_it_broke(running) from None
    await send({"type": "http.response.start", "status": status, "headers": end_to_end(headers)})
    async for chunk in connection.chunks():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _set(silence: asyncio.Timeout, patience_s: float) -> None:
    """The process has the whole request: from now on it may be silent for so long."""
    silence.reschedule(asyncio.get_running_loop().time() + patience_s)


async def answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    """A whole answer of our own, JSON unless `headers` say otherwise."""
    given: list[Any] = headers or []
    if not any(name == b"content-type" for name, _ in given):
        given = [(b"content-type", b"application/json"), *given]
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *given]})
    await send({"type": "http.response.body", "body": body})
