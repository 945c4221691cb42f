"""The command line. `main` is the console script; commands are imported when they run."""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name, and end the process with its exit code."""
    from kelp.cli.app import run

    run()
