"""One model's process: started, heard, stopped. What it says on stderr is passed on, and its last words are kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kelp.local.log import relay

_LONGEST_LINE = 1 << 20


class Died(Exception):
    """The process ended; the text says how, and what it said last."""


@dataclass(frozen=True, slots=True)
class Ports:
    rest: int
    grpc: int


class Process:
    """A child that ends with us (`kelp.local.child`), leads a process group, and announces the ports it listens on."""

    def __init__(self, name: str, child: asyncio.subprocess.Process, announced: asyncio.StreamReader) -> None:
        self._name = name
        self._child = child
        self._announced = announced
        self._killed_for = ""
        self._error = ""
        self._plain = ""
        self._hearing = asyncio.create_task(self._hear())
        self.exited: asyncio.Task[int] = asyncio.create_task(self._wait())

    @classmethod
    async def start(
        cls, name: str, arguments: Callable[[int], Sequence[str]], environment: Mapping[str, str]
    ) -> Process:
        """Start `python -m ARGUMENTS…`. `arguments` gets the descriptor to announce the ports on."""
        readable, writable = os.pipe()
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "kelp.local.child", *arguments(writable),
                stdin=asyncio.subprocess.PIPE,  # the lifeline: never written to, closed when we end
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={**environment, "KELP_LOG_FORMAT": "json"},  # read here, and passed on in our own style
                pass_fds=(writable,),
                start_new_session=True,  # Ctrl-C is for us; we end our children in order
            )  # fmt: skip
        except BaseException:
            os.close(readable)
            raise
        finally:
            os.close(writable)
        announced = asyncio.StreamReader()
        pipe = os.fdopen(readable, "rb", buffering=0)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(announced), pipe)
        return cls(name, child, announced)

    @property
    def pid(self) -> int:
        return self._child.pid

    async def listening(self) -> Ports:
        """The ports, once it listens. Died where it ends before."""
        line = await self._announced.readline()
        if not line.endswith(b"\n"):
            await self.exited
            raise Died(self.last_words())
        try:
            given = json.loads(line)
            return Ports(int(given["rest"]), int(given["grpc"]))
        except (ValueError, KeyError, TypeError):
            raise Died(f"its process announced {line[:100]!r} instead of its ports") from None

    def last_words(self) -> str:
        """How it ended, and the last error that it logged."""
        if self._killed_for:
            return f"its process was ended: {self._killed_for}"
        code = self._child.returncode
        if code is None:
            how = "still runs"
        elif code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
            how += " (out of memory?)" if code == -signal.SIGKILL else ""
        else:
            how = f"ended with exit code {code}"
        said = self._last_error()
        return f"its process {how}{f': {said}' if said else ''}"

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, after `grace_s` SIGKILL to its whole group; returns when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._child.terminate()
        await asyncio.wait({self.exited}, timeout=grace_s)
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL to the process and whatever it has started; returns when it is gone."""
        if not self.exited.done():
            self._kill_group()
        await asyncio.wait({self.exited})

    def kill_now(self, why: str) -> None:
        """The same without waiting; `why` is told as its last words."""
        if not self.exited.done():
            self._killed_for = why
            self._kill_group()

    async def _wait(self) -> int:
        code = await self._child.wait()
        self._kill_group()  # what it has started and not ended
        await asyncio.wait({self._hearing}, timeout=1.0)
        self._hearing.cancel()
        return code

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)

    async def _hear(self) -> None:
        assert self._child.stderr is not None
        rest = b""
        while data := await self._child.stderr.read(1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._line(line)
            if len(rest) > _LONGEST_LINE:
                self._line(rest)
                rest = b""
        if rest:
            self._line(rest)

    def _line(self, raw: bytes) -> None:
        line = raw.decode("utf-8", "replace")
        said = relay(self._name, line)
        if said is None and line.strip():
            self._plain = line.strip()
        elif said is not None and said.get("error"):
            self._error = str(said["error"])

    def _last_error(self) -> str:
        """The `error` of its last log line that has one, else the last line that is no log."""
        return (self._error or self._plain)[:500]
