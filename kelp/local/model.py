"""One model of `kelp up`: asleep until somebody asks for it, awake while somebody does, mended when it dies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from kelp.card.metadata import State
from kelp.errors import KelpError, NotFound, NotReady, QueueFull, TooLate
from kelp.local.budget import Cost
from kelp.local.cards import CardFile
from kelp.local.lifecycle import Lifecycle, Phase
from kelp.local.liveness import until_hung
from kelp.local.log import event
from kelp.local.metrics import Metrics
from kelp.local.process import Died
from kelp.local.rooms import OverBudget, Rooms
from kelp.local.start import Running, Starter

STOP_GRACE_S = 10.0


class _Replaced(Exception):
    """The model's card has changed while somebody waited for it."""

    def __init__(self, by: ServedModel) -> None:
        super().__init__(by.name)
        self.by = by


class ServedModel:
    """The lifecycle (pure) joined to processes, timers and the callers that wait."""

    def __init__(self, file: CardFile, cost: Cost, rooms: Rooms, starter: Starter, metrics: Metrics) -> None:
        self.file = file
        self.card = file.card
        self.name = file.card.model_name
        self.cost = cost
        self._rooms = rooms
        self._starter = starter
        self._metrics = metrics
        self._life = Lifecycle(always_on=self.card.scale.min > 0, retention_s=self.card.scale.retention)
        self._loop = asyncio.get_running_loop()
        self._waiters: set[asyncio.Future[None]] = set()
        self._running: Running | None = None
        self._starting: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_room = False
        self._fails_as = "failing"
        self._closed = False
        self._before: asyncio.Task[None] | None = None
        self._successor: ServedModel | None = None
        self._retired = False
        self._calm = asyncio.Event()

    # What others see of it.

    @property
    def state(self) -> State:
        return self._life.state

    @property
    def reason(self) -> str:
        """Why it fails, or how far its start has come; empty where there is nothing to say."""
        if self._life.phase is Phase.STARTING:
            return self._starter.progress_of(self.name) if self._has_room else self._why_no_room()
        return self._life.reason if self._life.phase is Phase.FAILING else ""

    @property
    def kept(self) -> bool:
        return self._life.always_on

    def idle_s(self) -> float | None:
        return self._life.idle_s(self._loop.time())

    # What callers do with it.

    @contextlib.asynccontextmanager
    async def use(self) -> AsyncIterator[Running]:
        """Its process, awake; woken if need be, and not put to sleep before the end of the block.

        NotReady where it fails, QueueFull where too many wait, TooLate after the card's `start_timeout`, NotFound where
        its card is taken away meanwhile.
        """
        model = self
        while True:
            try:
                running = await model._awake()
            except _Replaced as replaced:
                model = replaced.by
            else:
                break
        model._life.begins_request(model._loop.time())
        try:
            yield running
        finally:
            model._life.ends_request(model._loop.time())
            model._calm.set()
            model._rooms.changed()
            model._plan()

    async def why_it_broke(self, running: Running) -> KelpError:
        """What to tell a caller whose connection to `running` broke."""
        await asyncio.wait({running.process.exited}, timeout=1.0)
        if running.process.exited.done():
            return NotReady(f"model '{self.name}' died during this request: {running.process.last_words()}")
        return NotReady(f"model '{self.name}' broke the connection during this request")

    async def fall_asleep(self, why: str) -> None:
        """Stop its process if it is idle; returns when that is gone."""
        if self.idle_s() is not None:
            self._stop(why)
        if self._stopping is not None:
            await asyncio.shield(self._stopping)

    def keep_awake(self) -> None:
        """Start it now if `scale.min` wants it to run always."""
        if self._life.always_on:
            self._start()

    def refuse(self) -> None:
        """From now on nothing wakes it, and nobody waits for it; requests under way go on."""
        self._closed = True
        self._cancel_timer()
        if self._starting is not None:
            self._starting.cancel()
        self._tell_waiters(NotReady("kelp up is stopping"))

    def follow(self, former: ServedModel) -> asyncio.Task[None]:
        """Take the place of `former`, whose card has changed: who waits for that waits for this one, and this starts
        when its process is gone, which the task tells."""
        self._before = asyncio.create_task(former.retire(self), name=f"retire {self.name}")
        return self._before

    async def retire(self, successor: ServedModel | None) -> None:
        """Take no new requests, let those under way go on to their end, and end the process."""
        self._successor = successor
        self._closed = self._retired = True
        self._cancel_timer()
        if self._starting is not None:
            self._starting.cancel()
        self._tell_waiters(self._why_closed())
        limits = self.card.limits
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.queue_seconds + limits.request_seconds):
                while self._life.in_flight:
                    self._calm.clear()
                    await self._calm.wait()
        await self.close("its card has changed" if successor is not None else "its card is gone")

    def _why_closed(self) -> Exception:
        if self._successor is not None:
            return _Replaced(self._successor)
        return NotFound(f"no model '{self.name}' any more: its card is gone")

    async def close(self, why: str = "kelp up is stopping") -> None:
        """End its process, whatever it is doing."""
        self.refuse()
        if self._starting is not None:
            await asyncio.wait({self._starting})
        if self._life.phase is Phase.READY:
            self._stop(why)
        if self._stopping is not None:
            await self._stopping

    # Waking.

    async def _awake(self) -> Running:
        life = self._life
        deadline = self._loop.time() + self.card.start_timeout
        while life.phase is not Phase.READY or self._running is None or self._retired:
            if self._retired:
                raise self._why_closed()
            pause = life.must_wait(self._loop.time())
            if self._closed or pause:
                text = f"model '{self.name}' is failing: {life.reason}" if pause else "kelp up is stopping"
                raise NotReady(text, code=self._fails_as if pause else None, retry_after_s=pause or None)
            if life.waiting >= self.card.limits.queue_requests:
                raise QueueFull(f"{life.waiting} requests wait for model '{self.name}' to start", retry_after_s=1.0)
            if life.phase in {Phase.ASLEEP, Phase.FAILING}:
                self._start()
            await self._wait(deadline)
        self._cancel_timer()
        return self._running

    async def _wait(self, deadline: float) -> None:
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.add(waiter)
        self._life.waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                await waiter
        except TimeoutError:
            told = f": {self.reason}" if self.reason else ""
            raise TooLate(f"model '{self.name}' was not ready within {self.card.start_timeout:g} s{told}") from None
        finally:
            self._waiters.discard(waiter)
            self._life.waiting -= 1
            if not self._life.waiting and self._starting and not self._has_room and not self.kept:
                self._starting.cancel()  # nobody wants it any more, and it has taken nothing yet

    def _tell_waiters(self, error: Exception | None = None) -> None:
        for waiter in tuple(self._waiters):
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    def _start(self) -> None:
        self._cancel_timer()
        self._life.starts()
        self._has_room = False
        self._starting = asyncio.create_task(self._run_start(), name=f"start {self.name}")

    async def _run_start(self) -> None:
        begun = self._loop.time()
        event("model_starting", model=self.name)
        try:
            if self._before is not None:
                await asyncio.shield(self._before)
            await self._rooms.enter(self)
            self._has_room = True
            running = await self._starter.start(self.file, self.cost.gpus)
        except asyncio.CancelledError:
            if self._before is None or self._before.done():  # else the room is still its predecessor's
                self._rooms.leave(self.name)
            self._life.gives_up_start()
            event("model_start_given_up", model=self.name)
            self._tell_waiters()  # whoever came at the last moment starts it again
            raise
        except Exception as error:  # whatever it was: those who wait must hear of it, and the next start is its own
            self._rooms.leave(self.name)
            known = isinstance(error, (KelpError, Died, OSError))
            told = str(error) if known else f"{type(error).__name__}: {error}"
            self._failed(told, OverBudget.default_code if isinstance(error, OverBudget) else "failing")
        else:
            seconds = self._loop.time() - begun
            self._running = running
            self._watching = asyncio.create_task(self._watch(running), name=f"watch {self.name}")
            self._life.becomes_ready(self._loop.time())
            self._metrics.cold_start(self.name, seconds)
            event("model_ready", model=self.name, seconds=round(seconds, 3), pid=running.process.pid)
            self._tell_waiters()
            self._plan()
        finally:
            self._starting = None

    # Sleeping, and dying.

    def _plan(self) -> None:
        """Set the clock for whatever comes next by itself: falling asleep, or another try."""
        self._cancel_timer()
        at = self._life.sleeps_at() or self._life.restarts_at()
        if at is not None and not self._closed:
            self._timer = self._loop.call_at(at, self._act)

    def _act(self) -> None:
        now = self._loop.time()
        sleeps_at, restarts_at = self._life.sleeps_at(), self._life.restarts_at()
        if sleeps_at is not None and sleeps_at <= now:
            self._stop(f"idle for {self._life.retention_s:g} s")
        elif restarts_at is not None and restarts_at <= now:
            self._start()
        else:
            self._plan()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop(self, why: str) -> None:
        self._cancel_timer()
        self._life.stops()
        self._stopping = asyncio.create_task(self._run_stop(why), name=f"stop {self.name}")

    async def _run_stop(self, why: str) -> None:
        running, self._running = self._running, None
        assert running is not None
        await running.close(STOP_GRACE_S)
        self._life.sleeps()
        self._rooms.leave(self.name)
        self._stopping = None
        self._metrics.stopped(self.name)
        event("model_asleep", model=self.name, why=why)
        self._tell_waiters()  # they look again, and wake it

    async def _watch(self, running: Running) -> None:
        hung = asyncio.create_task(until_hung(running.pool))
        await asyncio.wait({running.process.exited, hung}, return_when=asyncio.FIRST_COMPLETED)
        if self._running is not running:
            hung.cancel()
            return  # it was stopped
        if not hung.cancel():
            running.process.kill_now(hung.result())
        self._running = None
        self._rooms.leave(self.name)
        self._failed(running.process.last_words())  # before anything is awaited: nobody may take it for ready
        await running.close(0.0)

    def _failed(self, reason: str, code: str = "failing") -> None:
        self._fails_as = code
        self._life.fails(self._loop.time(), reason)
        self._metrics.failed(self.name)
        pause = self._life.must_wait(self._loop.time())
        event("model_failed", level="error", model=self.name, error=reason, again_in_s=round(pause, 1))
        error = NotReady(f"model '{self.name}' did not start: {reason}", code=code, retry_after_s=pause)
        self._tell_waiters(error)
        self._plan()

    def _why_no_room(self) -> str:
        busy = self._rooms.busy()
        return f"waiting for room; busy: {', '.join(busy)}" if busy else "waiting for room"
