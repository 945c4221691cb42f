"""Grids of 117 points go to the model that removes them, and the answers become a new task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bridge.reef import png
from tests.support.bridge import BridgeProcess
from tests.support.cvat import SECRET, Cvat, CvatServer, wait_for
from tests.support.numpy_model import FAULTS
from tests.support.predictor import Predictor
from tests.support.quadrats import (
    DATE,
    GRID,
    HEIGHT,
    LATITUDE,
    WIDTH,
    Source,
    grid_points,
    opened,
    photograph,
    photographs,
    source,
)

PATH = "/remove-grid-and-create-new-task-webhook"
POINTS = grid_points()


def ask(bridge: BridgeProcess, made: Source, **more: Any) -> Any:
    answer = bridge.post("/api/v1/runs", {"kind": "remove-grid", "task": made.id, "target": made.target, **more})
    assert answer.is_success, answer.text
    return bridge.wait_run(answer.json()["runs"][0])


@pytest.mark.parametrize(("query", "form", "ending"), [("", "PNG", ".png"), ("format=jpeg&quality=90", "JPEG", ".jpg")])
def test_once_the_task_is_done_its_frames_without_the_grid_are_a_task(
    cvat: Cvat, bridge: BridgeProcess, query: str, form: str, ending: str
) -> None:
    files = photographs(3)
    with source(cvat, files, label=GRID) as made:
        made.mark(0, POINTS, occluded=range(1, 60))  # what a model only guessed is where it says
        made.mark(1, POINTS)
        made.mark(2, POINTS)
        address = bridge.webhook_url("").partition("/detect")[0] + f"{PATH}?target_proj_id={made.target}&{query}"
        cvat.webhook(made.task.project, address.rstrip("&"), ("update:job",), secret=SECRET)
        made.complete()
        run = wait_for(lambda: [run for run in bridge.runs(task=made.id) if run["finished_at"]])[0]
        assert run["state"] == "completed", run
        assert (run["kind"], run["model"], run["target"]["task"]) == ("remove-grid", "pth-lama", made.the_made()["id"])
        assert made.names_made() == [name.replace(".jpg", ending) for name, _ in files]
        for (_, before), after in zip(files, made.pictures_made(), strict=True):
            picture = opened(after)
            assert (picture.format, picture.size) == (form, (WIDTH, HEIGHT))
            assert picture.getexif().get_ifd(0x8769) == {0x9003: DATE}
            assert picture.getexif().get_ifd(0x8825)[2] == LATITUDE
            if form == "PNG":
                # The painter of these tests blackens each point that it was given, and nothing else.
                expected = np.asarray(opened(before).convert("RGB")).copy()
                for x, y in zip(POINTS[0::2], POINTS[1::2], strict=True):
                    expected[int(np.float32(y)), int(np.float32(x))] = 0
                difference = np.abs(np.asarray(picture, np.int16) - expected).max(axis=2)
                assert (difference > 4).sum() == 0


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"drop": (117,)}, "expected 117 points, got 116: without 117"),
        ({"outside": (5, 6)}, "marked outside: point 5, 6"),
    ],
)
def test_a_grid_that_is_not_whole_stops_the_run(
    cvat: Cvat, bridge: BridgeProcess, bad: dict[str, Any], says: str
) -> None:
    with source(cvat, photographs(2), label=GRID) as made:
        made.mark(0, POINTS)
        made.mark(1, POINTS, **bad)
        run = ask(bridge, made)
        assert (run["state"], made.made()) == ("failed", [])
        assert f"1 of 2 frames cannot be used: frame 1 (quadrat_9.jpg): {says}" in run["reason"]


def test_what_the_model_has_no_answer_for_is_left_out_or_leaves_no_task(cvat: Cvat, bridge: BridgeProcess) -> None:
    strange = np.asarray(opened(photograph()).convert("RGB")).copy()
    strange[0, 0] = FAULTS["refused"]
    files = [("a.jpg", photograph()), ("b.png", png(strange)), ("c.jpg", photograph(2))]
    with source(cvat, files, label=GRID) as made:
        made.mark_all(3, POINTS)
        run = ask(bridge, made)
        assert (run["state"], made.made()) == ("failed", [])
        assert run["reason"].startswith("frame 1 (b.png): ")
        assert "refused by the model" in run["reason"]
        run = ask(bridge, made, parameters={"skip_invalid": True})
        assert run["state"] == "completed_with_errors"
        assert made.names_made() == ["a.png", "c.png"]
        again = bridge.post(f"/api/v1/runs/{run['id']}/retry")
        assert again.status_code == 202
        ended = wait_for(
            lambda: (r := bridge.get(f"/api/v1/runs/{run['id']}"))["attempt"] == 2 and r["finished_at"] and r
        )
        assert (ended["state"], ended["reason"]) == ("skipped", f"task {made.the_made()['id']} exists")


def test_an_unknown_model_and_one_that_removes_no_grids_are_refused_before_there_is_a_run(
    cvat: Cvat, cvat_server: CvatServer, bridge: BridgeProcess, predictor: Predictor, folder: Path
) -> None:
    with source(cvat, photographs(1), label=GRID) as made:
        made.mark(0, POINTS)
        body = {"kind": "remove-grid", "task": made.id, "target": made.target, "model": "pth-llama"}
        answer = bridge.post("/api/v1/runs", body)
        assert (answer.status_code, "pth-lama" in answer.json()["error"]) == (404, True)
        says = "numpy-reef removes no grids: its task is segment; models that do: none"
        with BridgeProcess(folder, cvat=cvat_server, v2_url=predictor.url) as other:
            wait_for(lambda: other.ready()[0] == 200)
            for dry in (True, False):
                answer = other.post("/api/v1/runs", {**body, "model": "numpy-reef", "dry_run": dry})
                assert (answer.status_code, answer.json()["error"]) == (400, says)
            path = f"{PATH}?target_proj_id={made.target}&model_name=numpy-reef"
            address = other.webhook_url("").partition("/detect")[0] + path
            webhook = cvat.webhook(made.task.project, address, ("update:job",), secret=SECRET)
            pinged = cvat.call("POST", f"/api/webhooks/{webhook}/ping")
            assert (pinged["status_code"], says in pinged["response"]) == (400, True)
            assert other.runs(task=made.id) == []


def test_a_model_that_removes_grids_annotates_nothing(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(1), label=GRID) as made:
        answer = bridge.post("/api/v1/runs", {"model": "pth-lama", "task": made.id})
        assert answer.status_code == 400
        assert answer.json()["error"] == "pth-lama annotates no jobs: its task is inpaint; models that do: none"


def test_the_next_stages_model_is_woken_while_frames_are_made(cvat: Cvat, bridge: BridgeProcess) -> None:
    with source(cvat, photographs(2), label=GRID) as made:
        made.mark_all(2, POINTS)
        # As if pth-lama annotated the new task's jobs, which is refused later: it is the only model here.
        cvat.webhook(made.target, bridge.webhook_url("model_name=pth-lama&on=created"), ("create:job",))
        run = ask(bridge, made)
        assert run["state"] == "completed"
        bridge.wait_log("next_stage_woken", project=made.target, model="pth-lama")
