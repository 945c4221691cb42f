"""A command in a pod, with bytes for its standard input."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import yaml

from kelp.deploy.cluster.api import Cluster
from kelp.errors import Unreachable


def execute(
    cluster: Cluster, pod: str, container: str, command: list[str], *, content: Iterable[bytes] | None, answer_s: float
) -> tuple[int | None, str, str]:
    """(exit code, None where the connection broke before it was known; stdout; stderr).

    `content` is all that the command may read: the protocol cannot close standard input on every server, so the
    command has to know how much comes. `answer_s`: how long it may take after that.
    """
    socket = _open(cluster, pod, container, command, stdin=content is not None)
    out, error = b"", b""
    try:
        for piece in content or ():
            socket.write_stdin(piece)
            if not socket.is_open():
                break
            socket.update(timeout=0)
        ends = time.monotonic() + answer_s
        while socket.is_open() and time.monotonic() < ends:
            socket.update(timeout=1.0)
            out += socket.read_stdout(timeout=0) if socket.peek_stdout() else b""
            error += socket.read_stderr(timeout=0) if socket.peek_stderr() else b""
        out += socket.read_channel(1)
        error += socket.read_channel(2)
        return _exit_code(socket.read_channel(3)), _text(out), _text(error)
    except Exception as broken:  # websocket's, ssl's and the socket's own errors all mean that the connection is gone
        return None, _text(out), f"{_text(error)}\n{broken}"
    finally:
        socket.close()


def _open(cluster: Cluster, pod: str, container: str, command: list[str], *, stdin: bool) -> Any:
    from kubernetes import client
    from kubernetes.stream import stream

    # One client a connection: `stream` changes the one that it is given.
    core = client.CoreV1Api(client.ApiClient(cluster.access.api.configuration))
    try:
        return stream(
            core.connect_get_namespaced_pod_exec, pod, cluster.namespace, container=container, command=command,
            stdin=stdin, stdout=True, stderr=True, tty=False, _preload_content=False, binary=True,
        )  # fmt: skip
    except client.ApiException as error:
        raise Unreachable(f"pod {pod}: no command can be run in it: {str(error.reason).strip()[:300]}") from None


def _exit_code(raw: bytes) -> int | None:
    """Of the status object that ends the connection. Source: Kubernetes' remotecommand protocol, v4."""
    try:
        status = yaml.safe_load(raw) or {}
        if status.get("status") == "Success":
            return 0
        causes = (status.get("details") or {}).get("causes") or ()
        return next(int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode")
    except (yaml.YAMLError, AttributeError, ValueError, StopIteration, KeyError):
        return None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
