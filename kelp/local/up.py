"""`kelp up` as a process: opens the ports, ends left-overs, serves until a signal, and leaves nothing running."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from kelp.local import log
from kelp.local.app import App
from kelp.local.auth import Guard
from kelp.local.bridge import BridgeProcess
from kelp.local.cards import Folder, checked, read_folder
from kelp.local.keeping import KeptLogs
from kelp.local.labels import Labels
from kelp.local.log import event
from kelp.local.pidfiles import PidFiles
from kelp.local.proxy_grpc import GrpcEndpoint
from kelp.local.server import DRAIN_S, EndpointServer
from kelp.local.settings import UpSettings
from kelp.local.start import ServeArguments, Starter, serve_arguments
from kelp.local.state import UpState, write_state
from kelp.local.supervisor import Supervisor
from kelp.local.watching import FolderWatch
from kelp.ports import PortTaken, check_free, listen
from kelp.settings.process import SettingsError

_LAST_S = 5.0


def run(settings: UpSettings, *, with_bridge: bool, arguments: ServeArguments = serve_arguments) -> None:
    """Serve until SIGTERM or SIGINT. KelpError where it cannot begin: a card, a port, a budget, the bridge."""
    log.configure(settings.log_level, settings.log_format)
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:  # not made for every platform
        factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_Up(settings, arguments).serve(with_bridge=with_bridge))


class _Up:
    def __init__(self, settings: UpSettings, arguments: ServeArguments) -> None:
        self._settings = settings
        self._arguments = arguments
        self._stop = asyncio.Event()
        self._at_once = asyncio.Event()

    async def serve(self, *, with_bridge: bool) -> None:
        settings = self._settings
        found = checked(read_folder(settings.models), settings.models)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        sock = listen(settings.v2_host, settings.v2_port, setting="KELP_V2_PORT")
        check_free(settings.v2_host, settings.v2_grpc_port, setting="KELP_V2_GRPC_PORT")
        pids = PidFiles(settings.cache / "run")
        for record in await asyncio.to_thread(pids.end_left_overs):
            event("left_over_ended", level="warning", model=record.name, pid=record.pid)

        labels = Labels(settings.cache)
        starter = Starter(settings.cache, pids, labels, self._arguments)
        supervisor = Supervisor(found.cards, settings.bounds, starter, labels)
        guard = Guard(settings.token)
        rest = EndpointServer(App(supervisor, guard, self._stop.is_set), sock, supervisor.largest_body())
        grpc_server, grpc_port = self._grpc(GrpcEndpoint(supervisor, guard, self._stop.is_set))
        await grpc_server.start()
        serving = asyncio.create_task(rest.run_bound(), name="rest")
        await rest.listening.wait()
        port = sock.getsockname()[1]
        event("listening", protocol="rest", host=settings.v2_host, port=port, models=supervisor.names())
        event("listening", protocol="grpc", host=settings.v2_host, port=grpc_port)

        log.keep_with(KeptLogs(settings.cache).line)
        states = _State(settings, port)
        watch = FolderWatch(settings.models, supervisor, states.tell)
        watch.begin(found)
        supervisor.on_unknown = watch.look_again
        loop.add_signal_handler(signal.SIGHUP, watch.look_now)
        watching = asyncio.create_task(watch.run(), name="cards")
        bridge = BridgeProcess(f"http://{_address(settings.v2_host)}:{port}", settings.token, pids)
        try:
            supervisor.begin()
            if with_bridge:
                bridge.start()
            await self._until_told(bridge.refused)
            event("stopping")
            # The bridge first: its runs pause in good order while models still answer.
            await self._unless_hurried(bridge.stop())
            supervisor.refuse()
            rest.should_exit = True
            await self._unless_hurried(asyncio.wait({serving, asyncio.create_task(grpc_server.stop(DRAIN_S))}))
        finally:
            watching.cancel()
            rest.should_exit = rest.force_exit = True
            await asyncio.gather(bridge.stop(at_once=True), supervisor.close(), grpc_server.stop(None))
            await asyncio.wait({serving}, timeout=_LAST_S)
            states.end()
            event("stopped")
        if bridge.refused.is_set():
            raise SettingsError("the bridge cannot start, as it says above; --no-bridge runs the models alone")

    async def _until_told(self, refused: asyncio.Event) -> None:
        """Return on a signal, or when the bridge does not take its settings."""
        waits = {asyncio.create_task(self._stop.wait()), asyncio.create_task(refused.wait())}
        _, left = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        self._stop.set()

    def _grpc(self, endpoint: GrpcEndpoint) -> tuple[Any, int]:
        settings = self._settings
        host = f"[{settings.v2_host}]" if ":" in settings.v2_host else settings.v2_host
        try:
            return endpoint.server(f"{host}:{settings.v2_grpc_port}")
        except RuntimeError as error:
            raise PortTaken(f"port {settings.v2_grpc_port} (KELP_V2_GRPC_PORT) cannot be opened: {error}") from None

    def _on_signal(self) -> None:
        (self._at_once if self._stop.is_set() else self._stop).set()

    async def _unless_hurried(self, what: Coroutine[Any, Any, Any]) -> None:
        """Wait for `what`, but not after a second signal."""
        task = asyncio.create_task(what)
        hurry = asyncio.create_task(self._at_once.wait())
        await asyncio.wait({task, hurry}, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


class _State:
    """The file that tells the command line which folder is served, and what of it has been read."""

    def __init__(self, settings: UpSettings, port: int) -> None:
        self._cache = settings.cache
        self._state = UpState(os.getpid(), port, str(settings.models.resolve()))
        self._path: Path | None = None

    def tell(self, found: Folder) -> None:
        try:
            self._path = write_state(self._cache, replace(self._state, read=found.read, faults=found.faults))
        except OSError as error:
            event("state_not_written", level="warning", error=str(error))

    def end(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _address(host: str) -> str:
    """The address to call a listener on `host` by, from this machine."""
    if host in {"0.0.0.0", ""}:  # noqa: S104  # compared, not bound
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host
