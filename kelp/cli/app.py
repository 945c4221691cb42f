"""The root of the command line."""

from __future__ import annotations

import sys
from typing import Any

import typer

from kelp.cli.exits import EPILOG, INTERRUPTED, report
from kelp.cli.lazy import LazyGroup

app = typer.Typer(
    name="kelp",
    cls=LazyGroup,
    help="Vision models in CVAT: serve them, call them, annotate with them.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_verbosity = 0


@app.callback()
def _root() -> None:
    return


def verbosity() -> int:
    """How often -v was given."""
    return _verbosity


def run() -> None:
    """Run the command of `sys.argv` and end the process with its exit code."""
    global _verbosity
    arguments, _verbosity = _without_verbose(sys.argv[1:])
    try:
        _run(arguments)
    except (Exception, KeyboardInterrupt) as error:  # the last guard: a line for people instead of a traceback
        sys.exit(report(error, verbose=_verbosity))


def _run(arguments: list[str]) -> Any:
    try:
        return app(args=arguments, prog_name="kelp")
    except SystemExit as end:
        if isinstance(end.__context__, typer.Abort):
            sys.exit(INTERRUPTED)
        raise


def _without_verbose(arguments: list[str]) -> tuple[list[str], int]:
    """The arguments without -v, which may stand anywhere before `--`, and how often it was there."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    counts = {"-v": 1, "--verbose": 1, "-vv": 2}
    kept = [a for a in arguments[:end] if a not in counts]
    return kept + arguments[end:], sum(counts.get(a, 0) for a in arguments[:end])
