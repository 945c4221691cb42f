"""A port of this machine whose connections go to a port of a pod, through the API server."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

from kelp.deploy.cluster.api import Cluster
from kelp.errors import InvalidRequest, Unreachable

_CHUNK = 1 << 18


@contextlib.contextmanager
def relay(cluster: Cluster, namespace: str, pod: str, port: int, *, local_port: int = 0) -> Iterator[int]:
    """The port on 127.0.0.1, open while the block runs. Unreachable where the pod cannot be reached at all."""
    _connect(cluster, namespace, pod, port).close()  # what is not allowed is said here, and not by a broken connection
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", local_port))
        except OSError as error:
            raise InvalidRequest(f"port {local_port} cannot be opened: {error.strerror}", code="usage") from None
        listener.listen(16)
        threading.Thread(target=_accept, args=(listener, cluster, namespace, pod, port), daemon=True).start()
        yield listener.getsockname()[1]
    finally:
        listener.close()


def _accept(listener: socket.socket, cluster: Cluster, namespace: str, pod: str, port: int) -> None:
    while True:
        try:
            here, _ = listener.accept()
        except OSError:
            return  # closed
        threading.Thread(target=_serve, args=(here, cluster, namespace, pod, port), daemon=True).start()


def _serve(here: socket.socket, cluster: Cluster, namespace: str, pod: str, port: int) -> None:
    with here:
        try:
            forward = _connect(cluster, namespace, pod, port)
        except Unreachable:
            return  # the caller sees a closed connection, as of any server that has gone
        there = forward.socket(port)
        there.setblocking(True)
        back = threading.Thread(target=_copy, args=(there, here), daemon=True)
        back.start()
        _copy(here, there)
        with contextlib.suppress(OSError):
            there.close()
        back.join(5.0)


def _copy(source: Any, target: Any) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    with contextlib.suppress(OSError, ValueError):
        target.shutdown(socket.SHUT_RDWR)


def _connect(cluster: Cluster, namespace: str, pod: str, port: int) -> Any:
    from kubernetes import client
    from kubernetes.stream import portforward

    # One client a connection: `portforward` changes the one that it is given.
    core = client.CoreV1Api(client.ApiClient(cluster.access.api.configuration))
    try:
        return portforward(core.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port))
    except client.ApiException as error:
        text = " ".join(str(error.reason).split())[:300]
        raise Unreachable(f"port {port} of pod {namespace}/{pod} cannot be forwarded: {text}") from None
