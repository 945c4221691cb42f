"""From a job started in CVAT to the shapes in it, through real processes: what an annotator and an admin see."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from tests.bridge.reef import LABELS, found_by_seed, found_in, held, image, labels, png, pngs
from tests.support.bridge import BridgeProcess
from tests.support.cvat import Cvat, polygon, wait_for
from tests.support.predictor import Predictor


@pytest.fixture
def query(predictor: Predictor) -> str:
    return f"model_name={predictor.name}"


def run_of(bridge: BridgeProcess, job: int) -> dict[str, object]:
    run: dict[str, object] = bridge.wait_run(job=job)
    return run


def restart(cvat: Cvat, job: int) -> None:
    cvat.set_job(job, state="new")
    cvat.start(job)


def second_run(bridge: BridgeProcess, job: int, count: int = 2) -> dict[str, object]:
    wait_for(lambda: len(bridge.runs(job=job)) == count)
    return run_of(bridge, job)


def test_a_job_that_is_started_is_annotated(cvat: Cvat, bridge: BridgeProcess, query: str) -> None:
    project = cvat.project(labels())
    cvat.webhook(project, bridge.webhook_url(query))
    task = cvat.task(project, pngs(6), segment_size=3)
    cvat.start(task.jobs[1])
    run = run_of(bridge, task.jobs[1])
    assert (run["state"], run["reason"]) == ("completed", None)
    assert held(cvat, project, task.jobs[1]) == found_by_seed(range(3, 6))
    assert held(cvat, project, task.jobs[0]) == {}
    shapes = cvat.shapes(task.jobs[1])
    assert {(shape["type"], shape["source"]) for shape in shapes} == {("polygon", "auto")}
    assert run["frames"] == {"total": 3, "done": 3, "set_aside": 0}
    assert run["shapes"] == {"found": len(shapes), "written": len(shapes), "kept": 0}
    assert (run["cause"], run["caused_by"], run["attempt"]) == ("started", cvat.user, 1)
    assert run["details"]["model"]["name"] == "numpy-reef"  # type: ignore[index]
    assert run["details"]["settings"]["conf_threshold"] == 0.25  # type: ignore[index]
    frames = bridge.get(f"/api/v1/runs/{run['id']}/frames")["frames"]
    assert [frame["frame"] for frame in frames] == [3, 4, 5]
    assert sum(len(frame["scores"]) for frame in frames) == len(shapes)
    # What was written made CVAT tell us so; none of that may start anything.
    assert len(bridge.runs(job=task.jobs[1])) == 1


def test_what_is_the_same_in_a_second_run_keeps_its_id_and_a_persons_work_stays(
    cvat: Cvat, bridge: BridgeProcess, query: str
) -> None:
    project = cvat.project(labels())
    webhook = cvat.webhook(project, bridge.webhook_url(query))
    task = cvat.task(project, pngs(2))
    (job,) = task.jobs
    ids = cvat.labels(project)
    cvat.add_shapes(job, [polygon(ids["red"], offset=3.0, source="manual")])
    cvat.start(job)
    run_of(bridge, job)
    before = {shape["id"]: shape for shape in cvat.shapes(job)}
    ours = [shape for shape in before.values() if shape["source"] == "auto"]
    # A person moves one, deletes one; the next run keeps to higher scores.
    moved = {**ours[0], "points": [value + 0.5 for value in ours[0]["points"]]}
    cvat.patch_annotations(job, "update", shapes=[moved])
    cvat.patch_annotations(job, "delete", shapes=[ours[1]])
    cvat.call(
        "PATCH", f"/api/webhooks/{webhook}", json={"target_url": bridge.webhook_url(f"{query}&conf_threshold=.5")}
    )
    restart(cvat, job)
    run = second_run(bridge, job)
    after = {shape["id"]: shape for shape in cvat.shapes(job)}
    people = [shape for shape in after.values() if shape["source"] == "manual"]
    assert [shape["points"] for shape in people] == [polygon(1, offset=3.0)["points"]]
    assert after[moved["id"]]["points"] == moved["points"]
    wanted = found_by_seed(2, conf_threshold=0.5)
    mine = held(cvat, project, job)
    mine[(0, "red")] -= 1  # the person's
    # The moved one stays, even where the model does not see it any more; nothing is put on it again.
    extra = mine - wanted
    assert extra.total() <= 1
    assert not wanted - mine
    kept = before.keys() & after.keys()
    assert len(kept) >= mine.total() - 2
    assert run["shapes"]["kept"] == len([id_ for id_ in kept if before[id_]["source"] == "auto"]) - 1  # type: ignore[index]
    assert run["details"]["shapes_touched"] == 1  # type: ignore[index]
    assert run["details"]["shapes_deleted"] > 0  # type: ignore[index]


def test_a_redelivery_answers_with_the_same_run(cvat: Cvat, bridge: BridgeProcess, query: str) -> None:
    project = cvat.project(labels())
    webhook = cvat.webhook(project, bridge.webhook_url(query))
    (job,) = cvat.task(project, pngs(1)).jobs
    cvat.start(job)
    run = run_of(bridge, job)
    sent = next(d for d in cvat.deliveries(webhook) if json.loads(d["response"]).get("run") == run["id"])
    cvat.call("POST", f"/api/webhooks/{webhook}/deliveries/{sent['id']}/redelivery")
    again = wait_for(lambda: next((d for d in cvat.deliveries(webhook) if d["redelivery"]), None))
    assert again["status_code"] == 200
    assert json.loads(again["response"]) == {"outcome": "repeated", "run": run["id"], "url": run["url"]}
    assert [r["id"] for r in bridge.runs(job=job)] == [run["id"]]
    assert held(cvat, project, job) == found_by_seed(1)


@pytest.mark.parametrize(
    ("label_type", "wish", "kind"),
    [
        ("polygon", "", "polygon"),
        ("any", "", "polygon"),
        ("polyline", "", "polyline"),
        ("polyline", "&conv_mask_to_poly=true", "polyline"),
        ("mask", "", "mask"),
        ("mask", "&conv_mask_to_poly=true", "polygon"),
        ("polygon", "&conv_mask_to_poly=false", "mask"),
        ("rectangle", "", "rectangle"),
        ("any", "&shape=polyline", "polyline"),
        ("tag", "", None),
    ],
)
def test_the_labels_type_and_the_query_decide_what_is_drawn(
    cvat: Cvat, bridge: BridgeProcess, query: str, label_type: str, wish: str, kind: str | None
) -> None:
    project = cvat.project(labels(label_type))
    cvat.webhook(project, bridge.webhook_url(query + wish))
    (job,) = cvat.task(project, pngs(1)).jobs
    cvat.start(job)
    assert run_of(bridge, job)["state"] == "completed"
    annotations = cvat.annotations(job)
    if kind is None:
        assert annotations["shapes"] == []
        # One a frame and label, however many were found.
        assert len(annotations["tags"]) == len({label for _, label in found_by_seed(1)})
    else:
        assert {shape["type"] for shape in annotations["shapes"]} == {kind}
        assert held(cvat, project, job) == found_by_seed(1)


def test_labels_are_mapped_dropped_and_counted(cvat: Cvat, bridge: BridgeProcess, query: str) -> None:
    attributes = [
        {"name": "score", "input_type": "number", "values": ["0", "100", "1"], "default_value": "0", "mutable": True},
        {"name": "kind", "input_type": "select", "values": ["a", "b"], "default_value": "a", "mutable": False},
    ]
    project = cvat.project([{"name": "Coral", "type": "polygon", "attributes": attributes}, *labels(names=["GREEN"])])
    cvat.webhook(project, bridge.webhook_url(f"{query}&label_map=red:Coral"))
    (job,) = cvat.task(project, pngs(3)).jobs
    cvat.start(job)
    run = run_of(bridge, job)
    found = found_by_seed(3)
    expected = {"Coral": "red", "GREEN": "green"}
    for (_, name), count in held(cvat, project, job).items():
        assert name in expected
        assert count > 0
    assert held(cvat, project, job).total() == sum(n for (_, label), n in found.items() if label != "blue")
    blue = sum(n for (_, label), n in found.items() if label == "blue")
    assert run["details"]["labels_missing"] == ["blue"]  # type: ignore[index]
    assert run["details"]["labels_lacking"] == {"blue": blue}  # type: ignore[index]
    spec = {a["name"]: a["id"] for a in cvat.all("/api/labels", project_id=project)[0]["attributes"]}
    coral = [shape for shape in cvat.shapes(job) if shape["attributes"]]
    for shape in coral:
        values = {a["spec_id"]: a["value"] for a in shape["attributes"]}
        assert values[spec["kind"]] == "a"
        assert 25 <= int(values[spec["score"]]) <= 100


def test_a_project_without_any_of_the_labels_is_told_so_in_words(cvat: Cvat, bridge: BridgeProcess, query: str) -> None:
    project = cvat.project(labels(names=["Acropora"]))
    cvat.webhook(project, bridge.webhook_url(query))
    (job,) = cvat.task(project, pngs(1)).jobs
    cvat.start(job)
    run = run_of(bridge, job)
    assert run["state"] == "failed"
    assert "red, green, blue" in str(run["reason"])
    assert "Acropora" in str(run["reason"])


@pytest.mark.parametrize(("existing", "state", "count"), [("skip", "skipped", 0), ("add", "completed", 1)])
def test_a_job_that_holds_shapes_already(
    cvat: Cvat, bridge: BridgeProcess, query: str, existing: str, state: str, count: int
) -> None:
    project = cvat.project(labels())
    cvat.webhook(project, bridge.webhook_url(f"{query}&existing={existing}"))
    (job,) = cvat.task(project, pngs(1)).jobs
    cvat.add_shapes(job, [polygon(cvat.labels(project)["red"])])
    cvat.start(job)
    run = run_of(bridge, job)
    assert run["state"] == state
    assert len(cvat.shapes(job)) == 1 + count * found_by_seed(1).total()


def test_bad_frames_are_set_aside_and_the_others_written(cvat: Cvat, bridge: BridgeProcess, query: str) -> None:
    faults = {1: "refused", 4: "refused", 5: "predict"}
    pictures = {frame: image(frame, fault=faults.get(frame)) for frame in range(7)}
    project = cvat.project(labels())
    cvat.webhook(project, bridge.webhook_url(query))
    (job,) = cvat.task(project, [png(pixels) for pixels in pictures.values()]).jobs
    cvat.start(job)
    run = run_of(bridge, job)
    assert run["state"] == "completed_with_errors"
    assert "3 of 7 frames" in str(run["reason"])
    assert run["frames"] == {"total": 7, "done": 4, "set_aside": 3}
    frames = bridge.get(f"/api/v1/runs/{run['id']}/frames")["frames"]
    assert [frame["frame"] for frame in frames if frame["state"] == "set_aside"] == sorted(faults)
    assert all(frame["error"] for frame in frames if frame["state"] == "set_aside")
    assert held(cvat, project, job) == found_in({f: p for f, p in pictures.items() if f not in faults})


def test_an_image_too_large_for_the_device_is_tried_alone_and_set_aside(
    cvat: Cvat, bridge: BridgeProcess, query: str
) -> None:
    pictures = {0: image(0), 1: image(1, fault="memory"), 2: image(2)}
    project = cvat.project(labels())
    cvat.webhook(project, bridge.webhook_url(query))
    (job,) = cvat.task(project, [png(pixels) for pixels in pictures.values()]).jobs
    cvat.start(job)
    run = run_of(bridge, job)
    assert run["state"] == "completed_with_errors"
    assert held(cvat, project, job) == found_in({0: pictures[0], 2: pictures[2]})


def test_deleted_frames_are_left_out(cvat: Cvat, bridge: BridgeProcess, query: str) -> None:
    project = cvat.project(labels())
    cvat.webhook(project, bridge.webhook_url(query))
    task = cvat.task(project, pngs(6), segment_size=3)
    cvat.delete_frames(task.jobs[1], [4])
    cvat.start(task.jobs[1])
    run = run_of(bridge, task.jobs[1])
    assert run["frames"]["total"] == 2  # type: ignore[index]
    assert held(cvat, project, task.jobs[1]) == found_by_seed([3, 5])


def test_frames_are_numbered_within_the_task_whatever_was_taken_of_the_source(
    cvat: Cvat, bridge: BridgeProcess, query: str
) -> None:
    project = cvat.project(labels())
    cvat.webhook(project, bridge.webhook_url(query))
    taken = {"start_frame": 1, "stop_frame": 8, "frame_filter": "step=2"}
    task = cvat.task(project, pngs(10), segment_size=2, finish=taken)
    cvat.start(task.jobs[1])
    assert run_of(bridge, task.jobs[1])["state"] == "completed"
    # Source frames 1 3 5 7 are the task's 0 1 2 3; the second job has the last two.
    assert held(cvat, project, task.jobs[1]) == found_in({2: image(5), 3: image(7)})


def test_a_video_is_annotated_frame_by_frame(cvat: Cvat, bridge: BridgeProcess, query: str) -> None:
    project = cvat.project(labels())
    cvat.webhook(project, bridge.webhook_url(query))
    task = cvat.task(project, [("clip.mp4", _video(8))], segment_size=4)
    job = task.jobs[-1]
    cvat.start(job)
    run = run_of(bridge, job)
    assert run["state"] == "completed"
    start, stop = (cvat.job(job)[name] for name in ("start_frame", "stop_frame"))
    assert {shape["frame"] for shape in cvat.shapes(job)} == set(range(start, stop + 1))


def _video(frames: int) -> bytes:
    """Bright pictures, so that lossy coding leaves every one a detection."""
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index in range(frames):
            pixels = np.full((96, 128, 3), 200 + index, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return buffer.getvalue()


def test_jobs_may_be_annotated_as_they_are_created_and_as_they_are_completed(
    cvat: Cvat, bridge: BridgeProcess, query: str
) -> None:
    project = cvat.project(labels())
    cvat.webhook(project, bridge.webhook_url(f"{query}&on=created"))
    task = cvat.task(project, pngs(2), segment_size=1)
    for job in task.jobs:
        assert run_of(bridge, job)["cause"] == "created"
    assert held(cvat, project, task.jobs[1]) == found_by_seed([1])
    other = cvat.project(labels())
    cvat.webhook(other, bridge.webhook_url(f"{query}&on=completed"))
    (job,) = cvat.task(other, pngs(1)).jobs
    cvat.start(job)
    cvat.set_job(job, state="completed")
    assert run_of(bridge, job)["cause"] == "completed"
    assert len(bridge.runs(job=job)) == 1


def test_ground_truth_jobs_are_skipped(cvat: Cvat, bridge: BridgeProcess, query: str) -> None:
    project = cvat.project(labels())
    task = cvat.task(project, pngs(3))
    fields = {"type": "ground_truth", "task_id": task.id, "frame_selection_method": "manual", "frames": [1]}
    truth = cvat.call("POST", "/api/jobs", json=fields)["id"]
    cvat.webhook(project, bridge.webhook_url(query))
    cvat.start(truth)
    run = run_of(bridge, truth)
    assert run["state"] == "skipped"
    assert "ground truth" in str(run["reason"])


def test_a_model_that_disappeared_ends_the_run_with_its_name(cvat: Cvat, folder: Path, predictor: Predictor) -> None:
    project = cvat.project(labels())
    (job,) = cvat.task(project, pngs(1)).jobs
    with BridgeProcess(folder, cvat=cvat.server, v2_url=predictor.url) as bridge:
        answer = bridge.post("/api/v1/runs", {"job": job, "model": "nobody"})
        assert answer.status_code == 404
        assert "numpy-reef" in answer.json()["error"]


def test_a_label_that_cannot_take_the_models_shapes_is_named(cvat: Cvat, bridge: BridgeProcess, query: str) -> None:
    svg = (
        '<circle r="1" cx="1" cy="1" data-type="element node" data-element-id="1" data-node-id="1" '
        'data-label-name="a"/>'
    )
    part = {"name": "a", "type": "points", "attributes": []}
    project = cvat.project([{"name": name, "type": "skeleton", "svg": svg, "sublabels": [part]} for name in LABELS])
    cvat.webhook(project, bridge.webhook_url(query))
    (job,) = cvat.task(project, pngs(1)).jobs
    cvat.start(job)
    run = run_of(bridge, job)
    assert run["state"] == "failed"
    assert "skeleton" in str(run["reason"])
