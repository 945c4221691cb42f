"""V2 over REST: an ASGI application by hand, for its start time and for control over every byte that is read."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote

from kelp.codec import decode_request, encode_response, header_length_of
from kelp.codec.rest import HEADER_LENGTH
from kelp.errors import KelpError
from predictors.serving.dataplane import LEFT, CallerLeft, DataPlane
from predictors.serving.repository import Repository
from predictors.serving.rest_body import Receive, announced_length, read_body
from predictors.serving.rest_encoding import encoding_of, unfolded
from predictors.serving.rest_routes import Answer, MethodNotAllowed, Routes, Target, json_answer
from predictors.serving.tracing import RequestTrace, begin

log = logging.getLogger("kelp.serving")
Send = Callable[[dict[str, Any]], Awaitable[None]]
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_HEADER_LENGTH = HEADER_LENGTH.encode()


class RestEdge:
    """The ASGI application."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        self._routes = Routes(plane, Repository(plane))

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"expected HTTP, got {scope['type']}")
        started = time.monotonic()
        headers = dict(scope["headers"])
        request_id = request_id_of(headers.get(b"x-request-id"))
        fields: dict[str, Any] = {}
        trace = begin(headers.get(b"traceparent"))
        inference = False
        answer: Answer | None = None
        try:
            path = [unquote(part) for part in scope["raw_path"].decode("latin-1").strip("/").split("/")]
            target = self._routes.find(scope["method"], path)
            if target.answer is not None:
                answer = target.answer()
            else:
                inference = True
                answer = await self._infer(target, headers, receive, fields, trace)
        except CallerLeft:
            pass
        except KelpError as error:
            answer = _error_answer(error)
            fields.update(error=error.message, error_code=error.code)
        except Exception:  # the last guard: an answer goes out, and the connection lives on
            log.exception("a request failed inside the server", extra={"request_id": request_id})
            answer = _error_answer(KelpError("the server failed on this request"))
        if inference:
            code = LEFT if answer is None else answer.status
            self._plane.note("rest", code, time.monotonic() - started, request_id, fields, trace)
        if answer is not None:
            await _send(send, answer, request_id, head=scope["method"] == "HEAD")

    async def _infer(
        self,
        target: Target,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        fields: dict[str, Any],
        trace: RequestTrace | None,
    ) -> Answer:
        plane, started = self._plane, time.monotonic()
        plane.check_name(target.model, target.version)
        plane.lifecycle.check()
        limits = plane.card.limits
        header_length = header_length_of(headers.get(_HEADER_LENGTH))
        encoding = encoding_of(headers)
        length = announced_length(headers, limits.body)
        place = plane.admission.enter()
        try:
            body = await read_body(receive, length, limits.body, limits.request_seconds)
            watcher = asyncio.ensure_future(_cancel_when_left(receive, asyncio.current_task()))
            try:
                buffers, answer_headers = await plane.infer(
                    place,
                    lambda: decode_request(
                        unfolded(body, encoding, limits.body),
                        header_length,
                        model_name=target.model,
                        model_version=target.version,
                    ),
                    encode_response,
                    started=started,
                    fields=fields,
                    trace=trace,
                )
            except asyncio.CancelledError:
                if watcher.done():
                    raise CallerLeft from None
                raise
            finally:
                watcher.cancel()
        finally:
            place.leave()
        return Answer(200, buffers, answer_headers)


async def _cancel_when_left(receive: Receive, task: asyncio.Task[Any] | None) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    if task is not None:
        task.cancel()


def request_id_of(given: bytes | None) -> str:
    """The caller's own id of a request if it is plain text, else a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return secrets.token_hex(8)


def _error_answer(error: KelpError) -> Answer:
    answer = json_answer(error.to_json(), error.status)
    if error.retry_after_s is not None:
        answer.headers["retry-after"] = str(math.ceil(error.retry_after_s))
    if isinstance(error, MethodNotAllowed):
        answer.headers["allow"] = error.allowed
    return answer


async def _send(send: Send, answer: Answer, request_id: str, *, head: bool) -> None:
    given = {**answer.headers, "content-length": str(sum(map(len, answer.buffers))), "x-request-id": request_id}
    headers = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in given.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if head or not answer.buffers:
        await send({"type": "http.response.body", "body": b""})
        return
    last = len(answer.buffers) - 1
    for place, buffer in enumerate(answer.buffers):
        await send({"type": "http.response.body", "body": buffer, "more_body": place < last})
