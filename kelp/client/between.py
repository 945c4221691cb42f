"""Answers that no model gave: what a gateway, Knative's activator or its queue-proxy says on the way to one.

They are told from a model's by their form: a V2 server answers with a JSON object. Their texts are those of Envoy
(`upstream …`, `no healthy upstream`), of Knative's activator and queue-proxy (`pending request queue full`,
`context deadline exceeded`, `request timeout`, Go's `dial tcp …`), and nginx' pages.

| they say | that means | so |
|---|---|---|
| no healthy upstream, connection refused, 503 | nobody is there yet, or no longer | waited for, as a cold start is |
| connection reset, disconnect, EOF, 408 | it broke under way | repeated a few times |
| 502, a strange 500, a redirect | nobody knows | repeated a few times |
| 504, upstream request timeout | the way took too long: a cold start, mostly | repeated a few times |
| queue full (503, 429) | as many wait as may | waited for; 429 a few times |
"""

from __future__ import annotations

import re

from kelp.client.errors import ConnectionBroken, GaveUpOnTheWay
from kelp.errors import BadGateway, KelpError, Unreachable, error_from_answer

_ABSENT = ("no healthy upstream", "connection refused", "connection failure", "connection timeout", "no route to host",
           "no such host", "i/o timeout", "Error getting active endpoint")  # fmt: skip
_BROKEN = ("connection termination", "remote reset", "local reset", "connection reset", "broken pipe", "EOF",
           "server closed", "downstream duration timeout")  # fmt: skip
_LATE = ("upstream request timeout", "stream timeout", "request timeout", "response timeout", "idle timeout")
_LONGEST = 200


def error_between(status: int, body: bytes | str, *, retry_after_s: float | None = None) -> KelpError:
    """The error that an HTTP answer without a V2 body stands for."""
    text = plain_text(body)
    said = f"answered {status} on the way" + (f": {text}" if text else "")
    if status < 400:  # a redirect, to a login page for instance
        return BadGateway(said)
    if status == 408 or (status in (502, 503) and _says(text, _BROKEN)):
        return ConnectionBroken(said)
    if status in (500, 502, 503) and _says(text, _ABSENT):
        return Unreachable(said)
    if status == 504:
        return GaveUpOnTheWay(said)
    if status == 500 and text not in ("", "Internal Server Error"):
        return BadGateway(said)
    return error_from_answer(status, None, fallback=said, retry_after_s=retry_after_s)


def error_between_grpc(status: str, details: str) -> KelpError | None:
    """Likewise of a gRPC status that no server of models set; None where it may be one's own.

    A gateway translates its HTTP status, or gRPC does: "Received http2 header with status: 503".
    """
    if found := re.search(r"http2 header with status: (\d{3})", details):
        return error_between(int(found[1]), details)
    if status == "UNIMPLEMENTED" and not details:  # Envoy's 404: no route leads to the model
        return error_between(404, "no route")
    if status == "UNAVAILABLE":
        if _says(details, _LATE):
            return error_between(504, details)
        if _says(details, (*_ABSENT, *_BROKEN)):
            return error_between(503, details)
    return None


def plain_text(body: bytes | str) -> str:
    """What a body says to people, on one line: of an HTML page its title, else its text."""
    text = body[:4096].decode("utf-8", "replace") if isinstance(body, bytes) else body
    if re.match(r"\s*<(!doctype|html|head|body|\?xml)", text, re.IGNORECASE):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        text = title[1] if title else re.sub(r"<[^>]*>", " ", re.sub(r"(?is)<(script|style).*?</\1>", " ", text))
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _says(text: str, words: tuple[str, ...]) -> bool:
    return any(word.lower() in text.lower() for word in words)
