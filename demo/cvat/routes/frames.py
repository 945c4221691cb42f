"""Frames, chunks, previews and `data/meta` of tasks and jobs."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from demo.cvat import auth, media
from demo.cvat.errors import bad_request, server_error, text_page
from demo.cvat.http import Call, Routes, reply
from demo.cvat.routes.tasks import task_of
from demo.cvat.tables import Data, Frame, Job, Json, Task


def register(routes: Routes) -> None:
    for kind in ("tasks", "jobs"):
        routes.add("GET", f"/{kind}/{{id}}/data")(frame_or_chunk)
        routes.add("GET", f"/{kind}/{{id}}/data/meta")(read_meta)
        routes.add("PATCH", f"/{kind}/{{id}}/data/meta")(update_meta)
        routes.add("GET", f"/{kind}/{{id}}/preview")(preview)


@dataclass(frozen=True)
class Segment:
    """A run of a task's frames: all of them, or those of one job."""

    task: Task
    data: Data
    job: Job | None

    @property
    def start(self) -> int:
        return self.job.start if self.job else 0

    @property
    def stop(self) -> int:
        return self.job.stop if self.job else len(self.data.frames) - 1

    @property
    def frames(self) -> list[Frame]:
        return self.data.frames[self.start : self.stop + 1]


def _segment(call: Call) -> Segment:
    if call.request.url.path.startswith("/api/jobs/"):
        job = call.state.job(call.id)
        auth.check(call.user, job)
        task = job.task
    else:
        job, task = None, task_of(call)
    if task.data is None:
        raise server_error()
    return Segment(task, task.data, job)


def frame_or_chunk(call: Call) -> Response:
    kind, quality = call.query.get("type"), call.query.get("quality", "compressed")
    if kind not in ("frame", "chunk", "preview", "context_image"):
        raise bad_request(["Data type not specified or has wrong value"])
    if quality not in ("original", "compressed"):
        raise bad_request(["Wrong quality value"])
    text = call.query.get("number", call.query.get("index") if kind == "chunk" else None)
    if kind != "preview" and text is None:
        raise bad_request(["Number is not specified"])
    with call.state.lock:
        segment = _segment(call)
    if kind == "preview":
        return preview(call)
    if kind == "context_image":
        raise text_page(404, "")
    try:
        number = int(text or "")
    except ValueError:
        raise server_error() from None
    if kind == "frame":
        return _frame(segment, number, quality)
    return _chunk(segment, number, quality, by_index="number" not in call.query)


def _frame(segment: Segment, number: int, quality: str) -> Response:
    job = segment.job
    if job and (not job.start <= number <= job.stop or (job.included is not None and number not in job.included)):
        raise bad_request(f"Incorrect requested frame number: {number}")
    count = len(segment.data.frames)
    if not 0 <= number < count:
        raise bad_request(f"Invalid frame '{number}'. The frame number should be in the [0, {count}] range")
    frame = segment.data.frames[number]
    content, media_type = frame.content, frame.media_type
    if job and job.included is not None and quality == "original":
        # A ground truth job's chunks are packed anew.
        content, media_type = media.compressed(frame, 100, video=False)
    if quality == "compressed":
        video = segment.data.video is not None
        content, media_type = media.compressed(frame, segment.data.image_quality, video=video)
    return Response(content, media_type=media_type)


def _chunk(segment: Segment, number: int, quality: str, *, by_index: bool) -> Response:
    size = segment.data.chunk_size or 1
    first, last = segment.start // size, segment.stop // size
    chunk = number + first if by_index else number
    if not first <= chunk <= last:
        detail = f"Invalid chunk number '{number}'. The chunk number should be in the [{first}, {last}] range"
        raise bad_request([detail])
    frames = segment.data.frames[max(segment.start, chunk * size) : min(segment.stop + 1, (chunk + 1) * size)]
    content, checksum = media.chunk(frames, segment.data.image_quality if quality == "compressed" else None)
    headers = {"x-checksum": checksum, "x-updated-date": segment.job.chunks_updated if segment.job else ""}
    return Response(content, headers=headers, media_type="application/zip")


def preview(call: Call) -> Response:
    with call.state.lock:
        if call.request.url.path.startswith("/api/tasks/") and not (task_of(call).data):
            raise text_page(404, "Task image preview not found")
        frames = _segment(call).frames
    if not frames:
        raise text_page(404, "Task image preview not found")
    return Response(media.preview(frames[0]), media_type="image/jpeg")


def _meta(call: Call, segment: Segment) -> Json:
    data, start = segment.data, segment.data.start_frame
    jobs = [segment.job] if segment.job else [job for job in call.state.jobs_of(segment.task) if not job.included]
    frames = segment.frames[:1] if data.video else segment.frames
    included = segment.job.included if segment.job else None
    return {
        "chunks_updated_date": jobs[-1].chunks_updated if jobs else None,
        "chunk_size": data.chunk_size,
        "size": len(segment.frames) if included is None else len(included),
        "image_quality": data.image_quality,
        "start_frame": start + segment.start * data.step,
        "stop_frame": start + segment.stop * data.step if data.frames else 0,
        "frame_filter": data.frame_filter,
        "frames": [
            {
                "width": frame.width,
                "height": frame.height,
                "name": frame.name if included is None or number in included else "placeholder.jpg",
                "related_files": 0,
                "has_related_context": False,
            }
            for number, frame in enumerate(frames)
        ],
        "deleted_frames": sorted(number for number in data.deleted if segment.start <= number <= segment.stop),
        "included_frames": included,
    }


def read_meta(call: Call) -> Response:
    with call.state.lock:
        return reply(_meta(call, _segment(call)))


def update_meta(call: Call) -> Response:
    """Mark frames as deleted: the list replaces the earlier one, of a job only within its own frames."""
    wanted = call.fields().get("deleted_frames", [])
    with call.state.lock:
        segment = _segment(call)
        own = range(segment.start, segment.stop + 1)
        if foreign := [number for number in wanted if number not in own]:
            whose = "job" if segment.job else "task"
            raise bad_request([f"Frames {', '.join(map(str, foreign))} do not belong to the {whose}"])
        segment.data.deleted = (segment.data.deleted - set(own)) | set(wanted)
        if segment.job:
            change = call.change()
            with change.task(segment.task):
                pass
            change.touch(segment.task.project)
        return reply(_meta(call, segment))
