"""Exit codes, and one clear line for every error."""

from __future__ import annotations

import sys
import traceback

from kelp.errors import Forbidden, KelpError, NotReady, TooLate, Unauthorized

OK, FAILED, USAGE, UNREACHABLE, NOT_ALLOWED, NOT_WORKING, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

EPILOG = (
    "Exit codes: 0 done; 1 it failed (an error, a failed run, a check that does not hold); 2 wrong usage, setting or "
    "card; 3 nobody answers, or not in time; 4 not allowed (the token); 5 done, but what was made does "
    "not work yet; 130 interrupted."
    "\n\n"
    "KELP_V2_URL and KELP_BRIDGE_URL say where models and bridge are, KELP_V2_TOKEN and KELP_API_TOKEN are their "
    "tokens. -v anywhere says more; -v -v shows where an error came from."
)
_WRONG_USAGE = frozenset({"invalid_setting", "invalid_card", "invalid_pipeline", "usage"})


class UsageError(KelpError):
    """What was asked for cannot be asked for."""

    status = 400
    default_code = "usage"


def exit_code(error: BaseException) -> int:
    """The code that stands for `error`."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if not isinstance(error, KelpError):
        return FAILED
    if error.code in _WRONG_USAGE:
        return USAGE
    if isinstance(error, Unauthorized | Forbidden):
        return NOT_ALLOWED
    return UNREACHABLE if isinstance(error, NotReady | TooLate) else FAILED


def report(error: BaseException, *, verbose: int) -> int:
    """Print `error` on stderr and give its exit code."""
    if verbose >= 2:
        traceback.print_exception(error, file=sys.stderr)
    elif isinstance(error, KelpError):
        print(f"kelp: {error.message}", file=sys.stderr)  # noqa: T201
    elif not isinstance(error, KeyboardInterrupt):
        what = f"{type(error).__name__}: {error}".strip().rstrip(":")
        print(f"kelp: internal error: {what} (-v -v shows where)", file=sys.stderr)  # noqa: T201
    return exit_code(error)
