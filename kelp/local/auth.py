"""Who may call the endpoint: everybody on this machine; from elsewhere only who brings the token."""

from __future__ import annotations

import hmac

from kelp.errors import Unauthorized


class Guard:
    """token: None where only this machine can reach the endpoint."""

    def __init__(self, token: str | None) -> None:
        self._expected = None if token is None else f"Bearer {token}".encode()

    def check(self, authorization: bytes | None) -> None:
        """Unauthorized unless `authorization` is what an `Authorization` header has to be."""
        if self._expected is None:
            return
        if authorization is None or not hmac.compare_digest(authorization, self._expected):
            raise Unauthorized("expected the header Authorization: Bearer KELP_API_TOKEN")
