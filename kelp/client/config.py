"""What a client of V2 is told: where, with which token, and how long it may wait for what."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Configuration of all four clients. Raises ValueError where the address is none.

    url: REST: `http://host:port` or `https://…`, a path before `/v2` allowed; gRPC: `host:port`, `grpc://…`, or
        `https://…` and `grpcs://…` for TLS.
    ready_s: how long one question whether a model is ready may take before it is asked again.
    host: the name to ask for where the address is a gateway's that serves many.
    proxies: whether the environment's proxies are respected.
    token: sent as Bearer. ca: file of certificates to trust, instead of the system's.
    connect_s, read_s, write_s, pool_s: the four time-outs of one exchange: for a connection, between two bytes of an
        answer (None: whatever is left of the whole), for a write, for a free connection of the pool.
    timeout_s: how long an inference may take once the model is there. cold_start_s: how long one that is not ready, or
        not there at all, is waited for. A call ends after both together unless it is given a time of its own. One that
        fails to start is waited for only until it has failed four times in a row: the reason is then the answer.
    retries: repeats after a broken connection, a 502, a 429 or a gateway's 504. Inference changes nothing, so a repeat
        is harmless.
    backoff_s, backoff_max_s: pauses between attempts, doubled each time, with jitter; a Retry-After that asks for more
        is respected.
    binary: REST: tensors travel as bytes in both directions; False: as JSON lists, for servers that know no better.
    progress_every_s: how often `on_waiting` is called.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    ca: str | None = None
    connect_s: float = 5.0
    read_s: float | None = None
    write_s: float = 60.0
    pool_s: float = 60.0
    timeout_s: float = 30.0
    cold_start_s: float = 600.0
    retries: int = 3
    backoff_s: float = 0.1
    backoff_max_s: float = 2.0
    connections: int = 32
    max_message_bytes: int = 256 << 20
    binary: bool = True
    progress_every_s: float = 1.0
    ready_s: float = 60.0
    host: str | None = None
    proxies: bool = True

    def __post_init__(self) -> None:
        parts = urlsplit(self.url if "://" in self.url else f"grpc://{self.url}")
        if parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.hostname:
            raise ValueError(f"expected an address such as http://localhost:8100, got {self.url!r}")

    @property
    def secure(self) -> bool:
        """Whether the connection is TLS."""
        return self.url.startswith(("https://", "grpcs://"))

    @property
    def grpc_target(self) -> str:
        """`host:port`, as gRPC wants it."""
        parts = urlsplit(self.url if "://" in self.url else f"grpc://{self.url}")
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{host}:{parts.port or (443 if self.secure else 80)}"
