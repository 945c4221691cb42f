"""One error tree for both halves: every failure a caller sees has a status, a code and one JSON shape.

    KelpError                500  internal
    ├── InvalidRequest       400  invalid_request      the caller's: a malformed body, an unknown parameter
    │   └── InvalidImage     400  invalid_image        some images of the request; `image_indices` says which
    ├── Unauthorized         401  unauthorized
    ├── Forbidden            403  forbidden
    ├── NotFound             404  not_found            no such model, run, …
    ├── Conflict             409  conflict             the thing is in a state that does not allow this
    ├── TooLarge             413  too_large            body or message over the limit
    ├── QueueFull            429  queue_full
    ├── NotSupported         501  not_supported
    ├── BadGateway           502  bad_gateway          somebody behind us answered nonsense
    ├── NotReady             503  not_ready            starting, stopping, or its process died
    │   ├── OutOfMemory      503  out_of_memory        one image is too large for the device
    │   └── Unreachable      503  unreachable          no connection to the other side
    └── TooLate              504  too_late             the deadline passed

`CardError` is an `InvalidRequest` that names file, field and what was expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class KelpError(Exception):
    """Base of all errors that may be shown to a caller. `str(error)` is safe to show: no traceback, no secret."""

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        image_indices: Sequence[int] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.image_indices = None if image_indices is None else [int(i) for i in image_indices]
        self.retry_after_s = retry_after_s

    def to_json(self) -> dict[str, Any]:
        """V2's error object: `{"error": text, "code": snake_case, "image_indices"?: [int]}`."""
        body: dict[str, Any] = {"error": self.message, "code": self.code}
        if self.image_indices is not None:
            body["image_indices"] = self.image_indices
        return body


class InvalidRequest(KelpError):
    status = 400
    default_code = "invalid_request"


class InvalidImage(InvalidRequest):
    default_code = "invalid_image"


class Unauthorized(KelpError):
    status = 401
    default_code = "unauthorized"


class Forbidden(KelpError):
    status = 403
    default_code = "forbidden"


class NotFound(KelpError):
    status = 404
    default_code = "not_found"


class Conflict(KelpError):
    status = 409
    default_code = "conflict"


class TooLarge(KelpError):
    status = 413
    default_code = "too_large"


class QueueFull(KelpError):
    status = 429
    default_code = "queue_full"


class NotSupported(KelpError):
    status = 501
    default_code = "not_supported"


class BadGateway(KelpError):
    status = 502
    default_code = "bad_gateway"


class NotReady(KelpError):
    status = 503
    default_code = "not_ready"


class OutOfMemory(NotReady):
    default_code = "out_of_memory"


class Unreachable(NotReady):
    default_code = "unreachable"


class TooLate(KelpError):
    status = 504
    default_code = "too_late"


_BY_CODE: dict[str, type[KelpError]] = {
    kind.default_code: kind
    for kind in (
        KelpError, InvalidRequest, InvalidImage, Unauthorized, Forbidden, NotFound, Conflict, TooLarge, QueueFull,
        NotSupported, BadGateway, NotReady, OutOfMemory, Unreachable, TooLate,
    )
}  # fmt: skip
_BY_STATUS: dict[int, type[KelpError]] = {
    400: InvalidRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 413: TooLarge,
    429: QueueFull, 500: KelpError, 501: NotSupported, 502: BadGateway, 503: NotReady, 504: TooLate,
}  # fmt: skip


def error_from_answer(
    status: int, body: Mapping[str, Any] | None, *, fallback: str = "", retry_after_s: float | None = None
) -> KelpError:
    """The error that a server's answer stands for, so that both sides of the wire raise the same class.

    `status`: HTTP status; `body`: the decoded JSON object, if it was one (Kelp's, V2's or FastAPI's `detail`).
    """
    body = body or {}
    code = body.get("code") if isinstance(body.get("code"), str) else None
    kind = _BY_CODE.get(code) if code else None
    if kind is None or kind.status != status:
        kind = _BY_STATUS.get(status) or (InvalidRequest if 400 <= status < 500 else KelpError)
    text = body.get("error") or body.get("detail") or fallback or f"the server answered {status}"
    indices = body.get("image_indices")
    if not (isinstance(indices, list) and all(isinstance(i, int) for i in indices)):
        indices = None
    return kind(str(text), code=code, image_indices=indices, retry_after_s=retry_after_s)
