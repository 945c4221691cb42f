"""`kelp models`, `infer`, `bench`, `verify` and `version` against a running endpoint."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
import yaml

from kelp import __version__
from tests.cli.conftest import run_kelp
from tests.cli.test_words import NOBODY


@pytest.fixture
def images(tmp_path):
    """Three pictures of 4 x 4 patches, one of them turned by EXIF, one PNG."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(7)
    for name in ("a.jpg", "b.jpg", "c.png"):
        patches = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / name), np.kron(patches, np.ones((60, 80, 1), np.uint8)))
    from PIL import Image

    with Image.open(folder / "b.jpg") as picture:
        exif = picture.getexif()
        exif[0x0112] = 6
        picture.save(folder / "b.jpg", exif=exif)
    (folder / "notes.txt").write_text("no image")
    return folder


def test_models_lists_what_the_cards_say(kelp):
    table = kelp("models").stdout.splitlines()
    assert table[0].split() == ["NAME", "STATE", "TASK", "TITLE", "LABELS"]
    assert any(line.startswith("reef ") and "The reef" in line and "red, green, blue" in line for line in table)
    listed = {model["name"]: model for model in json.loads(kelp("models", "-o", "json").stdout)}
    assert listed["reef"]["labels"] == ["red", "green", "blue"]
    assert listed["painter"]["task"] == "inpaint"
    assert [m["name"] for m in yaml.safe_load(kelp("models", "-o", "yaml").stdout)] == [
        "broken", "painter", "reef", "slow",
    ]  # fmt: skip
    assert "RUNTIME" in kelp("models", "-o", "wide").stdout


def test_infer_prints_json_of_every_image(kelp, images):
    done = kelp("infer", "reef", images, "-o", "json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [result["image"].rpartition("/")[2] for result in results] == ["a.jpg", "b.jpg", "c.png"]
    assert [(r["width"], r["height"]) for r in results] == [(320, 240), (240, 320), (320, 240)]
    one = results[0]["detections"][0]
    assert one["label"] in {"red", "green", "blue"}
    assert len(one["box"]) == 4
    assert len(one["polygon"]) >= 3


def test_infer_passes_settings_on(kelp, images):
    done = kelp("infer", "reef", images / "a.jpg", "--set", "max_detections=2", "-o", "json")
    assert len(json.loads(done.stdout)[0]["detections"]) == 2
    wrong = kelp("infer", "reef", images / "a.jpg", "--set", "conf=2")
    assert wrong.returncode == 1
    assert "unknown parameter 'conf'" in wrong.stderr


def test_pictures_are_saved_with_what_was_found_drawn_on_them(kelp, images, tmp_path):
    out = tmp_path / "out"
    done = kelp("infer", "reef", images, images / "a.jpg", "--save", out, "--set", "conf_threshold=0.3")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in out.iterdir()) == ["a-2.jpg", "a.jpg", "b.jpg", "c.png"]
    before, after = cv2.imread(str(images / "c.png")), cv2.imread(str(out / "c.png"))
    assert after.shape == before.shape
    found = json.loads(kelp("infer", "reef", images / "c.png", "-o", "json", "--set", "conf_threshold=0.3").stdout)[0]
    inside = np.zeros(before.shape[:2], np.uint8)
    for one in found["detections"]:
        cv2.fillPoly(inside, [np.array(one["polygon"], np.int32)], 1)
    changed = (before != after).any(axis=2)
    assert changed[inside == 1].mean() > 0.95
    assert changed[inside == 0].mean() < 0.35  # labels and outlines only
    turned = cv2.imread(str(out / "b.jpg"))
    assert turned.shape[:2] == (320, 240)


def test_a_bad_image_is_named_and_the_others_are_answered(kelp, images):
    (images / "broken.jpg").write_bytes(b"no image")
    done = kelp("infer", "reef", images, "-o", "json")
    assert done.returncode == 1
    assert "broken.jpg" in done.stderr
    results = {r["image"].rpartition("/")[2]: r for r in json.loads(done.stdout)}
    assert "error" in results["broken.jpg"]
    assert all("detections" in results[name] for name in ("a.jpg", "b.jpg", "c.png"))


