"""Listeners: their sockets are taken first, so that a port in use is an error that says who has it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from kelp.ports import holder_of
from kelp.settings.process import SettingsError

BACKLOG = 1024
# So long may requests go on after the listener closed.
GRACE_S = 5


def bind(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket. SettingsError names `setting`, the port and, where it can be seen, who holds it."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise SettingsError(f"KELP_HOST: {host}: {error.strerror}") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        holder = holder_of(port) if error.errno == errno.EADDRINUSE else None
        by = f": held by {holder}" if holder else ""
        raise SettingsError(f"{setting}: port {port} on {host}: {error.strerror}{by}") from None
    listener.setblocking(False)
    return listener


class Listener:
    """One application on one socket."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # Who calls is decided by the connection itself, never by what a header says.
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=GRACE_S,
        )
        self._socket = listener
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def stop(self) -> None:
        """Accept nothing more, let what is under way end."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's business, not a listener's."""
        yield
