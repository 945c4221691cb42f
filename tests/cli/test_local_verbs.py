"""The cluster's verbs against a `kelp up` of this machine: its folder of cards is what they change."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from tests.cli.conftest import Done, Kelp, run_kelp
from tests.local.conftest import Up, starter, write_card
from tests.support.predictor import NUMPY_RUNTIME


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[tuple[Path, Up]]:
    folder = tmp_path_factory.mktemp("home")
    write_card(folder / "models", "own")
    with starter(folder) as start:
        up = start([sys.executable, "-m", "kelp.cli", "up", "--no-bridge"], **NUMPY_RUNTIME)
        yield folder, up


@pytest.fixture
def kelp(home) -> Kelp:
    folder, up = home

    def run(*arguments: object, **environment: str) -> Done:
        known = {"KELP_V2_URL": up.url, "KELP_CACHE": str(folder / "cache"), "KUBECONFIG": "/none"}
        return run_kelp(*arguments, **{**known, **environment})

    return run


@pytest.fixture
def card(tmp_path) -> Path:
    """A card elsewhere, its weights beside it."""
    write_card(tmp_path, "reef", title="The reef")
    return tmp_path / "reef.yaml"


@pytest.fixture
def image(tmp_path) -> Path:
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), np.full((40, 60, 3), 120, np.uint8))
    return path


def names(kelp: Kelp) -> dict[str, str]:
    return {model["name"]: model["state"] for model in json.loads(kelp("get", "models", "-o", "json").stdout)}


def test_a_model_is_deployed_called_changed_and_deleted(kelp, home, card, image):
    folder, _ = home
    done = kelp("deploy", card)
    assert done.returncode == 0, done.stderr
    assert "ready, it woke in" in done.stderr
    assert names(kelp)["reef"] == "ready"
    answer = kelp("invoke", "reef", "--image", image, "-o", "json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)[0]["width"] == 60

    changed = kelp("update", "reef", "--set", "conf_threshold=0.9", "--max", "3")
    assert changed.returncode == 0, changed.stderr
    printed = yaml.safe_load(kelp("get", "model", "reef", "-o", "yaml").stdout)
    assert printed["settings"]["conf_threshold"] == 0.9
    assert printed["scale"]["max"] == 3

    assert kelp("delete", "reef").returncode == 0
    assert "reef" not in names(kelp)
    assert not (folder / "models" / "reef.yaml").exists()


def test_other_weights_under_the_same_name_are_another_card(kelp, card):
    assert kelp("deploy", card, "--no-wake").returncode == 0
    first = yaml.safe_load(kelp("get", "model", "reef", "-o", "yaml").stdout)["weights"]["sha256"]
    (card.parent / "weights.bin").write_bytes(b"another reef")
    assert kelp("deploy", card, "--no-wake").returncode == 0
    assert yaml.safe_load(kelp("get", "model", "reef", "-o", "yaml").stdout)["weights"]["sha256"] != first
    assert kelp("delete", "reef").returncode == 0


def test_what_was_printed_is_imported_again(kelp, card, tmp_path):
    kelp("deploy", card, "--no-wake")
    printed = tmp_path / "printed.yaml"
    printed.write_text(kelp("get", "model", "reef", "-o", "yaml").stdout)
    kelp("delete", "reef")
    done = kelp("import", printed)
    assert done.returncode == 0, done.stderr
    assert names(kelp)["reef"] == "ready"
    assert kelp("delete", "reef").returncode == 0


@pytest.mark.parametrize("verb", [("delete", "own"), ("update", "own", "--max", "2")])
def test_a_card_that_somebody_wrote_is_left_alone(kelp, home, verb):
    folder, _ = home
    before = (folder / "models" / "own.yaml").read_text()
    done = kelp(*verb)
    assert done.returncode == 1
    assert "own.yaml was not put there by kelp deploy" in done.stderr
    assert (folder / "models" / "own.yaml").read_text() == before


def test_a_card_whose_weights_are_not_what_it_says_is_not_deployed(kelp, card):
    data = yaml.safe_load(card.read_text())
    data["weights"]["sha256"] = "0" * 64
    card.write_text(yaml.safe_dump(data))
    done = kelp("deploy", card)
    assert done.returncode == 1
    assert "wrong content: expected sha256 000" in done.stderr
    assert "reef" not in names(kelp)


def test_a_model_that_cannot_start_is_told(kelp, tmp_path):
    write_card(tmp_path, "broken", runtime="none-such")
    done = kelp("deploy", tmp_path / "broken.yaml", "--timeout", "20")
    assert done.returncode == 1
    assert "broken" in done.stderr
    kelp("delete", "broken")


def test_logs_of_a_model_by_level(kelp, card):
    kelp("deploy", card)
    everything = kelp("logs", "reef", "--tail", "500").stdout
    assert '"message":"ready"' in everything
    assert '"message":"ready"' not in kelp("logs", "reef", "--level", "error").stdout
    assert len(kelp("logs", "reef", "--tail", "1").stdout.splitlines()) == 1
    kelp("delete", "reef")


def test_columns_and_projects(kelp):
    head, row = kelp("get", "models").stdout.splitlines()
    assert head.split() == ["NAMESPACE", "NAME", "PROJECT", "STATE", "PORT", "REPLICAS"]
    assert row.split()[:4] == ["local", "own", "cvat", "asleep"]
    assert json.loads(kelp("get", "projects", "-o", "json").stdout) == [
        {"namespace": "local", "name": "cvat", "models": 1}
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("get", "models", "none-such"), 1, "no model 'none-such'"),
        (("delete", "none-such"), 1, "no model 'none-such'"),
        (("logs", "none-such"), 1, "no model 'none-such'"),
        (("delete",), 2, "expected names of models"),
        (("update", "own"), 2, "expected what to change"),
        (("update", "own", "--rollback"), 2, "are for a cluster"),
        (("invoke", "own"), 2, "expected --image or --body"),
        (("deploy", "/none-such.yaml"), 2, "/none-such.yaml: cannot be read"),
        (("deploy", "x.yaml", "--prune"), 2, "name it with --owner"),
        (("get", "models", "--platform", "local", "-n", "x"), 2, "-n belongs to a cluster"),
        (("get", "models", "-k", "/none-such"), 2, "/none-such"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(kelp, arguments, code, said):
    done = kelp(*arguments)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_a_kelp_up_and_a_kubeconfig_it_says_what_to_do(kelp):
    done = kelp("get", "models", KELP_V2_URL="http://127.0.0.1:9", HOME="/none")
    assert done.returncode == 2
    assert "start `kelp up`, or name a cluster with -k" in done.stderr


def test_another_cache_than_that_of_kelp_up_is_told(kelp, card, tmp_path):
    done = kelp("deploy", card, KELP_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 3
    assert "KELP_CACHE" in done.stderr


def test_a_raw_body_is_passed_on_as_it_is(kelp, image, tmp_path):
    import base64

    body = {
        "inputs": [
            {"name": "image", "shape": [1], "datatype": "BYTES",
             "data": [base64.b64encode(image.read_bytes()).decode()]}
        ]
    }  # fmt: skip
    path = tmp_path / "body.json"
    path.write_text(json.dumps(body))
    done = kelp("invoke", "own", "--body", f"@{path}")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert {output["name"] for output in answer["outputs"]} >= {"box", "score", "label_id"}


def test_build_says_what_to_do_instead(kelp):
    done = kelp("build", "--path", "whatever")
    assert done.returncode == 0
    assert "kelp deploy CARD" in done.stdout
