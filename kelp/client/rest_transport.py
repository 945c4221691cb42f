"""What the two REST clients share of httpx: its settings, and what its errors mean."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.request import getproxies

import httpx

from kelp.client.config import ClientConfig
from kelp.client.errors import ConnectionBroken, MalformedAnswer, NotTrusted
from kelp.errors import KelpError, TooLate, Unreachable

# Below the 5 s after which uvicorn closes an idle connection: a request never meets one that is being closed.
_KEEP_ALIVE_S = 4.0


def client_options(config: ClientConfig, headers: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of httpx.Client and httpx.AsyncClient. Proxies and certificates of the environment are respected."""
    return {
        "base_url": config.url,
        "headers": {**headers, "host": config.host} if config.host else headers,
        "limits": httpx.Limits(
            max_connections=config.connections,
            max_keepalive_connections=config.connections,
            keepalive_expiry=_KEEP_ALIVE_S,
        ),
        "verify": _trusted(config),
        "follow_redirects": False,
        "trust_env": config.proxies,
    }


def _trusted(config: ClientConfig) -> ssl.SSLContext | bool:
    """What TLS trusts; True: httpx's default, which reads SSL_CERT_FILE. Plain HTTP needs no certificates to be read
    (a tenth of a second), so it gets a context that trusts nobody."""
    if config.ca:
        return ssl.create_default_context(cafile=config.ca)
    if config.secure or (config.proxies and any(proxy.startswith("https://") for proxy in getproxies().values())):
        return True
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def timeouts(config: ClientConfig, left_s: float) -> httpx.Timeout:
    """The four time-outs of one exchange, none longer than what is left of the whole."""
    return httpx.Timeout(
        connect=min(config.connect_s, left_s),
        read=left_s if config.read_s is None else min(config.read_s, left_s),
        write=min(config.write_s, left_s),
        pool=min(config.pool_s, left_s),
    )


def error_of(error: httpx.HTTPError, url: str) -> KelpError:
    """The error of Kelp's tree that stands for one of httpx's."""
    text = f"{url}: {error}" if str(error) else f"{url}: {type(error).__name__}"
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)):
        return NotTrusted(text) if _is_about_trust(error) else Unreachable(text)
    if isinstance(error, httpx.PoolTimeout):
        return TooLate(f"{url}: no connection of the pool became free in time")
    if isinstance(error, httpx.TimeoutException):
        return TooLate(f"{url}: no answer in time ({type(error).__name__})")
    if isinstance(error, httpx.DecodingError):
        return MalformedAnswer(text)
    return ConnectionBroken(text)


def _is_about_trust(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def late(url: str, timeout_s: float) -> TooLate:
    """The error for an answer that did not end within the whole time."""
    return TooLate(f"{url}: no whole answer within {timeout_s:.3g} s")
