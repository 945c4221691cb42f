"""Listening sockets, and who holds the port if it is taken."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from pathlib import Path

from kelp.errors import Conflict

_LISTEN = "0A"  # of a socket's states in /proc/net/tcp


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
    if Path("/proc/net/tcp").exists():
        return _holder_by_proc(port)
    with contextlib.suppress(Exception):  # whatever it is that it cannot see: the port is taken all the same
        import psutil

        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr[1] == port
            if listens and connection.pid:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return None


def _holder_by_proc(port: int) -> str | None:
    """Linux: the process that has a listening socket of `port` open. Source: proc_pid_net(5), proc_pid_fd(5)."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                return f"process {process.name} ({(process / 'comm').read_text().strip()})"
    return None


def taken(port: int, setting: str) -> PortTaken:
    """The error for a port that another process has."""
    holder = holder_of(port)
    return PortTaken(f"port {port} is taken{f' by {holder}' if holder else ''}; {setting} chooses another")


def _explained(error: OSError, host: str, port: int, setting: str) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return taken(port, setting)
    return PortTaken(f"port {port} on {host} cannot be opened: {error.strerror}; {setting} chooses another")
