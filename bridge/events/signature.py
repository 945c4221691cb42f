"""The signature of a delivery: HMAC-SHA256 over its raw bytes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

HEADER = b"x-signature-256"
_PREFIX = b"sha256="


def is_signed(body: bytes, signature: bytes | None, secrets: Iterable[bytes]) -> bool:
    """Whether `signature` (`sha256=<hex>`) over `body` was made with one of `secrets`.

    All are tried in constant time each, so that a secret can be rotated: both are valid until the old one is taken out.
    """
    if signature is None or not signature.startswith(_PREFIX):
        return False
    given = signature[len(_PREFIX) :].lower()
    found = False
    for secret in secrets:
        expected = hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
        found |= hmac.compare_digest(expected, given)
    return found