def test_each_bad_image_is_told_with_its_own_fault_and_without_a_number(kelp, images):
    (images / "a2.jpg").write_bytes(b"no image")
    whole = (images / "a.jpg").read_bytes()
    (images / "cut.jpg").write_bytes(whole[:60])
    results = {r["image"].rpartition("/")[2]: r for r in json.loads(kelp("infer", "reef", images, "-o", "json").stdout)}
    assert {name for name, result in results.items() if "error" in result} == {"a2.jpg", "cut.jpg"}
    for name in ("a2.jpg", "cut.jpg"):
        assert "image 0" not in results[name]["error"]
        assert "images failed" not in results[name]["error"]
        alone = json.loads(kelp("infer", "reef", images / name, "-o", "json").stdout)[0]
        assert alone["error"] == results[name]["error"]


@pytest.mark.parametrize("command", ["bench", "verify"])
def test_bench_and_verify_name_the_file_that_is_refused(kelp, platform, images, command):
    (images / "broken.jpg").write_bytes(b"no image")
    url = f"{platform.url}/v2/models/reef"
    done = kelp(command, "--function-url", url, "--test-images", images)
    assert done.returncode == 1
    assert f"kelp: {images}/broken.jpg: not an image" in done.stderr
    assert "image 0" not in done.stderr


def test_bench_does_not_blame_an_image_for_a_model_that_is_not_there(kelp, platform, images):
    done = kelp("bench", "--function-url", f"{platform.url}/v2/models/kelp", "--test-images", images)
    assert done.returncode == 1
    assert ".jpg" not in done.stderr


def test_a_sleeping_model_is_announced_and_waited_for(kelp, platform, images):
    platform.http.post("/v2/repository/models/reef/unload")
    done = kelp("infer", "reef", images / "a.jpg")
    assert done.returncode == 0
    assert "reef is asleep: it starts now" in done.stderr


def test_infer_takes_detectors_that_exist(kelp, images):
    unknown = kelp("infer", "kelp", images)
    assert unknown.returncode == 1
    assert "there are: broken, painter, reef, slow" in unknown.stderr
    other = kelp("infer", "painter", images)
    assert other.returncode == 2
    assert "its task is inpaint" in other.stderr


def test_bench_measures_a_model(kelp, platform, images):
    url = f"{platform.url}/v2/models/reef"
    done = kelp("bench", "--function-url", url, "--test-images", images, "--num-runs", 7)
    assert done.returncode == 0, done.stderr
    for word in ("Model", "Image Size", "Avg Time", "Throughput", "img/min", "p50", "p99"):
        assert word in done.stdout
    told = json.loads(
        kelp(
            "bench", "--function-url", url + "/infer", "--test-images", images, "--num-runs", 6, "--concurrency", 2,
            "-o", "json",
        ).stdout
    )  # fmt: skip
    assert told["model"] == "reef"
    assert told["num_runs"] == 6
    assert told["min_ms"] <= told["p50_ms"] <= told["max_ms"]


def test_verify_passes_a_model_that_is_right(kelp, platform, images):
    done = kelp("verify", "--function-url", f"{platform.url}/v2/models/reef", "--test-images", images)
    assert done.returncode == 0, done.stderr
    assert "reef: 3 images" in done.stdout


def test_verify_names_labels_that_are_not_the_cards(kelp, platform, images):
    url = f"{platform.url}/v2/models/reef"
    done = kelp("verify", "--function-url", url, "--test-images", images, "--labels", "red,green")
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("kelp: label ")]
    assert len(lines) == 1
    assert re.fullmatch(r"kelp: label 'blue' is none of --labels \(\d+ shapes? in [123] images?\)", lines[0])


