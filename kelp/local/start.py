"""From a card to a process that answers: weights, a GPU, the process, its first readiness."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kelp.card import Card
from kelp.card.quantity import parse_size
from kelp.errors import KelpError
from kelp.local import gpus
from kelp.local.cards import CardFile
from kelp.local.labels import Labels
from kelp.local.log import event
from kelp.local.pidfiles import PidFiles
from kelp.local.process import Died, Ports, Process
from kelp.local.upstream import Broken, Pool, get
from kelp.weights import fetch, is_cached

MODULE = "predictors.serving"
# Models know no CVAT, no database and nobody's tokens.
_NOT_FOR_MODELS = ("KELP_CVAT_", "KELP_WEBHOOK_", "KELP_API_TOKEN", "KELP_V2_TOKEN", "KELP_DATABASE_URL")
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.01, 0.05

ServeArguments = Callable[[CardFile, int], Sequence[str]]
"""(card, descriptor to announce on) → module and arguments of the process that serves it."""


def serve_arguments(file: CardFile, announce: int) -> Sequence[str]:
    where = ["--host", "127.0.0.1", "--port", "0", "--grpc-port", "0", "--announce", str(announce)]
    return [MODULE, str(file.path), *where]


@dataclass(slots=True)
class Running:
    """A model's process that answers."""

    process: Process
    ports: Ports
    pool: Pool
    record: Path
    infer: Any = None  # the gRPC call of this process, once somebody has used it
    closers: list[Callable[[], Any]] = field(default_factory=list)

    async def close(self, grace_s: float) -> None:
        """Stop the process and break what is connected to it; returns when it is gone."""
        await self.process.stop(grace_s)
        self.pool.close()
        for close in self.closers:
            await close()
        self.record.unlink(missing_ok=True)


class Starter:
    """Starts processes; the only part that knows the file system and the devices."""

    def __init__(
        self, cache: Path, pids: PidFiles, labels: Labels, arguments: ServeArguments = serve_arguments
    ) -> None:
        self._cache = cache
        self._pids = pids
        self._labels = labels
        self._arguments = arguments
        self._progress: dict[str, str] = {}
        self._taking: dict[str, tuple[tuple[str, ...], int]] = {}  # model → devices, bytes: not yet shown by the driver

    def progress_of(self, name: str) -> str:
        """How far a start has come, for people."""
        return self._progress.get(name, "")

    async def start(self, file: CardFile, gpu_count: int) -> Running:
        """A process that is ready. KelpError or Died says why there is none; nothing is left of it then."""
        card = file.card
        name = card.model_name
        try:
            if not is_cached(card, self._cache):
                event("weights_fetching", model=name)
                self._progress[name] = "fetching weights"
                await self._fetch(card)
            self._progress[name] = "loading"
            async with asyncio.timeout(card.start_timeout):
                return await self._ready_process(file, await self._environment(card, gpu_count))
        except TimeoutError:
            raise Died(f"it was not ready within {card.start_timeout:g} s") from None
        finally:
            self._progress.pop(name, None)
            self._taking.pop(name, None)

    async def _ready_process(self, file: CardFile, environment: dict[str, str]) -> Running:
        name = file.card.model_name
        process = await Process.start(name, lambda announce: self._arguments(file, announce), environment)
        record = pool = None
        try:
            record = self._pids.write(name, process.pid, self._arguments(file, 0)[0])
            ports = await process.listening()
            pool = Pool(ports.rest)
            await _until_ready(process, pool)
            await self._labels.learn(file.card, pool)
        except BaseException:
            if pool is not None:
                pool.close()
            await asyncio.shield(process.kill())
            if record is not None:
                record.unlink(missing_ok=True)
            raise
        return Running(process, ports, pool, record)

    async def _environment(self, card: Card, gpu_count: int) -> dict[str, str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_FOR_MODELS)}
        environment["KELP_CACHE"] = str(self._cache)
        if card.device == "cpu":
            environment["CUDA_VISIBLE_DEVICES"] = ""
        elif gpu_count:
            devices = await asyncio.to_thread(gpus.list_devices)
            chosen = gpus.choose(devices, gpu_count, self._starting())
            if chosen:
                memory = card.resources.requests.memory
                self._taking[card.model_name] = (chosen, parse_size(memory) if memory else 0)
                environment["CUDA_VISIBLE_DEVICES"] = ",".join(chosen)
        return environment

    def _starting(self) -> dict[str, int]:
        taken: dict[str, int] = {}
        for devices, size in self._taking.values():
            for device in devices:
                taken[device] = taken.get(device, 0) + size
        return taken

    async def _fetch(self, card: Card) -> None:
        """In a thread of its own, which ends with this process at any moment: a transfer is resumed next time."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        gone = threading.Event()

        def progress(name: str, so_far: int, total: int | None) -> None:
            if gone.is_set():
                raise KelpError("nobody waits for these weights any more")
            of = f" of {total / 1e6:.1f}" if total else ""
            self._progress[card.model_name] = f"fetching {name}: {so_far / 1e6:.1f}{of} MB"

        def finish(error: Exception | None) -> None:
            if not done.done():
                done.set_exception(error) if error else done.set_result(None)

        def work() -> None:
            failure: Exception | None = None
            try:
                fetch(card, self._cache, progress)
            except Exception as error:  # whatever it is, the one who waits has to learn it
                failure = error if isinstance(error, KelpError) else KelpError(f"{type(error).__name__}: {error}")
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(finish, failure)

        threading.Thread(target=work, name=f"fetch {card.model_name}", daemon=True).start()
        try:
            await done
        finally:
            gone.set()


async def _until_ready(process: Process, pool: Pool) -> None:
    """Returns when `/v2/health/ready` says so; Died where the process ends before."""
    pause = _FIRST_LOOK_S
    while True:
        try:
            status, _ = await get(pool, "/v2/health/ready")
        except (OSError, Broken):
            status = 0
        if status == 200:
            return
        await asyncio.wait({process.exited}, timeout=pause)
        if process.exited.done():
            raise Died(process.last_words())
        pause = min(_LONGEST_LOOK_S, pause * 1.5)
