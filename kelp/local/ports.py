"""Listening sockets, and who holds the port if it is taken."""

from __future__ import annotations

import errno
import ipaddress
import socket

from kelp.errors import Conflict


class PortTaken(Conflict):
    """A port that is in use: names the port, its setting and, where it can be seen, its holder."""

    default_code = "port_taken"


def listen(host: str, port: int, *, setting: str) -> socket.socket:
    """A socket that listens on `host`:`port` (0: any free one). PortTaken where another process has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        # SO_REUSEADDR lets two sockets share a port until one listens.
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise _explained(error, host, port, setting) from None
    sock.setblocking(False)
    return sock


def check_free(host: str, port: int, *, setting: str) -> None:
    """PortTaken if `host`:`port` cannot be listened on now; for servers that open their sockets themselves."""
    if port:
        listen(host, port, setting=setting).close()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def holder_of(port: int) -> str | None:
    """`process 4711 (nginx)`, or None where the system does not show it to us."""
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr[1] == port
            if listens and connection.pid:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except (psutil.Error, OSError):
        return None
    return None


def _explained(error: OSError, host: str, port: int, setting: str) -> Exception:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port)
        return PortTaken(f"port {port} is taken{f' by {holder}' if holder else ''}; {setting} chooses another")
    return PortTaken(f"port {port} on {host} cannot be opened: {error.strerror}; {setting} chooses another")
