"""The images under test: built here and loaded into the cluster, or said to be there already.

`KELP_TEST_LOAD_IMAGE`: a command that makes an image of this machine's Docker known to the cluster, called with the
image's name (`kind load docker-image`, a script that pushes). Where it is set, the images are built first. Otherwise
they are taken by `KELP_TEST_IMAGE_PREFIX` and `KELP_TEST_IMAGE_TAG` from where the cluster finds them.
"""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import tarfile
from dataclasses import dataclass

from kelp import __version__
from tests.cluster.support.shell import ROOT, CommandFailed, Shell

PLATFORM = ("kelp-bridge", "kelp-yolo-onnx")
BESIDE = ("kelp-test", "kelp-postgres")
_CONTEXT = ("kelp", "demo", "tests/cluster/images", "tests/cluster/inside")
_LEFT_OUT = {"demo/weights", "demo/out"}
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_BUILD_S = 1800.0


@dataclass(frozen=True)
class Images:
    """Names are `{prefix}{name}:{tag}`."""

    prefix: str
    tag: str

    def of(self, name: str) -> str:
        return f"{self.prefix}{name}:{self.tag}"


def images(shell: Shell) -> Images:
    """What the environment says; built and loaded first where it names a way to load them."""
    found = Images(
        os.environ.get("KELP_TEST_IMAGE_PREFIX", "kn.local/"), os.environ.get("KELP_TEST_IMAGE_TAG", __version__)
    )
    load = os.environ.get("KELP_TEST_LOAD_IMAGE")
    if not load:
        return found
    build_and_load(shell, found, *PLATFORM)
    context = _context()
    for name in BESIDE:
        _build(shell, context, name, found.of(name), _arguments())
        shell.run(*shlex.split(load), found.of(name), timeout_s=600)
    return found


def build_and_load(shell: Shell, found: Images, *names: str) -> None:
    """The platform's images `names`, where images are built here at all."""
    load = os.environ.get("KELP_TEST_LOAD_IMAGE")
    if not load:
        return
    shell.run(
        "images/build.sh", "--prefix", found.prefix, "--tag", found.tag, *names,
        env={"DOCKER_BUILD_ARGS": shlex.join(_arguments())}, timeout_s=_BUILD_S,
    )  # fmt: skip
    for name in names:
        shell.run(*shlex.split(load), found.of(name), timeout_s=600)


def _arguments() -> list[str]:
    given = shlex.split(os.environ.get("DOCKER_BUILD_ARGS", ""))
    return [*given, *(f"--build-arg={name}" for name in _PROXIES if os.environ.get(name))]


def _build(shell: Shell, context: bytes, target: str, tag: str, arguments: list[str]) -> None:
    """From a context of our own: the tests' files are none of the platform's, whose .dockerignore leaves them out."""
    command = [
        os.environ.get("DOCKER", "docker"), "build", *arguments,
        "-f", "tests/cluster/images/Dockerfile", "--target", target, "-t", tag, "-",
    ]  # fmt: skip
    done = subprocess.run(command, input=context, capture_output=True, timeout=_BUILD_S, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    shell.note(f"$ {shlex.join(command)}  [{done.returncode}]\n{said[-4000:]}")
    if done.returncode:
        raise CommandFailed(f"{shlex.join(command)}: {done.returncode}\n{said[-3000:]}")


def _context() -> bytes:
    """The files of `_CONTEXT` as a tar archive that is the same for the same content."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if entry.name in _LEFT_OUT or entry.name.endswith("__pycache__"):
            return None
        entry.mtime = entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in _CONTEXT:
            archive.add(ROOT / name, name, filter=plain)
        pinned = _pinned().encode()
        entry = tarfile.TarInfo("constraints.txt")
        entry.size = len(pinned)
        archive.addfile(entry, io.BytesIO(pinned))
    return made.getvalue()


def _pinned() -> str:
    """The versions of requirements/dev.txt without what else it says: a layer is built anew only where one changes."""
    lines = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.partition(" \\")[0].strip() for line in lines if "==" in line and not line.startswith((" ", "#"))]
    return "\n".join(pins) + "\n"
