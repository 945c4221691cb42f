"""What talking to CVAT can end in. `is_passing` tells what to try again from what a person must put right."""

from __future__ import annotations

from kelp.errors import BadGateway, KelpError, NotFound, Unreachable


class CvatRefused(BadGateway):
    """CVAT said no (4xx): trying again changes nothing. `cvat_status` is its status."""

    default_code = "cvat_refused"

    def __init__(self, message: str, cvat_status: int) -> None:
        super().__init__(message)
        self.cvat_status = cvat_status


class CvatGone(NotFound):
    """The job, task or project is not there (any more)."""

    default_code = "cvat_gone"


class CvatUnavailable(Unreachable):
    """CVAT does not answer, or answers with a 5xx: the same may work in a moment."""

    default_code = "cvat_unavailable"


class InDoubt(CvatUnavailable):
    """A change was sent and no clear answer came back: it may have happened, or may still happen."""

    default_code = "cvat_in_doubt"


def is_passing(error: BaseException) -> bool:
    return isinstance(error, KelpError) and error.status in {429, 503, 504}
