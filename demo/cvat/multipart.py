"""multipart/form-data, as clients upload files with it (RFC 7578)."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message

from demo.cvat.errors import bad_request


@dataclass(frozen=True)
class Part:
    name: str
    filename: str | None
    content: bytes


def parse(content_type: str, body: bytes) -> list[Part]:
    """The parts of `body`. Raises 400 where it is not what its content type says."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise bad_request({"detail": "Multipart form parse error - Invalid boundary in multipart: None"})
    parts: list[Part] = []
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:]:
        if piece.startswith(b"--"):
            return parts
        head, found, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not found:
            break
        fields = Message()
        for line in head.decode().splitlines():
            key, _, value = line.partition(":")
            fields[key.strip()] = value.strip()
        name = fields.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            break
        parts.append(Part(name, fields.get_filename(), content))
    raise bad_request({"detail": "Multipart form parse error - the body ends too early"})
