"""Files in pieces, by tus 1.0.0 as far as the original speaks it."""

from __future__ import annotations

import base64
import uuid

from starlette.responses import Response

from demo.cvat.errors import Refusal, bad_request, forbidden, server_error
from demo.cvat.http import Call, Routes, reply
from demo.cvat.routes.tasks import task_of
from demo.cvat.tables import Data, Task, Upload

VERSION = {"tus-resumable": "1.0.0", "tus-version": "1.0.0"}
MOST_BYTES = 26_843_545_600


def register(routes: Routes) -> None:
    routes.add("PATCH", "/tasks/{id}/data/{upload}")(append)


def begin(call: Call, task: Task, data: Data) -> Response:
    """Called under the lock."""
    size = int(call.headers["upload-length"])
    if size > MOST_BYTES:
        raise Refusal(413, f"File size exceeds max limit of {MOST_BYTES} bytes", headers=VERSION)
    key, _, value = call.headers.get("upload-metadata", "").partition(" ")
    name = base64.b64decode(value).decode() if key == "filename" else ""
    if not name:
        raise bad_request("Metadata is expected to contain 'filename' key")
    if ".." in name.split("/"):
        raise Refusal(400, f"File name {name} is not allowed", media_type="text/plain")
    if name in data.uploads:
        raise Refusal(409, "File with same name already exists", headers=VERSION)
    base = call.base if "x-forwarded-host" in call.headers else call.headers.get("origin")
    if base is None:
        raise server_error()
    number = f"{call.user.id}_{uuid.uuid4()}"
    data.pieces[number] = Upload(name, size, call.user)
    location = f"{base}/api/tasks/{task.id}/data/{number}"
    return reply(status=201, headers={**VERSION, "Location": location, "upload-filename": name})


def append(call: Call) -> Response:
    """The file is there once it is whole; what the original does not know by its id ends in its error page."""
    with call.state.lock:
        data = task_of(call).data
        upload = data.pieces.get(call.path["upload"]) if data else None
        if data is None or upload is None:
            raise server_error()
        if upload.owner is not call.user:
            raise forbidden()
        if int(call.headers.get("upload-offset", "0")) != len(upload.content):
            return reply(status=409, headers=VERSION)
        upload.content += call.body
        if len(upload.content) >= upload.size:
            if "/" in upload.name:
                raise server_error()
            del data.pieces[call.path["upload"]]
            data.uploads[upload.name] = bytes(upload.content)
        return reply(status=204, headers={**VERSION, "upload-offset": str(len(upload.content))})
