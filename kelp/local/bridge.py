"""The bridge beside the models: a process of its own, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from kelp.local.lifecycle import STEADY_S, pause_after
from kelp.local.log import event, relay
from kelp.local.pidfiles import PidFiles

MODULE = "bridge"
WRONG_SETTINGS = 2
"""The bridge's exit code for settings that it cannot work with, a taken port among them."""
_GRACE_S = 20.0
_LONGEST_LINE = 1 << 20


class BridgeProcess:
    """Runs `python -m bridge` until `stop`; what it says on stderr is passed on."""

    def __init__(self, v2_url: str, v2_token: str | None, pids: PidFiles) -> None:
        self._environment = {**os.environ, "KELP_V2_URL": v2_url}
        if v2_token is not None:
            self._environment["KELP_V2_TOKEN"] = v2_token
        self._pids = pids
        self._child: asyncio.subprocess.Process | None = None
        self._record: Path | None = None
        self._task: asyncio.Task[None] | None = None
        self._hearing: asyncio.Task[None] | None = None
        self.refused = asyncio.Event()
        """Set when the bridge will not start with these settings; it has said why, on stderr."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_running(), name="bridge")

    async def stop(self, *, at_once: bool = False) -> None:
        """SIGTERM, after a while SIGKILL; returns when it is gone."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        child = self._child
        if child is None or child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        try:
            async with asyncio.timeout(0 if at_once else _GRACE_S):
                await child.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
        if self._hearing is not None:
            await asyncio.wait({self._hearing}, timeout=1.0)
        if self._record is not None:
            self._record.unlink(missing_ok=True)

    async def _keep_running(self) -> None:
        failures = 0
        was_sound = False
        clock = asyncio.get_running_loop().time
        while True:
            begun = clock()
            code = await self._run_once()
            steady = clock() - begun >= STEADY_S
            was_sound = was_sound or steady
            if code == WRONG_SETTINGS and not was_sound:
                self.refused.set()
                return
            failures = 1 if steady else failures + 1
            pause = pause_after(failures)
            event("bridge_ended", level="error", exit_code=code, again_in_s=pause)
            await asyncio.sleep(pause)

    async def _run_once(self) -> int:
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "kelp.local.child", MODULE,
            stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=self._environment,
            start_new_session=True, limit=_LONGEST_LINE,
        )  # fmt: skip
        self._record = self._pids.write("bridge", self._child.pid, MODULE)
        event("bridge_started", pid=self._child.pid)
        # A task of its own: it is heard to its end also while it is being stopped, or a full pipe would hold it up.
        self._hearing = asyncio.create_task(_hear(self._child), name="hear the bridge")
        code = await self._child.wait()
        await asyncio.wait({self._hearing}, timeout=1.0)
        self._record.unlink(missing_ok=True)
        return code


async def _hear(child: asyncio.subprocess.Process) -> None:
    assert child.stderr is not None
    while True:
        try:
            line = await child.stderr.readline()
        except ValueError:  # longer than any line of ours; the stream has dropped it
            continue
        if not line:
            return
        relay(MODULE, line.rstrip(b"\n").decode("utf-8", "replace"))
