"""Running the stand-in in a thread of this process."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType

import uvicorn

from demo.cvat.server import Server
from demo.cvat.settings import Settings

START_S = 20.0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(256)
    return listener


def uvicorn_server(server: Server) -> uvicorn.Server:
    config = uvicorn.Config(
        server.application, lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )
    return uvicorn.Server(config)


class Running:
    """A context manager: the stand-in listens on 127.0.0.1 while the block runs, its address is `url`."""

    def __init__(self, settings: Settings | None = None, port: int = 0) -> None:
        self.server = Server(settings)
        self._listener = listen("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._uvicorn = uvicorn_server(self.server)
        self._thread = threading.Thread(
            target=self._uvicorn.run, args=([self._listener],), name="cvat-stand-in", daemon=True
        )

    def __enter__(self) -> Running:
        self._thread.start()
        deadline = time.monotonic() + START_S
        while not self._uvicorn.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("the CVAT stand-in did not start")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(START_S)
        self._listener.close()
        self.server.close()
