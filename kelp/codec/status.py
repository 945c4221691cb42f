"""Errors on the wire: HTTP status ↔ gRPC status, one table, and what travels beside a gRPC status.

In trailing metadata: `kelp-code` (the error's code), `kelp-image-indices` (comma list), `kelp-retry-after` (seconds).
gRPC's statuses are given by name, so that this module needs no gRPC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kelp.errors import KelpError, error_from_answer

CODE_KEY = "kelp-code"
INDICES_KEY = "kelp-image-indices"
RETRY_AFTER_KEY = "kelp-retry-after"

GRPC_OF_HTTP: dict[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""The gRPC status of each of our HTTP statuses."""

_HTTP_OF_GRPC = {
    "INVALID_ARGUMENT": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "FAILED_PRECONDITION": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


def _family(kind: type[KelpError]) -> Iterator[type[KelpError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


_HTTP_OF_CODE = {kind.default_code: kind.status for kind in _family(KelpError) if "default_code" in vars(kind)}
# Metadata of 8 KiB is all that gRPC promises to carry, and the message travels in it too.
_MAX_DETAILS = 2000
_MAX_INDICES = 3000


def grpc_status(error: KelpError) -> str:
    """The name of the gRPC status that stands for `error`."""
    return GRPC_OF_HTTP.get(error.status, "INTERNAL")


def grpc_details(error: KelpError) -> str:
    """The text that goes with the status, cut to what gRPC carries."""
    return error.message if len(error.message) <= _MAX_DETAILS else error.message[: _MAX_DETAILS - 1] + "…"


def trailing_metadata(error: KelpError) -> tuple[tuple[str, str], ...]:
    """The metadata that goes with the status; of very many image indices the first ones."""
    metadata = [(CODE_KEY, error.code)]
    if error.image_indices is not None:
        indices = ",".join(map(str, error.image_indices))
        if len(indices) > _MAX_INDICES:
            indices = indices[:_MAX_INDICES].rpartition(",")[0]
        metadata.append((INDICES_KEY, indices))
    if error.retry_after_s is not None:
        metadata.append((RETRY_AFTER_KEY, f"{error.retry_after_s:g}"))
    return tuple(metadata)


def error_from_grpc(status: str, details: str, metadata: Mapping[str, str]) -> KelpError:
    """The error that a gRPC status stands for: the class that the same failure has over REST.

    `status`: the status' name; `metadata`: trailing metadata. A status without Kelp's code is read by its name.
    """
    code = metadata.get(CODE_KEY, "")
    status_code = _HTTP_OF_GRPC.get(status, 500)
    same_status = {http for http, grpc in GRPC_OF_HTTP.items() if grpc == status}
    if _HTTP_OF_CODE.get(code) in same_status:
        status_code = _HTTP_OF_CODE[code]
    elif status == "RESOURCE_EXHAUSTED" and "larger than max" in details:
        status_code = 413  # gRPC's own refusal of a long message
    body: dict[str, object] = {"error": details or status, "code": code or None}
    if INDICES_KEY in metadata:
        body["image_indices"] = [int(i) for i in metadata[INDICES_KEY].split(",") if i.isdigit()]
    return error_from_answer(status_code, body, retry_after_s=retry_after_s(metadata.get(RETRY_AFTER_KEY)))


def retry_after_s(value: str | None) -> float | None:
    """The seconds of a Retry-After header; None where there is none, or it is a date."""
    try:
        seconds = float(value) if value is not None else -1.0
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
