"""V2 over gRPC: generic handlers that get and give bytes; the messages are the codec's own."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from kelp.codec.grpc_messages import decode_request, encode_response
from kelp.codec.grpc_pool import METHODS, SERVICE, parse, repository_model_name
from kelp.codec.status import grpc_details, grpc_status, trailing_metadata
from kelp.errors import KelpError
from kelp.tracing import HEADER as TRACE
from predictors.serving.dataplane import LEFT, DataPlane
from predictors.serving.repository import Repository
from predictors.serving.rest import request_id_of
from predictors.serving.tracing import begin

log = logging.getLogger("kelp.serving")
Context = Any
"""grpc.aio's ServicerContext"""
Call = Callable[[bytes, Context], Awaitable[bytes]]
REQUEST_ID = "x-request-id"
HEALTH_SERVICE = "grpc.health.v1.Health"
"""What Kubernetes asks a container that only speaks gRPC. Source: gRPC's health checking protocol."""
LIVENESS = b"\x0a\x08liveness"
"""A check of the service `liveness`: whether the process lives, ready or not."""
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


class GrpcEdge:
    """The service's calls. Statuses, codes and image indices are those of REST (`kelp.codec.status`)."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        self._repository = Repository(plane)

    def server(self) -> grpc.aio.Server:
        """A server with the service in it, not bound to a port yet."""
        limit = self._plane.card.limits.body
        server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # a port that is taken is an error
            )
        )
        calls = {name: self._answered(name, answer) for name, answer in self._answers().items()}
        calls["ModelInfer"] = self._infer
        services: dict[str, dict[str, Call]] = {SERVICE: calls, HEALTH_SERVICE: {"Check": self._health}}
        server.add_generic_rpc_handlers(
            tuple(
                grpc.method_handlers_generic_handler(
                    service, {name: grpc.unary_unary_rpc_method_handler(call) for name, call in of_service.items()}
                )
                for service, of_service in services.items()
            )
        )
        return server

    async def _health(self, asked: bytes, context: Context) -> bytes:
        return SERVING if asked == LIVENESS or self._plane.lifecycle.ready else NOT_SERVING

    def _answers(self) -> dict[str, Callable[[Any], dict[str, Any]]]:
        """Each call but inference: its request message → the fields of its response."""
        repository = self._repository
        return {
            "ServerLive": self._live,
            "ServerReady": lambda _: {"ready": self._plane.lifecycle.ready},
            "ModelReady": self._model_ready,
            "ServerMetadata": lambda _: repository.server(),
            "ModelMetadata": lambda request: _metadata_fields(repository.metadata(request.name, request.version)),
            "RepositoryIndex": lambda request: {"models": repository.index(only_ready=request.ready)},
            "RepositoryModelLoad": self._load,
            "RepositoryModelUnload": self._unload,
        }

    def _live(self, _: Any) -> dict[str, Any]:
        self._repository.check_live()
        return {"live": True}

    def _model_ready(self, request: Any) -> dict[str, Any]:
        self._repository.check_model(request.name, request.version)
        return {"ready": self._plane.lifecycle.ready}

    def _load(self, request: Any) -> dict[str, Any]:
        name = repository_model_name(request)
        self._repository.load(name)
        return {"model_name": name, "isLoaded": True}

    def _unload(self, request: Any) -> dict[str, Any]:
        name = repository_model_name(request)
        self._repository.unload(name)
        return {"model_name": name, "isUnloaded": True}

    def _answered(self, name: str, answer: Callable[[Any], dict[str, Any]]) -> Call:
        request_class, response_class = METHODS[name]

        async def call(raw: bytes, context: Context) -> bytes:
            try:
                response = response_class(**answer(parse(request_class, raw)))
            except KelpError as error:
                await _abort(context, error)
            return response.SerializeToString()  # type: ignore[no-any-return]

        return call

    async def _infer(self, raw: bytes, context: Context) -> bytes:
        plane, started = self._plane, time.monotonic()
        metadata = {key: value for key, value in context.invocation_metadata() or () if key in (REQUEST_ID, TRACE)}
        request_id = request_id_of(str(metadata.get(REQUEST_ID, "")).encode("latin-1", "replace"))
        fields: dict[str, Any] = {}
        trace = begin(metadata.get(TRACE))
        code, failure, answer = 200, None, b""
        try:
            place = plane.admission.enter()
            try:
                answer = await plane.infer(
                    place,
                    lambda: decode_request(raw),
                    encode_response,
                    started=started,
                    timeout_s=context.time_remaining(),
                    fields=fields,
                    trace=trace,
                )
            finally:
                place.leave()
        except KelpError as error:
            code, failure = error.status, error
            fields.update(error=error.message, error_code=error.code)
        except asyncio.CancelledError:
            plane.note("grpc", LEFT, time.monotonic() - started, request_id, fields, trace)
            raise
        except Exception:  # the last guard: the caller gets an answer without a traceback
            log.exception("a request failed inside the server", extra={"request_id": request_id})
            failure = KelpError("the server failed on this request")
            code = failure.status
        plane.note("grpc", code, time.monotonic() - started, request_id, fields, trace)
        if failure is not None:
            await _abort(context, failure, request_id)
        context.set_trailing_metadata(((REQUEST_ID, request_id),))
        return answer


async def _abort(context: Context, error: KelpError, request_id: str = "") -> None:
    trailing = trailing_metadata(error)
    if request_id:
        trailing += ((REQUEST_ID, request_id),)
    await context.abort(grpc.StatusCode[grpc_status(error)], grpc_details(error), trailing)


def _metadata_fields(metadata: dict[str, Any]) -> dict[str, Any]:
    parameters = {
        name: {"string_param": json.dumps(value, ensure_ascii=False)} for name, value in metadata["parameters"].items()
    }
    return {**metadata, "parameters": parameters}
