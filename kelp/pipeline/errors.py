"""What can be wrong with a pipeline's file, and what CVAT says.

PipelineError    400  invalid_pipeline   a file that cannot be used: `FILE: FIELD: what is wrong`, one line a fault
CvatDown         503  cvat_unavailable   nobody answers at KELP_CVAT_URL, or it is in trouble
CvatDenied       401  cvat_denied        it does not know the account
CvatForbidden    403  cvat_forbidden     the account may not do this
CvatGone         404  cvat_gone          no such object (any more)
CvatRefused      502  cvat_refused       it refuses what was sent, or is no CVAT
"""

from __future__ import annotations

from kelp.errors import BadGateway, Forbidden, InvalidRequest, NotFound, Unauthorized, Unreachable


class PipelineError(InvalidRequest):
    default_code = "invalid_pipeline"


class CvatDown(Unreachable):
    default_code = "cvat_unavailable"


class CvatDenied(Unauthorized):
    default_code = "cvat_denied"


class CvatForbidden(Forbidden):
    default_code = "cvat_forbidden"


class CvatGone(NotFound):
    default_code = "cvat_gone"


class CvatRefused(BadGateway):
    default_code = "cvat_refused"
