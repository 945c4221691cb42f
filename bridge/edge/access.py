"""Who may call what: a webhook needs a signature, the API a bearer token; without either, only this machine."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.types import Scope

from bridge.settings import BridgeSettings, is_loopback
from kelp.errors import Forbidden, Unauthorized


class Access:
    def __init__(self, settings: BridgeSettings) -> None:
        self.secrets = settings.secrets
        self._token = settings.api_token.get_secret_value().encode()
        self._loopback = settings.bound_to_loopback

    def check_unsigned(self, scope: Scope) -> None:
        """A webhook while no secret is configured: from this machine only."""
        if not _is_from_here(scope):
            raise Unauthorized("no webhook secret is configured (KELP_WEBHOOK_SECRETS): only this machine is served")

    def check_api(self, scope: Scope) -> None:
        """Unauthorized or Forbidden unless the caller may use the API."""
        if self._token:
            given = _header(scope, b"authorization")
            scheme, _, token = given.partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._token):
                raise Unauthorized("expected the bearer token of KELP_API_TOKEN")
            return
        if not self._loopback:
            raise Unauthorized(
                "the API is closed: KELP_API_TOKEN is not set and the bridge listens beyond this machine"
            )
        # A page that some other site shows in a browser of this machine must not reach it either.
        if not _is_from_here(scope):
            raise Forbidden("without KELP_API_TOKEN only this machine is answered")
        host = _hostname("//" + _header(scope, b"host").decode("latin-1"))
        # `null`, which a sandboxed frame or a file sends, is somebody else too.
        origin = _header(scope, b"origin").decode("latin-1")
        if not is_loopback(host) or (origin and not is_loopback(_hostname(origin))):
            raise Forbidden("without KELP_API_TOKEN only addresses of this machine are answered")


def _is_from_here(scope: Scope) -> bool:
    """Whether the caller is on this machine; what a proxy passes on may come from anywhere."""
    client = scope.get("client")
    passed_on = _header(scope, b"x-forwarded-for") or _header(scope, b"forwarded")
    return client is not None and is_loopback(client[0]) and not passed_on


def _hostname(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # brackets that are no address
        return ""


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")
