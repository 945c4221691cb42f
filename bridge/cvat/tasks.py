"""Tasks as a whole: reading one, and making one with all its frames.

CVAT has no idempotency key. What is made here can be found by the text in `bug_tracker`, whose filter is
`tracker_link`, from the moment the task exists.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import orjson

from bridge.cvat.errors import CvatGone, CvatRefused, CvatUnavailable
from bridge.cvat.objects import Label
from bridge.cvat.transport import Transport
from kelp.errors import BadGateway

Pages = Callable[..., AsyncIterator[dict[str, Any]]]
_JSON = {"Content-Type": "application/json"}
_TUS = {"Tus-Resumable": "1.0.0"}
# Of a file, so much in one request: what proxies let through, and what is sent again where one breaks.
PIECE_BYTES = 16 << 20
# Making the chunks of a large task begins while one waits for the answer; a piece of a file may take a slow line long.
LONG_S = 300.0


class CvatTasks:
    def __init__(self, transport: Transport, pages: Pages) -> None:
        """`pages`: every object of a list, by path and query."""
        self._transport = transport
        self._pages = pages

    async def find(self, task_id: int) -> dict[str, Any] | None:
        """The task; None where CVAT has none of this number."""
        try:
            task: dict[str, Any] = await self._transport.get(f"/api/tasks/{task_id}")
        except CvatGone:
            return None
        return task

    async def meta(self, task_id: int) -> dict[str, Any]:
        """Names and sizes of the task's frames, in order, and which are deleted."""
        meta: dict[str, Any] = await self._transport.get(f"/api/tasks/{task_id}/data/meta")
        return meta

    async def labels(self, task_id: int) -> list[Label]:
        return [Label.of(data) async for data in self._pages("/api/labels", {"task_id": task_id}, listing=False)]

    async def frame(self, task_id: int, number: int) -> bytes:
        """The frame's original bytes; `number` is the task's own."""
        params = {"type": "frame", "number": number, "quality": "original"}
        return await self._transport.get_bytes(f"/api/tasks/{task_id}/data", params)

    async def marked(self, mark: str) -> list[dict[str, Any]]:
        """Every task whose `bug_tracker` is `mark`, oldest first, of whichever organization."""
        found = [task async for task in self._pages("/api/tasks", {"tracker_link": mark}, listing=False)]
        # A filter that a server does not know is ignored there, and everything listed.
        return sorted((task for task in found if task.get("bug_tracker") == mark), key=lambda task: int(task["id"]))

    async def create(self, fields: Mapping[str, Any], organization: int | None) -> int:
        """Make a task without data; its id. Sent once: InDoubt where nobody can say whether it was made."""
        params = {} if organization is None else {"org_id": organization}
        answer = await self._transport.send(
            "POST", "/api/tasks", params=params, content=orjson.dumps(fields), headers=_JSON
        )
        return int(orjson.loads(answer.content)["id"])

    async def delete(self, task_id: int) -> None:
        """Delete a task; it does not matter if it is gone already."""
        try:
            await self._transport.repeated(
                lambda: self._transport.send("DELETE", f"/api/tasks/{task_id}", timeout_s=LONG_S)
            )
        except CvatGone:
            return

    async def begin_upload(self, task_id: int) -> None:
        """Say that files will come; saying it again takes none of them away."""
        await self._transport.repeated(lambda: self._data(task_id, {"Upload-Start": ""}))

    async def upload(self, task_id: int, name: str, content: bytes) -> None:
        """Send one file (tus 1.0.0). One that is there whole under this name already stays as it is."""
        await self._transport.repeated(lambda: self._upload(task_id, name, content))

    async def finish_upload(self, task_id: int, names: Sequence[str], image_quality: int) -> None:
        """Have the task made of the files that were sent, in the order of `names`. CvatRefused 409 or 400 where that
        is under way or done already, or the names are not those of the files."""
        fields = {"image_quality": image_quality, "sorting_method": "predefined", "upload_file_order": list(names)}
        await self._data(task_id, {"Upload-Finish": "", **_JSON}, orjson.dumps(fields))

    async def _upload(self, task_id: int, name: str, content: bytes) -> None:
        named = base64.b64encode(name.encode()).decode()
        head = {**_TUS, "Upload-Length": str(len(content)), "Upload-Metadata": f"filename {named}"}
        try:
            answer = await self._data(task_id, head)
        except CvatRefused as error:
            if error.cvat_status == 409:
                return
            raise
        # Of the address only its end is taken: the rest is CVAT's idea of its own host.
        upload = answer.headers.get("location", "").rstrip("/").rsplit("/", 1)[-1]
        if not re.fullmatch(r"[0-9A-Za-z_-]{1,100}", upload):
            raise BadGateway(f"CVAT gave the upload of {name} no address")
        for start in range(0, len(content), PIECE_BYTES):
            await self._send_piece(f"/api/tasks/{task_id}/data/{upload}", start, content[start : start + PIECE_BYTES])

    async def _send_piece(self, path: str, start: int, piece: bytes) -> None:
        headers = {**_TUS, "Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
        headers["Origin"] = self._transport.origin
        try:
            await self._transport.send("PATCH", path, content=piece, headers=headers, timeout_s=LONG_S)
        except CvatGone as error:
            raise CvatUnavailable(f"an upload was lost: {error.message}") from None
        except CvatRefused as error:
            if error.cvat_status == 409:  # another offset than ours: begun anew under another address
                raise CvatUnavailable(f"an upload was broken off: {error.message}") from None
            raise

    async def _data(self, task_id: int, headers: Mapping[str, str], content: bytes = b"") -> Any:
        headers = {**headers, "Origin": self._transport.origin}
        path = f"/api/tasks/{task_id}/data/"
        return await self._transport.send("POST", path, content=content, headers=headers, timeout_s=LONG_S)