class Function(ThreadingHTTPServer):
    """A function as CVAT calls Nuclio's: answers `shapes` to every image."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.shapes: object = []
        self.status = 200
        self.asked: list[dict[str, object]] = []


class Handler(BaseHTTPRequestHandler):
    server: Function

    def log_message(self, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append({"name": self.headers.get("x-nuclio-function-name"), **body})
        answer = json.dumps(self.server.shapes).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def function() -> Iterator[Function]:
    server = Function()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def rectangle(*points: float, label: str = "red") -> dict[str, object]:
    return {"label": label, "type": "rectangle", "points": list(points)}


@pytest.mark.parametrize(
    ("shapes", "fault"),
    [
        ([rectangle(0, 0, 320, 240)], None),
        ([{"label": "red", "type": "tag"}], None),
        ([{"label": "red", "type": "mask", "mask": [1, 0, 1, 1, 10, 10, 11, 11]}], None),
        ([rectangle(0, 0, 330, 240)], "leaves the image of 320x240"),
        ([rectangle(-5, 0, 20, 20)], "leaves the image"),
        ([rectangle(0, 0, 9, 9, label="kelp")], "label 'kelp' is none of --labels (1 shape in 1 image)"),
        ([{"label": "red", "type": "mask", "mask": [1, 0, 1, 10, 10, 11, 11]}], "3 pixels do not fill"),
        ([{"label": "red", "type": "polygon", "points": [1, 2, 3]}], "flat list of x, y"),
        ([{"label": "red", "type": "polygon"}], "without points"),
        ({"shapes": []}, "where a JSON list of shapes was expected"),
    ],
)
def test_verify_takes_functions_and_finds_what_is_wrong_with_them(images, function, shapes, fault):
    function.shapes = shapes
    url = f"http://127.0.0.1:{function.server_address[1]}/api/function_invocations?function=pth-reef"
    done = run_kelp("verify", "--function-url", url, "--test-images", images / "a.jpg", "--labels", "red")
    assert done.returncode == (1 if fault else 0), done.stderr
    assert (fault or "pth-reef: 1 images") in done.stderr + done.stdout
    assert function.asked[0]["name"] == "pth-reef"


@pytest.mark.parametrize("path", ["v2/models/reef", "reef"])
def test_verify_of_nobody_ends_as_nobody(images, path):
    done = run_kelp("verify", "--function-url", f"{NOBODY}/{path}", "--test-images", images, "--labels", "red")
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(("status", "code"), [(401, 4), (503, 3), (504, 3)])
def test_verify_ends_as_the_answer_means_where_no_image_can_be_told_of(images, function, status, code):
    function.status, function.shapes = status, {"error": "not now"}
    url = f"http://127.0.0.1:{function.server_address[1]}/"
    done = run_kelp("verify", "--function-url", url, "--test-images", images, "--labels", "red")
    assert done.returncode == code
    assert done.stderr.splitlines()[-1] == "kelp: not now"


def test_verify_counts_labels_once_for_all_images(images, function):
    function.shapes = [rectangle(0, 0, 9, 9, label="Porites"), rectangle(0, 0, 9, 9, label="Porites")]
    url = f"http://127.0.0.1:{function.server_address[1]}/"
    done = run_kelp(
        "verify", "--function-url", url, "--test-images", images, "--labels", "Acropora", "-o", "json"
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("Porites") == 1
    assert "label 'Porites' is none of --labels (6 shapes in 3 images)" in done.stderr
    told = json.loads(done.stdout)
    assert told["bad"] == 3
    assert told["results"][0]["faults"] == ["label 'Porites' is none of --labels (2 shapes)"]


def test_verify_says_which_image_was_not_answered(images, function):
    function.status, function.shapes = 500, {"error": "CUDA is gone"}
    url = f"http://127.0.0.1:{function.server_address[1]}/"
    done = run_kelp("verify", "--function-url", url, "--test-images", images / "a.jpg", "--labels", "red")
    assert done.returncode == 1
    assert "a.jpg: CUDA is gone" in done.stderr


def test_bench_takes_functions(images, function):
    url = f"http://127.0.0.1:{function.server_address[1]}/reef"
    done = run_kelp(
        "bench", "--function-url", url, "--test-images", images, "--num-runs", 4, "--warmup", 1, "-o", "json"
    )
    assert json.loads(done.stdout)["model"] == "reef"
    assert len(function.asked) == 5


def test_version_asks_the_servers(kelp):
    told = json.loads(kelp("version", "-o", "json").stdout)
    assert told == {"client": __version__, "models": __version__, "bridge": __version__}
