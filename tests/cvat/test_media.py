"""Pictures, videos, and the jobs made of them, as CVAT has them; on the stand-in and on a real server."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.support.cvat import Cvat, picture, pictures

RECORDED: dict[str, Any] = json.loads((Path(__file__).parents[1] / "recordings/lambda_extra_media.json").read_text())
MODES = {"cmyk.jpg": "CMYK", "gray.jpg": "L"}
FORMS = {".bmp": "BMP", ".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".webp": "WEBP"}


def _corner(name: str) -> bytes:
    """400 × 300 with a red top left corner, in the form its name says; rot6.jpg is to be turned by EXIF."""
    image = Image.new("RGB", (400, 300), (20, 60, 90))
    image.paste((255, 0, 0), (0, 0, 40, 40))
    image = image.convert(MODES.get(name, "RGB"))
    exif = Image.Exif()
    if name == "rot6.jpg":
        exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, FORMS[Path(name).suffix], exif=exif, **({"quality": 95} if name.endswith("jpg") else {}))
    return buffer.getvalue()


@pytest.mark.parametrize("name", RECORDED)
def test_a_picture_comes_back_as_recorded(cvat: Cvat, name: str) -> None:
    outcome, content = RECORDED[name], _corner(name)
    job = cvat.task(cvat.project(), [(name, content)]).jobs[0]
    (frame,) = cvat.get(f"/api/jobs/{job}/data/meta")["frames"]
    assert [frame["width"], frame["height"]] == outcome["meta_wh"]
    answer = cvat.http.get(f"/api/jobs/{job}/data", params={"type": "frame", "number": 0, "quality": "original"})
    assert (answer.status_code, answer.headers["content-type"]) == (outcome["status"], outcome["content_type"])
    assert (answer.content == content) == outcome["same_bytes_as_uploaded"]
    with Image.open(io.BytesIO(answer.content)) as image:
        form, mode, size, _ = outcome["dl"]
        assert (image.format, image.mode, list(image.size)) == (form, mode, size)
        assert image.getexif().get(0x0112) is None
        if "red_corner_in_raw_pixels" in outcome:
            assert outcome["red_corner_in_raw_pixels"] == ["tr"]
            red, green, _ = image.convert("RGB").getpixel((image.width - 10, 10))  # type: ignore[misc]
            assert red > 200 > green


def test_frames_of_a_video_are_pictures_by_number(cvat: Cvat, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (160, 120))
    for number in range(12):
        writer.write(np.full((120, 160, 3), number * 20, np.uint8))
    writer.release()
    task = cvat.task(
        cvat.project(),
        [("clip.mp4", path.read_bytes())],
        segment_size=6,
        overlap=0,
        finish={"sorting_method": "lexicographical", "upload_file_order": []},
    )
    jobs = [cvat.job(job) for job in task.jobs]
    assert [(job["start_frame"], job["stop_frame"], job["mode"]) for job in jobs] == [
        (0, 5, "interpolation"),
        (6, 11, "interpolation"),
    ]
    meta = cvat.get(f"/api/jobs/{task.jobs[1]}/data/meta")
    assert (meta["size"], len(meta["frames"]), meta["start_frame"], meta["stop_frame"]) == (6, 1, 6, 11)
    with Image.open(io.BytesIO(cvat.frame(task.jobs[1], 9))) as image:
        assert (image.format, image.size) == ("PNG", (160, 120))
        assert abs(np.asarray(image.convert("L")).mean() - 180) < 8


def test_steps_leave_frames_out_and_number_the_rest_from_0(cvat: Cvat) -> None:
    images = pictures(10)
    task = cvat.task(
        cvat.project(), images, segment_size=2, finish={"start_frame": 1, "stop_frame": 8, "frame_filter": "step=2"}
    )
    assert [(cvat.job(job)["start_frame"], cvat.job(job)["stop_frame"]) for job in task.jobs] == [(0, 1), (2, 3)]
    assert [cvat.frame(task.jobs[1], number) for number in (2, 3)] == [images[5], images[7]]
    meta = cvat.get(f"/api/jobs/{task.jobs[1]}/data/meta")
    assert (meta["start_frame"], meta["stop_frame"], meta["frame_filter"]) == (5, 7, "step=2")


def test_a_chunk_holds_the_frames_of_the_job(cvat: Cvat) -> None:
    images = pictures(4)
    task = cvat.task(cvat.project(), images, segment_size=2)
    query = {"type": "chunk", "index": 0, "quality": "original"}
    answer = cvat.http.get(f"/api/jobs/{task.jobs[1]}/data", params=query)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["000000.jpg", "000001.jpg"]
        assert [archive.read(name) for name in archive.namelist()] == images[2:]


def test_a_broken_picture_fails_the_import_and_the_task_can_be_filled_again(cvat: Cvat) -> None:
    task = cvat.empty_task(cvat.project())
    with pytest.raises(AssertionError, match="Error"):
        cvat.upload(task, [("broken.jpg", b"no picture at all")])
    assert cvat.get("/api/jobs", task_id=task)["count"] == 0
    assert cvat.get(f"/api/tasks/{task}")["size"] == 0
    cvat.http.delete(f"/api/tasks/{task}")
    assert cvat.http.get(f"/api/tasks/{task}").status_code == 404


def test_a_ground_truth_job_is_none_of_the_annotation_jobs(cvat: Cvat) -> None:
    task = cvat.task(cvat.project(), [picture(), picture(color=(9, 9, 9)), picture(color=(99, 9, 9))], segment_size=2)
    fields = {"task_id": task.id, "type": "ground_truth", "frame_selection_method": "manual", "frames": [1]}
    truth = cvat.call("POST", "/api/jobs", json=fields)
    assert (truth["start_frame"], truth["stop_frame"], truth["frame_count"]) == (0, 2, 1)
    assert cvat.get("/api/jobs", task_id=task.id)["count"] == 3
    assert {job["id"] for job in cvat.all("/api/jobs", task_id=task.id, type="annotation")} == set(task.jobs)


def test_consensus_replicas_are_none_of_the_annotation_jobs_either(cvat: Cvat) -> None:
    task = cvat.task(cvat.project(), pictures(4), segment_size=2, consensus_replicas=2)
    jobs = sorted(cvat.all("/api/jobs", task_id=task.id), key=lambda job: job["id"])
    first, second = task.jobs
    assert [(job["type"], job["parent_job_id"]) for job in jobs] == [
        ("annotation", None),
        ("consensus_replica", first),
        ("consensus_replica", first),
        ("annotation", None),
        ("consensus_replica", second),
        ("consensus_replica", second),
    ]
    cvat.complete(task)
    assert cvat.get(f"/api/tasks/{task.id}")["status"] == "annotation", "its replicas are not accepted"


def test_point_clouds_make_a_task_of_three_dimensions(cvat: Cvat) -> None:
    header = (
        "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 2\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0"
    )
    cloud = f"# .PCD v0.7\n{header}\nPOINTS 2\nDATA ascii\n0 0 0\n1 1 1\n".encode()
    finish = {"sorting_method": "lexicographical", "upload_file_order": []}
    task = cvat.task(cvat.project(), [("cloud.pcd", cloud)], finish=finish)
    assert cvat.job(task.jobs[0])["dimension"] == "3d"
    assert cvat.get(f"/api/tasks/{task.id}")["dimension"] == "3d"
