"""Refusals, in the shapes CVAT gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SERVER_ERROR = (
    '\n<!doctype html>\n<html lang="en">\n<head>\n  <title>Server Error (500)</title>\n</head>\n<body>\n'
    "  <h1>Server Error (500)</h1><p></p>\n</body>\n</html>\n"
)
NOT_FOUND_PAGE = (
    '\n<!doctype html>\n<html lang="en">\n<head>\n  <title>Not Found</title>\n</head>\n<body>\n'
    "  <h1>Not Found</h1><p>The requested resource was not found on this server.</p>\n</body>\n</html>\n"
)
HTML = "text/html; charset=utf-8"


class Refusal(Exception):
    """An answer that is not a success: `body` as JSON, or as it is when `media_type` is given."""

    def __init__(
        self,
        status: int,
        body: Any,
        *,
        media_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.media_type = media_type
        self.headers = dict(headers or {})


def bad_request(body: Any) -> Refusal:
    """400; lists and objects are the server's own forms of validation errors."""
    return Refusal(400, body)


def required(*fields: str) -> Refusal:
    return bad_request({name: ["This field is required."] for name in fields})


def no_choice(field: str, value: object) -> Refusal:
    return bad_request({field: [f'"{value}" is not a valid choice.']})


def forbidden(detail: str = "You do not have permission to perform this action.") -> Refusal:
    return Refusal(403, {"detail": detail})


def absent(kind: str) -> Refusal:
    return Refusal(404, {"detail": f"No {kind} matches the given query."})


def unauthorized(detail: str = "Authentication credentials were not provided.") -> Refusal:
    return Refusal(401, {"detail": detail}, headers={"WWW-Authenticate": "Token"})


def text_page(status: int, text: str) -> Refusal:
    return Refusal(status, text, media_type=HTML)


def server_error() -> Refusal:
    """Django's page for an unhandled exception; many malformed requests end there."""
    return text_page(500, SERVER_ERROR)
