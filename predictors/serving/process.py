"""A predictor's process: listens, loads beside it, serves, drains on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kelp.card import Card
from kelp.errors import KelpError, TooLate
from kelp.ports import check_free, listen, taken
from predictors.model import Model
from predictors.registry import make_model
from predictors.serving import logs, tracing
from predictors.serving.dataplane import DataPlane
from predictors.serving.deployed import await_weights, read_card
from predictors.serving.options import Options, read_options

log = logging.getLogger("kelp.serving")
CANNOT_SERVE = 3
_CLOSING_S = 1.0
# The event loop gets the interpreter back sooner while Python code of other threads runs.
_SWITCH_INTERVAL_S = 0.001
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until a signal; ends the process with the exit code of `options`."""
    options = read_options(arguments)
    logs.configure(options.log_level, options.log_format)
    tracing.start("kelp-predictor")
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    _keep_freed_memory()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines on stderr are no log of ours
    try:
        card = read_card(options.card)
        code = _Process(card, options).run()
    except KelpError as error:
        log.error("cannot serve", extra={"error": error.message, "error_code": error.code})
        code = CANNOT_SERVE
    tracing.stop(_CLOSING_S)
    logging.shutdown()
    # A prediction, or a load, that is still under way cannot be interrupted and must not hold up the end.
    os._exit(code)


def _keep_freed_memory() -> None:
    """Have glibc keep what images and batches give back: fetching it anew costs a tenth of the time of decoding."""
    with contextlib.suppress(AttributeError, OSError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)  # the most that it allows
        mallopt(_M_TRIM_THRESHOLD, 512 * 2**20)


class _Process:
    def __init__(self, card: Card, options: Options) -> None:
        self._card = card
        self._options = options
        self._plane = DataPlane(card)
        self._code = 0
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> int:
        """The exit code."""
        options = self._options
        rest = listen(options.host, options.port, setting="--port")
        self._plane.start(self._model, self._failed)
        try:
            import uvloop

            factory = uvloop.new_event_loop
        except ImportError:  # not made for every platform
            factory = asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(self._serve(rest))
        return self._code

    def _model(self) -> Model:
        """On the model's thread."""
        await_weights(self._card)
        return make_model(self._card, self._options.cache)

    def _failed(self, error: BaseException) -> None:
        """The model's thread has ended: so does the process."""
        self._code = CANNOT_SERVE
        code = error.code if isinstance(error, KelpError) else "internal"
        log.error(
            "cannot serve",
            extra={"error": str(error) or type(error).__name__, "error_code": code},
            exc_info=None if isinstance(error, KelpError) else error,
        )
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)

    async def _serve(self, rest: socket.socket) -> None:
        from predictors.serving.rest import RestEdge
        from predictors.serving.rest_server import RestServer

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        if self._code:
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_signal)
        rest_server = RestServer(RestEdge(self._plane), rest, self._card.limits.body)
        serving = asyncio.ensure_future(rest_server.run_bound())
        await rest_server.listening.wait()
        ports = {"rest": rest.getsockname()[1]}
        grpc_server: Any = None
        if self._options.grpc_port is not None and self._is_asked_by_grpc():
            from predictors.serving.grpc_edge import GrpcEdge

            grpc_server = GrpcEdge(self._plane).server()
            ports["grpc"] = _bind_grpc(grpc_server, self._options.host, self._options.grpc_port)
            await grpc_server.start()
        log.info("listening", extra={"model": self._card.model_name, "host": self._options.host, **ports})
        _announce(self._options.announce, ports)
        if self._options.card is None:  # in a pod: elsewhere whoever started it watches over its start
            self._loop.call_later(self._card.start_timeout, self._check_started)
        await self._stop.wait()
        await self._drain()
        rest_server.should_exit = True
        if grpc_server is not None:
            await grpc_server.stop(1.0)
        await serving
        ended = await asyncio.to_thread(self._plane.close, _CLOSING_S)
        log.info("stopped", extra={"model": self._card.model_name, "model_thread_ended": ended})

    def _is_asked_by_grpc(self) -> bool:
        """In a pod a card has one protocol, and nobody reaches another port: what is not imported starts no slower."""
        return self._options.card is not None or self._card.protocol == "grpc"

    def _check_started(self) -> None:
        if self._plane.lifecycle.phase == "starting":
            self._failed(TooLate(f"the model did not start within {self._card.start_timeout:g} s (start_timeout)"))

    def _on_signal(self) -> None:
        assert self._stop is not None
        if self._stop.is_set():  # asked twice: at once
            os._exit(130)
        self._stop.set()

    async def _drain(self) -> None:
        """Take no more requests, and finish those under way, within the grace."""
        admission = self._plane.admission
        if self._code == 0:
            self._plane.lifecycle.stop()
            if admission.open:
                log.info("draining", extra={"open": admission.open})
            grace_s = self._options.grace_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._card.limits.request_seconds if grace_s is None else grace_s):
                    await admission.idle()
        self._plane.give_up()


def _bind_grpc(server: Any, host: str, port: int) -> int:
    """Bind and give the port. PortTaken names it and, where it can be seen, its holder."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return int(server.add_insecure_port(address))
    except RuntimeError:
        check_free(host, port, setting="--grpc-port")  # says what is wrong with it
        raise taken(port, "--grpc-port") from None


def _announce(where: str | None, ports: dict[str, int]) -> None:
    if where is None:
        return
    line = json.dumps(ports) + "\n"
    if where.isdigit():
        with os.fdopen(int(where), "w") as stream:
            stream.write(line)
        return
    # Whole or not there: somebody may be waiting for the file to appear.
    part = Path(where + ".part")
    part.write_text(line)
    part.replace(where)
