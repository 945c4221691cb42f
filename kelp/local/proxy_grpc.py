"""The gRPC side of the endpoint. Inference is passed on as bytes: only the model's name is read, and metadata,
deadline, status and trailing metadata go through as they are."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

# Read by gRPC when it is imported: our children are other programs, so that there is nothing to prepare for a fork.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

import grpc
import grpc.aio

from kelp.card.metadata import server_metadata
from kelp.codec.grpc_pool import METHODS, parse, path_of, repository_model_name
from kelp.codec.grpc_wire import model_name_of
from kelp.codec.status import grpc_details, grpc_status, trailing_metadata
from kelp.errors import KelpError, QueueFull, TooLarge
from kelp.local.auth import Guard
from kelp.local.model import ServedModel
from kelp.local.start import Running
from kelp.local.supervisor import Supervisor

_MARGIN = 1 << 16  # a message is a little longer than what it carries
_NOT_PASSED_ON = ("grpc-", ":", "user-agent", "content-type", "te", "authorization")
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_ANSWER_MARGIN_S = 60.0
_MOST_HELD = 1 << 30  # bytes of messages under way
_INFER = path_of("ModelInfer")

Reply = Callable[[Any], Awaitable[Any]]


class GrpcEndpoint(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """V2's service for all models."""

    def __init__(self, supervisor: Supervisor, guard: Guard, stopping: Callable[[], bool]) -> None:
        self._all = supervisor
        self._guard = guard
        self._stopping = stopping
        self._held = 0
        own: dict[str, Reply] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ServerMetadata": self._server_metadata,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model_metadata,
            "RepositoryIndex": self._index,
            "RepositoryModelLoad": functools.partial(self._load_or_unload, load=True),
            "RepositoryModelUnload": functools.partial(self._load_or_unload, load=False),
        }
        self._handlers = {
            path_of(name): grpc.unary_unary_rpc_method_handler(functools.partial(self._own, name, reply))
            for name, reply in own.items()
        }
        self._handlers[_INFER] = grpc.unary_unary_rpc_method_handler(self._infer)

    def service(self, details: Any) -> Any:
        return self._handlers.get(details.method)

    def server(self, address: str) -> tuple[Any, int]:
        """A server, not yet started, and the port that it listens on. RuntimeError where it cannot."""
        limit = self._all.largest_body() + _MARGIN
        options = [
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ]
        server = grpc.aio.server(handlers=[self], options=options)
        return server, int(server.add_insecure_port(address))

    async def _infer(self, raw: bytes, context: Any) -> bytes:
        try:
            self._check(context)
            model = self._all.model(model_name_of(raw))
            limit = model.card.limits.body
            if len(raw) > limit + _MARGIN:
                raise TooLarge(f"the message has {len(raw)} bytes; model '{model.name}' takes {limit}")
            with self._holding(len(raw)):
                async with model.use() as running:
                    return await _pass_on(model, running, raw, context)
        except KelpError as error:
            return await _abort(context, error)

    async def _own(self, name: str, reply: Reply, raw: bytes, context: Any) -> bytes:
        request_class, _ = METHODS[name]
        try:
            if name not in {"ServerLive", "ServerReady"}:
                self._check(context)
            answer: bytes = (await reply(parse(request_class, raw))).SerializeToString()
        except KelpError as error:
            return await _abort(context, error)
        return answer

    @contextlib.contextmanager
    def _holding(self, size: int) -> Iterator[None]:
        """Unlike REST's bodies, messages are held whole while they wait: QueueFull where that would be too much."""
        if self._held and self._held + size > _MOST_HELD:
            raise QueueFull(f"requests of {self._held >> 20} MiB are waiting already", retry_after_s=1.0)
        self._held += size
        try:
            yield
        finally:
            self._held -= size

    def _check(self, context: Any) -> None:
        given = dict(context.invocation_metadata() or ()).get("authorization")
        self._guard.check(given.encode("latin-1", "replace") if isinstance(given, str) else given)

    async def _server_live(self, _: Any) -> Any:
        return METHODS["ServerLive"][1](live=True)

    async def _server_ready(self, _: Any) -> Any:
        return METHODS["ServerReady"][1](ready=not self._stopping())

    async def _server_metadata(self, _: Any) -> Any:
        return METHODS["ServerMetadata"][1](**server_metadata("kelp up"))

    async def _model_ready(self, request: Any) -> Any:
        await self._all.load(self._all.model(request.name, request.version or None))
        return METHODS["ModelReady"][1](ready=True)

    async def _model_metadata(self, request: Any) -> Any:
        described = self._all.metadata(self._all.model(request.name, request.version or None))
        card = json.dumps(described["parameters"]["card"], ensure_ascii=False)
        return METHODS["ModelMetadata"][1](**{**described, "parameters": {"card": {"string_param": card}}})

    async def _index(self, request: Any) -> Any:
        return METHODS["RepositoryIndex"][1](models=self._all.index(ready_only=request.ready))

    async def _load_or_unload(self, request: Any, *, load: bool) -> Any:
        name = repository_model_name(request)
        model = self._all.model(name)
        if load:
            await self._all.load(model)
            return METHODS["RepositoryModelLoad"][1](model_name=name, isLoaded=True)
        await self._all.unload(model)
        return METHODS["RepositoryModelUnload"][1](model_name=name, isUnloaded=True)


async def _pass_on(model: ServedModel, running: Running, raw: bytes, context: Any) -> bytes:
    limits = model.card.limits
    left = context.time_remaining()
    patience_s = limits.request_seconds + limits.queue_seconds + _ANSWER_MARGIN_S
    call = _stub(running)(
        raw,
        timeout=patience_s if left is None else left,
        metadata=tuple(_passed(context.invocation_metadata() or ())),
    )
    try:
        answer: bytes = await call
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE and not error.trailing_metadata():
            raise await model.why_it_broke(running) from None
        context.set_trailing_metadata(tuple(_passed(error.trailing_metadata() or ())))
        await context.abort(error.code(), error.details() or "")
        raise  # abort has raised
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            # Not this caller left: the channel was closed under the call, because its process is gone.
            raise await model.why_it_broke(running) from None
        call.cancel()
        raise
    await context.send_initial_metadata(tuple(_passed(await call.initial_metadata())))
    context.set_trailing_metadata(tuple(_passed(await call.trailing_metadata())))
    return answer


def _stub(running: Running) -> Any:
    """The call of a model's process; its channel is opened by the first one and closed with the process."""
    if running.infer is None:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{running.ports.grpc}", options=_OPTIONS)
        running.infer = channel.unary_unary(_INFER)
        running.closers.append(channel.close)
    return running.infer


def _passed(metadata: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
    """Metadata of the call, without that of the connection."""
    return ((key, value) for key, value in metadata if not key.startswith(_NOT_PASSED_ON))


async def _abort(context: Any, error: KelpError) -> bytes:
    with contextlib.suppress(asyncio.CancelledError):
        context.set_trailing_metadata(trailing_metadata(error))
    await context.abort(grpc.StatusCode[grpc_status(error)], grpc_details(error))
    raise error  # abort has raised
