"""`POST /api/tasks/{id}/data`: Upload-Start, Upload-Multiple or tus, Upload-Finish, or everything in one request."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from demo.cvat import media, multipart
from demo.cvat.errors import Refusal, bad_request, no_choice, server_error
from demo.cvat.http import Call, Routes, reply
from demo.cvat.imports import Options
from demo.cvat.routes import tus
from demo.cvat.routes.tasks import task_of
from demo.cvat.tables import Data, Json, Task

SORTING_METHODS = ("lexicographical", "natural", "predefined", "random")
LISTS = ("upload_file_order", "job_file_mapping")
NUMBERS = ("image_quality", "start_frame", "stop_frame")


def register(routes: Routes) -> None:
    routes.add("POST", "/tasks/{id}/data")(upload)


def upload(call: Call) -> Response:
    """The step is named by a header without a value."""
    parts: list[multipart.Part] = []
    content_type = call.headers.get("content-type", "")
    if content_type.startswith("multipart/") and call.body:
        parts = multipart.parse(content_type, call.body)
    with call.state.lock:
        task = task_of(call)
        if task.data and task.data.frames:
            raise bad_request("Adding more data is not supported")
        data = _data(call, task)
        if "upload-start" in call.headers:
            return reply(status=202)
        if "upload-length" in call.headers and "upload-finish" not in call.headers:
            return tus.begin(call, task, data)
        _keep(data, parts)
        if "upload-multiple" in call.headers:
            return reply(status=200)
        fields = _form(parts) if parts else call.fields()
        return _finish(call, task, data, fields)


def _data(call: Call, task: Task) -> Data:
    if task.data is None:
        with call.change().task(task):
            task.data = Data(call.state.next_id("data"))
    data = task.data
    if data is None:
        raise AssertionError("the data row was just made")
    return data


def _keep(data: Data, parts: list[multipart.Part]) -> None:
    """Add the files of one request: all, or none if one of their names is there already."""
    files: dict[str, bytes] = {}
    for part in parts:
        if part.filename is not None:
            name = media.base_name(part.filename)
            if name in files or name in data.uploads:
                raise server_error()
            files[name] = part.content
    data.uploads.update(files)


def _form(parts: list[multipart.Part]) -> Json:
    fields: Json = {}
    for part in parts:
        if part.filename is None:
            text = part.content.decode()
            fields[part.name] = json.loads(text) if part.name in (*LISTS, *NUMBERS) else text
    return fields


def _finish(call: Call, task: Task, data: Data, fields: Json) -> Response:
    options = _options(fields)
    row = call.state.imports.get(task.id)
    if row is not None and row.running and not row.cancelled:
        return reply({"rq_id": row.id}, 409)
    if options.upload_file_order:
        _match(set(data.uploads), set(options.upload_file_order))
    # The data row is saved before the task: the event shows the new quality, but not among what has changed.
    data.image_quality = options.image_quality
    with call.change().task(task, summary=True):
        pass
    row = call.server.importer.start(task, call.user, options)
    return reply({"rq_id": row.id}, 202)


def _options(fields: Json) -> Options:
    quality: Any = fields.get("image_quality", 70)
    if quality > 100:
        raise bad_request({"image_quality": ["Ensure this value is less than or equal to 100."]})
    if quality < 0:
        raise bad_request({"image_quality": ["Ensure this value is greater than or equal to 0."]})
    method = fields.get("sorting_method", "lexicographical")
    if method not in SORTING_METHODS:
        raise no_choice("sorting_method", method)
    return Options(
        quality,
        method,
        fields.get("upload_file_order", ()),
        fields.get("job_file_mapping", ()),
        fields.get("start_frame", 0),
        fields.get("stop_frame"),
        fields.get("frame_filter", ""),
    )


def _match(uploaded: set[str], order: set[str]) -> None:
    differing = [f"{name} (missing)" for name in sorted(order - uploaded)]
    differing += [f"{name} (extra)" for name in sorted(uploaded - order)]
    if differing:
        raise Refusal(
            400,
            [
                "Uploaded files do not match the 'upload_file_order' field contents. Please check the uploaded data"
                f" and the list of uploaded files. Mismatching files: {', '.join(differing)}"
            ],
        )
