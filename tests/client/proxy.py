"""A TCP proxy that breaks its first connections once some bytes have passed, for REST and gRPC alike."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator


class BreakingProxy:
    def __init__(self, target_port: int, breaks: int, after_bytes: int) -> None:
        self._target_port = target_port
        self._breaks = breaks
        self._after_bytes = after_bytes
        self.connections = 0
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.create_connection(("127.0.0.1", self._target_port))
                self._sockets += [client, server]
                limit = self._after_bytes if self.connections <= self._breaks else None
                threading.Thread(target=self._pump, args=(client, server, limit), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, None), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                passed += len(data)
                if limit is not None and passed > limit:
                    # Closing with linger 0 sends a reset.
                    source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    source.close()
                    break
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def breaking_proxy(target_port: int, *, breaks: int, after_bytes: int = 20_000) -> Iterator[BreakingProxy]:
    proxy = BreakingProxy(target_port, breaks, after_bytes)
    try:
        yield proxy
    finally:
        proxy.close()
