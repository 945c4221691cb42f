"""Weights reach the predictor whole and verified, or not at all, whatever the network does meanwhile."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import random
from pathlib import Path

import pytest

from kelp.weights import WeightsError, fetch, is_cached

CONTENT = random.Random(1).randbytes(3_000_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


def test_a_path_is_verified_where_it_lies(tmp_path, make_card):
    path = tmp_path / "best.onnx"
    path.write_bytes(CONTENT)
    assert fetch(make_card(str(path), SHA), tmp_path / "cache") == {"model": path}
    assert not (tmp_path / "cache").exists()


def test_a_changed_file_is_refused_with_both_digests(tmp_path, make_card):
    path = tmp_path / "best.onnx"
    path.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(WeightsError) as caught:
        fetch(make_card(str(path), SHA), tmp_path / "cache")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert str(path) in str(caught.value)
    assert SHA in str(caught.value)
    assert found in str(caught.value)


def test_a_missing_path_is_named(tmp_path, make_card):
    with pytest.raises(WeightsError, match=r"nowhere\.pt: no such file"):
        fetch(make_card(str(tmp_path / "nowhere.pt"), SHA), tmp_path)


def test_files_by_role_below_a_folder(tmp_path, make_card):
    for name in ("a.py", "b.pth"):
        (tmp_path / name).write_bytes(name.encode())
    files = {"config": {"file": "a.py"}, "model": {"file": "b.pth", "sha256": hashlib.sha256(b"b.pth").hexdigest()}}
    got = fetch(make_card(str(tmp_path), files=files), tmp_path / "cache")
    assert got == {"config": tmp_path / "a.py", "model": tmp_path / "b.pth"}


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b"])
def test_a_file_outside_its_folder_is_refused(tmp_path, make_card, name):
    with pytest.raises(WeightsError, match="below the folder"):
        fetch(make_card(str(tmp_path), files={"model": {"file": name}}), tmp_path / "cache")


def test_a_folder_is_described_by_its_manifest(tmp_path, make_card):
    (tmp_path / "m.onnx").write_bytes(CONTENT)
    manifest = json.dumps({"model": {"file": "m.onnx", "sha256": SHA}}).encode()
    (tmp_path / "kelp-weights.json").write_bytes(manifest)
    card = make_card(str(tmp_path), hashlib.sha256(manifest).hexdigest())
    assert fetch(card, tmp_path / "cache") == {"model": tmp_path / "m.onnx"}
    (tmp_path / "kelp-weights.json").write_bytes(manifest + b" ")
    with pytest.raises(WeightsError, match=r"kelp-weights\.json: wrong content"):
        fetch(card, tmp_path / "cache")


def test_a_remote_folder_is_described_by_its_manifest(tmp_path, make_card, file_server):
    file_server.files["/reef/kelp-weights.json"] = json.dumps({"model": {"file": "m.onnx", "sha256": SHA}}).encode()
    file_server.files["/reef/m.onnx"] = CONTENT
    got = fetch(make_card(f"{file_server.url}/reef/"), tmp_path)
    assert got["model"].read_bytes() == CONTENT


def test_a_manifest_that_leaves_its_folder_is_refused(tmp_path, make_card):
    (tmp_path / "kelp-weights.json").write_text(json.dumps({"model": {"file": "../x"}}))
    with pytest.raises(WeightsError, match="below the folder"):
        fetch(make_card(str(tmp_path)), tmp_path / "cache")


def test_fetched_once_and_kept_by_content(tmp_path, make_card, file_server):
    file_server.files["/w/best.onnx"] = CONTENT
    card = make_card(f"{file_server.url}/w/best.onnx", SHA)
    assert not is_cached(card, tmp_path)
    steps: list[tuple[str, int, int | None]] = []
    got = fetch(card, tmp_path, lambda *step: steps.append(step))["model"]
    assert got.read_bytes() == CONTENT
    assert got.name == "best.onnx"  # the suffix chooses the engine
    assert steps[0][1] == 0
    assert steps[-1] == ("best.onnx", len(CONTENT), len(CONTENT))
    assert is_cached(card, tmp_path)
    assert fetch(card, tmp_path)["model"] == got
    assert len(file_server.seen) == 1
    assert sorted(p.name for p in got.parent.iterdir()) == ["best.onnx", "lock"]


def test_a_damaged_cache_is_fetched_again(tmp_path, make_card, file_server):
    file_server.files["/best.onnx"] = CONTENT
    card = make_card(f"{file_server.url}/best.onnx", SHA)
    got = fetch(card, tmp_path)["model"]
    got.write_bytes(CONTENT[:100])
    assert fetch(card, tmp_path)["model"].read_bytes() == CONTENT


def test_cut_connections_are_resumed_not_restarted(tmp_path, make_card, file_server):
    file_server.files["/best.onnx"] = CONTENT
    file_server.cut_after, file_server.cuts = 1_000_000, 2
    got = fetch(make_card(f"{file_server.url}/best.onnx", SHA), tmp_path)["model"]
    assert got.read_bytes() == CONTENT
    starts = [request.headers.get("Range") for request in file_server.seen]
    assert starts == [None, "bytes=1000000-", "bytes=2000000-"]
    assert all("If-Range" in request.headers for request in file_server.seen[1:])


def test_a_killed_fetch_goes_on_in_another_process(tmp_path, make_card, file_server):
    file_server.files["/best.onnx"] = CONTENT

    class Killed(BaseException):
        pass

    def die_half_way(name: str, done: int, total: int | None) -> None:
        if done > 1_500_000:
            raise Killed

    card = make_card(f"{file_server.url}/best.onnx", SHA)
    with pytest.raises(Killed):
        fetch(card, tmp_path, die_half_way)
    assert fetch(card, tmp_path)["model"].read_bytes() == CONTENT
    assert int(file_server.seen[-1].headers["Range"].removeprefix("bytes=").rstrip("-")) > 1_000_000


def test_a_file_that_changes_between_two_halves_is_not_mixed(tmp_path, make_card, file_server):
    file_server.files["/best.onnx"] = bytes(len(CONTENT))
    card = make_card(f"{file_server.url}/best.onnx", SHA)

    def swap(name: str, done: int, total: int | None) -> None:
        if done > 1_000_000 and file_server.files["/best.onnx"] != CONTENT:
            file_server.files["/best.onnx"] = CONTENT
            raise InterruptedError("stop")

    with pytest.raises(WeightsError):
        fetch(card, tmp_path, swap)
    assert fetch(card, tmp_path)["model"].read_bytes() == CONTENT


def test_a_half_of_something_else_is_thrown_away_when_the_server_names_no_version(tmp_path, make_card, file_server):
    file_server.etags = False
    file_server.files["/best.onnx"] = CONTENT
    card = make_card(f"{file_server.url}/best.onnx", SHA)
    folder = tmp_path / "weights" / "sha256" / SHA
    folder.mkdir(parents=True)
    (folder / "best.onnx.part").write_bytes(bytes(1000))
    assert fetch(card, tmp_path)["model"].read_bytes() == CONTENT


def test_a_server_without_ranges_still_serves(tmp_path, make_card, file_server):
    file_server.with_ranges = False
    file_server.files["/best.onnx"] = CONTENT
    file_server.cut_after, file_server.cuts = 2_000_000, 1
    assert fetch(make_card(f"{file_server.url}/best.onnx", SHA), tmp_path)["model"].read_bytes() == CONTENT


def test_busy_answers_are_tried_again(tmp_path, make_card, file_server):
    file_server.files["/best.onnx"] = CONTENT
    file_server.answers = [503, 429]
    assert fetch(make_card(f"{file_server.url}/best.onnx", SHA), tmp_path)["model"].read_bytes() == CONTENT


def test_wrong_content_is_refused_and_not_kept(tmp_path, make_card, file_server):
    file_server.files["/best.onnx"] = CONTENT[:-1] + b"?"
    found = hashlib.sha256(CONTENT[:-1] + b"?").hexdigest()
    with pytest.raises(WeightsError) as caught:
        fetch(make_card(f"{file_server.url}/best.onnx", SHA), tmp_path)
    assert f"expected sha256 {SHA}, found {found}" in str(caught.value)
    assert len(file_server.seen) == 1
    assert [p.name for p in (tmp_path / "weights" / "sha256" / SHA).iterdir()] == ["lock"]


def test_credentials_in_an_address_are_never_shown(tmp_path, make_card, file_server):
    url = file_server.url.replace("://", "://ann:hunter2@")
    with pytest.raises(WeightsError) as caught:
        fetch(make_card(f"{url}/none.onnx?token=s3cr3t", SHA), tmp_path)
    assert "no such file" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert file_server.seen[0].headers["Authorization"].startswith("Basic ")


def test_without_a_sha256_a_new_version_is_seen_and_an_old_one_not_fetched_twice(tmp_path, make_card, file_server):
    file_server.files["/best.onnx"] = CONTENT
    card = make_card(f"{file_server.url}/best.onnx")
    first = fetch(card, tmp_path)["model"]
    before = first.stat().st_mtime_ns
    assert fetch(card, tmp_path)["model"] == first
    assert first.stat().st_mtime_ns == before
    file_server.files["/best.onnx"] = b"newer"
    assert fetch(card, tmp_path)["model"].read_bytes() == b"newer"
    assert first.read_bytes() == CONTENT  # a process may still read it


def test_plain_http_needs_a_sha256_beyond_this_machine(tmp_path, make_card):
    with pytest.raises(WeightsError, match="only with a sha256"):
        fetch(make_card("http://weights.example/best.onnx"), tmp_path)


@pytest.mark.parametrize("uri", ["pvc://claim/best.onnx", "oci://image"])
def test_what_only_a_cluster_mounts_is_said(tmp_path, make_card, uri):
    with pytest.raises(WeightsError, match="mounted by a cluster"):
        fetch(make_card(uri, SHA), tmp_path)


def test_an_unknown_scheme_names_those_that_exist(tmp_path, make_card):
    with pytest.raises(WeightsError, match="s3://"):
        fetch(make_card("ftp://host/best.onnx", SHA), tmp_path)


def _fetch_in_a_process(url: str, cache: str) -> None:
    from kelp.card import Card

    weights = {"uri": url, "sha256": SHA}
    card = Card.model_validate({"name": "reef", "runtime": "yolo", "task": "segment", "weights": weights})
    assert fetch(card, Path(cache))["model"].read_bytes() == CONTENT


def test_processes_that_want_the_same_weights_fetch_them_once(tmp_path, file_server):
    file_server.files["/best.onnx"] = CONTENT
    context = multiprocessing.get_context("spawn")
    arguments = (f"{file_server.url}/best.onnx", str(tmp_path))
    processes = [context.Process(target=_fetch_in_a_process, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(file_server.seen) == 1
