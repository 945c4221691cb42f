"""Uploads in pieces, as a client relies on them to send each file exactly once; places are those of the recordings."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from tests.support.cvat import Cvat, picture

TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture
def task(cvat: Cvat) -> int:
    task = cvat.empty_task(cvat.project())
    cvat.call("POST", f"/api/tasks/{task}/data/", headers={"Upload-Start": ""})
    return task


def begin(cvat: Cvat, task: int, name: str, size: int) -> httpx.Response:
    named = base64.b64encode(name.encode()).decode()
    head = {**TUS, "Upload-Length": str(size), "Upload-Metadata": f"filename {named}", "Origin": cvat.url}
    return cvat.http.post(f"/api/tasks/{task}/data/", headers=head)


def send(cvat: Cvat, began: httpx.Response, offset: int, content: bytes) -> httpx.Response:
    path = httpx.URL(began.headers["location"]).path
    headers = {**TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return cvat.http.patch(path, headers=headers, content=content)


def finish(cvat: Cvat, task: int, names: list[str]) -> httpx.Response:
    body: dict[str, Any] = {"image_quality": 70, "sorting_method": "predefined", "upload_file_order": names}
    return cvat.http.post(f"/api/tasks/{task}/data/", headers={"Upload-Finish": ""}, json=body)


def test_a_file_that_is_there_whole_is_not_taken_again(cvat: Cvat, task: int) -> None:
    content = picture()
    began = begin(cvat, task, "a.jpg", len(content))
    assert (began.status_code, began.headers["upload-filename"]) == (201, "a.jpg")  # 04:86
    first = send(cvat, began, 0, content[:100])
    assert (first.status_code, first.headers["upload-offset"]) == (204, "100")  # 04:87
    assert send(cvat, began, 0, content[:100]).status_code == 409  # 04:89
    # While it is not whole it may begin anew, under another address (04:92); then it may not (04:95).
    anew = begin(cvat, task, "a.jpg", len(content))
    assert anew.headers["location"] != began.headers["location"]
    assert send(cvat, anew, 0, content).status_code == 204
    again = begin(cvat, task, "a.jpg", len(content))
    assert (again.status_code, again.json()) == (409, "File with same name already exists")


def test_the_frames_are_made_in_the_order_that_is_asked_for(cvat: Cvat, task: int) -> None:
    names = ["z.jpg", "a.jpg", "m.jpg"]
    for index, name in enumerate(sorted(names)):
        content = picture(color=(index * 50, 0, 0))
        assert send(cvat, begin(cvat, task, name, len(content)), 0, content).status_code == 204
    wrong = finish(cvat, task, [*names, "b.jpg"])
    assert (wrong.status_code, "b.jpg (missing)" in wrong.text) == (400, True)
    done = finish(cvat, task, names)
    assert done.status_code == 202
    cvat.wait_import(done.json()["rq_id"])
    meta = cvat.get(f"/api/tasks/{task}/data/meta")
    assert [frame["name"] for frame in meta["frames"]] == names


def test_what_is_no_name_is_refused(cvat: Cvat, task: int) -> None:
    assert begin(cvat, task, "../evil.jpg", 10).status_code == 400  # 04:100
    head = {**TUS, "Upload-Length": "10", "Origin": cvat.url}
    assert cvat.http.post(f"/api/tasks/{task}/data/", headers=head).status_code == 400  # 04:101
