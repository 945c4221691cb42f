"""Making a task's frames and jobs from its uploaded files, by two workers in the background."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from demo.cvat import clock, media
from demo.cvat.deliveries import Sender
from demo.cvat.events import Change
from demo.cvat.settings import Settings
from demo.cvat.state import State
from demo.cvat.tables import Data, Frame, Import, Job, Task, User

WORKERS = 2
VISIBLE_S = 500
"""How long a finished request can be asked for; a failed one stays for a year."""
VIDEO_OVERLAP = 5


@dataclass(frozen=True)
class Options:
    """What Upload-Finish says about the data."""

    image_quality: int = 70
    sorting_method: str = "lexicographical"
    upload_file_order: Sequence[str] = ()
    job_file_mapping: Sequence[Sequence[str]] = ()
    start_frame: int = 0
    stop_frame: int | None = None
    frame_filter: str = ""


@dataclass
class _Order:
    """An import and the means to wait for its end."""

    row: Import
    options: Options
    done: threading.Event = field(default_factory=threading.Event)


class Importer:
    """Queue and workers."""

    def __init__(self, state: State, sender: Sender, settings: Settings) -> None:
        self._state = state
        self._sender = sender
        self._settings = settings
        self._orders: dict[int, _Order] = {}
        self._queue: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        for number in range(WORKERS):
            threading.Thread(target=self._work, name=f"cvat-import-{number}", daemon=True).start()

    def close(self) -> None:
        for _ in range(WORKERS):
            self._queue.put(None)

    def start(self, task: Task, owner: User, options: Options) -> Import:
        """Called under the lock."""
        order = _Order(Import(task, owner, clock.now()), options)
        self._state.imports[task.id] = order.row
        self._orders[task.id] = order
        self._queue.put(order)
        return order.row

    def wait(self, task: Task, timeout_s: float) -> None:
        """Until the import of `task` has ended; called without the lock."""
        if order := self._orders.get(task.id):
            order.done.wait(timeout_s)

    def _work(self) -> None:
        while (order := self._queue.get()) is not None:
            row = order.row
            with self._state.lock:
                if row.cancelled:
                    order.done.set()
                    continue
                row.status, row.started = "started", clock.now()
            began = time.monotonic()
            try:
                frames, segments = self._frames(row.task, order.options)
                message = ""
            except (OSError, ValueError, SyntaxError) as error:
                # Whatever a picture that cannot be read raises is the request's message.
                frames, segments, message = [], [], f"{type(error).__name__}: {error}\n"
            time.sleep(max(0.0, began + self._settings.import_s - time.monotonic()))
            with self._state.lock:
                if not message and row.task.id in self._state.tasks:
                    self._fill(row, frames, segments, order.options)
                row.status, row.message, row.finished = "failed" if message else "finished", message, clock.now()
                lifetime = {"days": 365} if message else {"seconds": VISIBLE_S}
                row.expires = clock.later(row.finished, **lifetime)
                row.cancelled = False
            order.done.set()

    def _frames(self, task: Task, options: Options) -> tuple[list[Frame], list[tuple[int, int]]]:
        data = task.data
        uploads = dict(data.uploads) if data else {}
        videos = [name for name in uploads if media.kind_of(name) == "video"]
        if videos:
            frames = media.frames_of_video(videos[0], uploads[videos[0]])
            return frames, _segments(len(frames), task.segment_size, _overlap(task, len(frames), video=True))
        pictures: dict[str, bytes] = {}
        for name, content in uploads.items():
            if media.kind_of(name) == "archive":
                pictures.update(media.frames_of_archive(content))
            elif media.kind_of(name) in ("image", "points"):
                pictures[name] = content
        names = _ordered(list(pictures), options)
        step = int(options.frame_filter.removeprefix("step=")) if options.frame_filter else 1
        stop = len(names) if options.stop_frame is None else options.stop_frame + 1
        names = names[options.start_frame : stop : step]
        if not names:
            raise ValueError("No media data found")
        frames = [media.frame_of(name, pictures[name]) for name in names]
        if options.job_file_mapping:
            segments, first = [], 0
            for group in options.job_file_mapping:
                segments.append((first, first + len(group) - 1))
                first += len(group)
            return frames, segments
        return frames, _segments(len(frames), task.segment_size, _overlap(task, len(frames), video=False))

    def _fill(self, row: Import, frames: list[Frame], segments: list[tuple[int, int]], options: Options) -> None:
        task = row.task
        data = task.data or Data(self._state.next_id("data"))
        change = Change(self._state, self._sender, row.owner, base=None)
        video = frames[0].media_type == "image/png" and media.kind_of(frames[0].name) == "video"
        data.frames = frames
        data.video = frames[0].name if video else None
        data.chunk_size = media.VIDEO_CHUNK if video else media.chunk_size(frames)
        data.chunk_type = "video" if video else "imageset"
        data.frame_filter = options.frame_filter
        data.start_frame = options.start_frame
        data.stop_frame = options.start_frame + (len(frames) - 1) * data.step
        data.uploads = {}
        mode, overlap = "interpolation" if video else "annotation", 0
        size = task.segment_size
        if not options.job_file_mapping:
            overlap = _overlap(task, len(frames), video=video)
            size = _segment_size(task.segment_size, len(frames))
        with change.task(task):
            task.mode, task.overlap, task.segment_size = mode, overlap, size
            task.dimension = "3d" if frames[0].media_type == media.POINT_CLOUD else "2d"
            for start, stop in segments:
                job = self._job(change, task, start, stop)
                for _ in range(task.consensus_replicas):
                    self._job(change, task, start, stop, job)
        with change.task(task):
            pass

    def _job(self, change: Change, task: Task, start: int, stop: int, parent: Job | None = None) -> Job:
        job = Job(self._state.next_id("job"), task, start, stop, clock.now(), clock.now(), clock.now())
        if parent is not None:
            job.type, job.parent = "consensus_replica", parent
        self._state.jobs[job.id] = job
        change.created("job", job)
        return job


def _ordered(names: list[str], options: Options) -> list[str]:
    if options.job_file_mapping:
        return [name for group in options.job_file_mapping for name in group]
    if options.sorting_method == "predefined":
        return list(options.upload_file_order) or names
    if options.sorting_method == "natural":
        return sorted(names, key=media.natural)
    return sorted(names)


def _segment_size(wanted: int, frames: int) -> int:
    return min(wanted, frames) if wanted else frames


def _overlap(task: Task, frames: int, *, video: bool) -> int:
    wanted = task.overlap if task.overlap is not None else (VIDEO_OVERLAP if video else 0)
    return min(wanted, _segment_size(task.segment_size, frames) // 2)


def _segments(frames: int, segment_size: int, overlap: int) -> list[tuple[int, int]]:
    """First and last frame of each job."""
    size = _segment_size(segment_size, frames)
    starts = range(0, max(1, frames - overlap), size - overlap)
    return [(start, min(start + size, frames) - 1) for start in starts]
