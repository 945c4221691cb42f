"""The command line as people run it, against a real `kelp up` with its bridge and a CVAT."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest

from kelp.cli import main
from tests.local.conftest import ROOT, Up, starter, write_card
from tests.support.cvat import cvat, cvat_server  # noqa: F401
from tests.support.predictor import NUMPY_RUNTIME


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Kelp = Callable[..., Done]


def run_process(*arguments: object, **environment: str) -> Done:
    """`kelp ARGUMENTS…` as a process, with only these KELP_… variables."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("KELP_")}
    command = [sys.executable, "-m", "kelp.cli", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, env={**variables, **environment}, capture_output=True, text=True, timeout=120, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def run_kelp(*arguments: object, **environment: str) -> Done:
    """The same in this process, which saves the imports; not for commands that become another program."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("KELP_")}
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        mock.patch.dict(os.environ, {**variables, **environment}, clear=True),
        mock.patch.object(sys, "argv", ["kelp", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    assert isinstance(code, int)
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def platform(tmp_path_factory, cvat_server) -> Iterator[Up]:  # noqa: F811
    folder: Path = tmp_path_factory.mktemp("platform")
    write_card(folder / "models", "reef", title="The reef")
    write_card(folder / "models", "slow", settings={"delay_s": 2.0})
    write_card(folder / "models", "broken", weights={"uri": "no-such-file.pt"})
    write_card(folder / "models", "painter", title="Paints", task="inpaint", labels=[])
    with socket.socket() as probe:  # the same after a restart of the bridge, so not "any"
        probe.bind(("127.0.0.1", 0))
        bridge_port = probe.getsockname()[1]
    with starter(folder) as start:
        up = start(
            [sys.executable, "-m", "kelp.cli", "up"],
            **NUMPY_RUNTIME,
            KELP_PORT=str(bridge_port),
            KELP_METRICS_PORT="0",
            KELP_DATABASE_URL=f"sqlite:///{folder / 'bridge.db'}",
            KELP_CVAT_URL=cvat_server.url,
            KELP_CVAT_USER=cvat_server.user,
            KELP_CVAT_PASSWORD=cvat_server.password,
        )
        up.wait_for("listening", listener="main")
        up.bridge_url, up.models = f"http://127.0.0.1:{bridge_port}", folder / "models"
        yield up


@pytest.fixture
def kelp(platform) -> Kelp:
    """`kelp`, told where the platform is."""

    def run(*arguments: object, **environment: str) -> Done:
        return run_kelp(
            *arguments, **{"KELP_V2_URL": platform.url, "KELP_BRIDGE_URL": platform.bridge_url, **environment}
        )

    return run
