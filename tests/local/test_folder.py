"""The folder of cards while `kelp up` runs: what is put there is served, what is taken away is not."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from kelp.local.state import log_path, read_state
from tests.local.conftest import Up, eventually, starter, write_card


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("up")


@pytest.fixture(scope="module")
def up(folder):
    models = folder / "models"
    for name in ("reef", "busy", "titled", "spoiled", "leaving", "waking", "other"):
        write_card(models, name)
    write_card(models, "waking", {"load_s": 20})
    with starter(folder) as start:
        yield start()


def names(up: Up) -> list[str]:
    return up.http.get("/v2/models").json()["models"]


def test_a_new_card_is_served_without_a_restart(up, folder):
    write_card(folder / "models", "new")
    eventually(lambda: "new" in names(up))
    assert up.infer("new").status_code == 200


def test_whoever_asks_at_once_for_a_card_just_written_is_answered(up, folder):
    for number in range(5):
        write_card(folder / "models", f"at-once-{number}")
        assert up.infer(f"at-once-{number}").status_code == 200
    eventually(lambda: {f"at-once-{number}" for number in range(5)} <= set(names(up)))


def test_a_changed_card_gets_a_new_process_and_the_others_keep_theirs(up, folder):
    before, other = up.infer("titled").json()["pid"], up.infer("other").json()["pid"]
    write_card(folder / "models", "titled", title="A better name")
    eventually(lambda: up.card("titled")["title"] == "A better name")
    assert up.infer("titled").json()["pid"] != before
    assert up.infer("other").json()["pid"] == other


def test_a_request_under_way_is_answered_by_the_old_process_and_the_next_by_the_new(up, folder):
    old = up.infer("busy").json()["pid"]
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(up.infer, "busy", b"{}", x_delay="3")
        up.wait_for("delaying")
        write_card(folder / "models", "busy", title="changed")
        up.wait_for("model_changed", model="busy")
        next_one = pool.submit(up.infer, "busy")
        assert slow.result().json()["pid"] == old
        assert next_one.result().status_code == 200
        assert next_one.result().json()["pid"] != old


def test_who_waits_for_a_start_gets_the_changed_model(up, folder):
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(up.infer, "waking")
        up.wait_for("model_starting", model="waking")
        write_card(folder / "models", "waking", {"load_s": 0}, title="quicker")
        assert waiting.result().status_code == 200


def test_a_card_that_goes_takes_its_process_with_it(up, folder):
    pid = up.infer("leaving").json()["pid"]
    (folder / "models" / "leaving.yaml").unlink()
    eventually(lambda: "leaving" not in names(up))
    assert up.infer("leaving").status_code == 404
    eventually(lambda: pid not in [child.pid for child in up.children()])


def test_a_card_that_becomes_wrong_is_told_and_its_model_goes_on(up, folder):
    pid = up.infer("spoiled").json()["pid"]
    (folder / "models" / "spoiled.yaml").write_text("name: spoiled\nruntime: [")
    refused = up.wait_for("card_refused", file="spoiled.yaml")
    assert "not YAML" in refused["error"]
    state = read_state(folder / "cache", up.rest_port)
    assert state is not None
    assert "not YAML" in state.faults["spoiled.yaml"]
    assert up.infer("spoiled").json()["pid"] == pid


def test_sighup_reads_the_folder_at_once(up, folder):
    write_card(folder / "models", "hung-up")
    os.kill(up.process.pid, signal.SIGHUP)
    up.wait_for("model_added", model="hung-up")


def test_the_last_lines_of_a_model_are_kept_in_a_file(up, folder):
    up.infer("reef", x_delay="0.01")
    eventually(lambda: b"delaying" in log_path(folder / "cache", "reef").read_bytes())


def test_a_kelp_up_that_has_ended_is_not_known_any_more(tmp_path):
    write_card(tmp_path / "models", "reef")
    with starter(tmp_path) as start:
        up = start()
        state = read_state(tmp_path / "cache", up.rest_port)
        assert state is not None
        assert state.models == str((tmp_path / "models").resolve())
        up.stop()
        assert read_state(tmp_path / "cache", up.rest_port) is None
