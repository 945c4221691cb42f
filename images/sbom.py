"""`python images/sbom.py [--out DIR] [IMAGE…]`: what is in each image, as CycloneDX, from the lock it is built from.

A lock holds for every Python and system; the bill names what of it lands in the image: CPython of the Dockerfile's base
on 64-bit Linux, each package with the hashes that the build demands.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

from kelp import __version__

ROOT = Path(__file__).parents[1]
CYCLONEDX = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py"]


def components() -> dict[str, str]:
    """Image → name of its requirements, from the one table there is."""
    listed = subprocess.run([ROOT / "images/build.sh", "--list"], capture_output=True, text=True, check=True)
    return {line.split()[0]: line.split()[2] for line in listed.stdout.splitlines()}


def python_version() -> str:
    """The base image's Python, such as 3.11."""
    found = re.search(r"^ARG BASE=python:(\d+\.\d+)", (ROOT / "images/Dockerfile").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit("images/Dockerfile: expected a line ARG BASE=python:VERSION")
    return found[1]


def lands_in_the_image(requirement: str, python: str) -> bool:
    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate(
        {
            "python_version": python,
            "python_full_version": f"{python}.99",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "os_name": "posix",
            "platform_machine": "x86_64",
        }
    )


def entries(lock: str) -> list[str]:
    """The lock's requirements, each with its hashes as one logical line."""
    lines = [line for line in lock.splitlines() if line and not line.lstrip().startswith("#")]
    return "\n".join(lines).replace("\\\n", " ").splitlines()


def main() -> None:
    table = components()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"of {', '.join(table)}; default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "sbom", help="folder (%(default)s)")
    given = parser.parse_args()
    if unknown := sorted(set(given.images) - set(table)):
        parser.error(f"no image {unknown[0]}; there are: {', '.join(table)}")
    given.out.mkdir(parents=True, exist_ok=True)
    python = python_version()
    for image in given.images or table:
        lock = (ROOT / "requirements" / f"{table[image]}.txt").read_text(encoding="utf-8")
        kept = [line for line in entries(lock) if lands_in_the_image(line.split(" --hash")[0], python)]
        path = given.out / f"{image}.cdx.json"
        project = ["--pyproject", ROOT / "pyproject.toml"]
        bill = subprocess.run(
            [*CYCLONEDX, "requirements", "--output-reproducible", "--short-PURLs", *project, "-"],
            input="\n".join(kept) + "\n",
            text=True,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        described = json.loads(bill)
        described["metadata"]["component"] |= {"name": image, "version": __version__}
        path.write_text(json.dumps(described, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        sys.stdout.write(f"{path}: {len(kept)} packages\n")


if __name__ == "__main__":
    main()
