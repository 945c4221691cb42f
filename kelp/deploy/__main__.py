"""`python -m kelp.deploy`: what `make render` runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kelp.deploy.generate import helm
from kelp.deploy.generate.places import Places
from kelp.deploy.generate.write import from_helm, rendered
from kelp.errors import KelpError


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m kelp.deploy",
        description="Write the chart's generated files, manifests/ and each environment's objects.",
        epilog="Exit codes: 0 written, or all fresh; 1 something is not fresh (--check) or cannot be rendered.",
    )
    parser.add_argument("root", type=Path, nargs="?", default=Path(), help="the checkout (default: here)")
    parser.add_argument("--check", action="store_true", help="write nothing; say which files are not fresh")
    given = parser.parse_args()
    places = Places(given.root.resolve())
    try:
        stale = _bring(rendered(places), write=not given.check)
        if helm.is_there():
            stale += _bring(from_helm(places), write=not given.check)
        else:
            print("no helm here: manifests/ and the environments' platform/ stay as they are", file=sys.stderr)  # noqa: T201
    except KelpError as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        return 1
    for path in stale:
        print(f"{'not fresh' if given.check else 'written'}: {path.relative_to(places.root)}")  # noqa: T201
    return 1 if given.check and stale else 0


def _bring(files: dict[Path, str], *, write: bool) -> list[Path]:
    """Files that are not what they should be; written, if so asked."""
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale if write else ():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
    return stale


sys.exit(main())
