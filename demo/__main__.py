"""`python -m demo [--stay] [--out FOLDER]`: Kelp's main job on one machine, start to end."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import httpx
from rich.console import Console
from rich.markup import escape

from demo.show.stage import ROOT
from demo.show.story import play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="leave everything running until Ctrl-C")
    parser.add_argument("--torch", action="store_true", help="the weights as training left them")
    parser.add_argument("--out", type=Path, default=ROOT / "demo" / "out", help="where page, pictures and logs go")
    given = parser.parse_args()
    console = Console(highlight=False)
    for ending in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: whatever was started is stopped
        signal.signal(ending, signal.default_int_handler)
    try:
        return play(given.out.resolve(), console, stay=given.stay, torch=given.torch)
    except (RuntimeError, httpx.HTTPError) as error:
        console.print(f"[red]✗[/] {escape(str(error) or type(error).__name__)}")
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; everything was stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main())
