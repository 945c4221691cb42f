"""What the command line says of itself, and how it ends when something is wrong."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from kelp.cli.lazy import COMMANDS, load
from tests.cli.conftest import run_kelp, run_process
from tests.local.conftest import write_card
from tests.weights.conftest import FileServer

NOBODY = "http://127.0.0.1:9"


def test_help_names_every_command_and_every_exit_code():
    done = run_process("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert f"  {name} " in done.stdout
    for code in ("0 done", "1 it failed", "2 wrong usage", "3 nobody answers", "4 not allowed", "130 interrupted"):
        assert code in " ".join(done.stdout.split())


def test_help_imports_nothing_heavy():
    script = (
        "import sys\nsys.argv = ['kelp', '--help']\nfrom kelp.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'cv2', 'pydantic', 'httpx', 'grpc', 'rich', 'yaml', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_loaded_and_says_what_it_does(name):
    command = load(name)
    assert command.name == name
    assert command.help


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["explode"], 2, "explode"),
        (["infer"], 2, "Missing argument"),
        (["infer", "reef", "/nowhere.jpg"], 2, "/nowhere.jpg: no such file"),
        (["models"], 3, f"no V2 server answers at {NOBODY} (KELP_V2_URL); `kelp up` starts"),
        (["runs"], 3, "no bridge answers"),
        (["runs", "-o", "json"], 3, "no bridge answers"),
        (["runs", "-o", "json", "cancel", "1"], 2, "kelp runs cancel -o json"),
        (["annotate", "--model", "reef"], 2, "exactly one of --job, --task and --project"),
        (["annotate", "--model", "reef", "--job", "1", "--task", "2"], 2, "exactly one of"),
        (["annotate", "--model", "reef", "--job", "1", "--set", "conf"], 2, "expected NAME=VALUE"),
        (["card", "check", "/nowhere.yaml"], 2, "/nowhere.yaml: cannot be read"),
        (["up", "--models", "/nowhere"], 2, "/nowhere: expected a folder of model cards"),
        (["up", "--budget", "banana"], 2, "KELP_BUDGET: expected memory (12Gi), GPUs (gpus=2)"),
        (["up", "--settings", "/nowhere.env"], 2, "/nowhere.env: no such settings file"),
        (["bench", "--function-url", "reef", "--test-images", "."], 2, "no images"),
    ],
)
def test_an_error_is_one_line_and_a_code_that_means_something(arguments, code, text):
    done = run_kelp(*arguments, KELP_V2_URL=NOBODY, KELP_BRIDGE_URL=NOBODY)
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    if code != 2 or "kelp:" in done.stderr:
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["KELP_V2_URL", "KELP_BRIDGE_URL"])
@pytest.mark.parametrize("address", ["127.0.0.1:8100", "ftp://reef", "http://"])
def test_an_address_that_is_none_is_a_wrong_setting_not_a_server_that_is_away(name, address):
    done = run_kelp("models" if name == "KELP_V2_URL" else "runs", **{name: address})
    assert done.returncode == 2
    assert done.stderr.startswith(f"kelp: {name}: expected an address such as http://")


def test_settings_that_contradict_each_other_are_named_once():
    done = run_kelp("up", "--host", "0.0.0.0")
    assert done.returncode == 2
    assert done.stderr.startswith("kelp: KELP_V2_HOST 0.0.0.0 ")


def test_twice_verbose_shows_where_an_error_came_from():
    done = run_kelp("models", "-v", "-v", KELP_V2_URL=NOBODY)
    assert done.returncode == 3
    assert "Traceback" in done.stderr


def test_settings_of_a_file_are_used_and_the_environment_wins(tmp_path):
    (tmp_path / "kelp.env").write_text("KELP_BUDGET=lots\nKELP_V2_PORT=70000\n")
    done = run_kelp("up", "--settings", tmp_path / "kelp.env", KELP_BUDGET="1Gi")
    assert done.returncode == 2
    assert "KELP_V2_PORT" in done.stderr
    assert "KELP_BUDGET" not in done.stderr


def test_a_bridge_or_predictor_that_cannot_start_ends_with_its_own_code(tmp_path):
    card = tmp_path / "reef.yaml"
    card.write_text("name: reef\nruntime: none\ntask: segment\nweights: {uri: w}\n")
    (tmp_path / "w").write_bytes(b"w")
    done = run_process("serve", card, "--port", "0", "--grpc-port", "0")
    assert done.returncode == 3
    assert "no runtime 'none'" in done.stderr
    assert run_process("bridge", KELP_PORT="70000").returncode == 2


def test_a_port_that_is_taken_is_named_with_its_holder(tmp_path):
    card = tmp_path / "reef.yaml"
    card.write_text("name: reef\nruntime: yolo\ntask: segment\nweights: {uri: w}\n")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run_process("serve", card, "--port", port, "--grpc-port", "0")
    assert done.returncode == 3
    assert f"port {port} is taken by process {os.getpid()}" in done.stderr
    assert "--port" in done.stderr


def test_a_bridge_that_does_not_take_its_settings_ends_kelp_up_with_its_message(tmp_path):
    write_card(tmp_path / "models", "reef")
    done = run_process(
        "up", KELP_MODELS=str(tmp_path / "models"), KELP_CACHE=str(tmp_path), KELP_V2_PORT="0", KELP_V2_GRPC_PORT="0",
        KELP_PORT="0", KELP_METRICS_PORT="0", KELP_CVAT_URL="ftp://reef",
    )  # fmt: skip
    assert done.returncode == 2
    assert "KELP_CVAT_URL: expected an address" in done.stderr
    assert "the bridge cannot start" in done.stderr.splitlines()[-1]
    assert done.stderr.count("bridge_started") == 1


def test_cards_are_checked_line_by_line(tmp_path):
    good = {"name": "reef", "runtime": "yolo", "task": "segment", "weights": {"uri": "w"}}
    (tmp_path / "w").write_bytes(b"w")
    (tmp_path / "good.yaml").write_text(json.dumps(good))
    assert "good.yaml: reef: ok" in run_kelp("card", "check", tmp_path).stdout
    (tmp_path / "bad.yaml").write_text(json.dumps({**good, "task": "fly", "colour": "red"}))
    done = run_kelp("card", "check", tmp_path)
    assert done.returncode == 1
    assert "bad.yaml: task:" in done.stderr
    assert "bad.yaml: colour: unknown field" in done.stderr
    assert "good.yaml: reef: ok" in done.stdout
    listed = json.loads(run_kelp("card", "check", tmp_path, "-o", "json").stdout)
    assert [entry["ok"] for entry in listed] == [False, True]
    (tmp_path / "bad.yaml").write_text(json.dumps(good))
    twice = run_kelp("card", "check", tmp_path)
    assert twice.returncode == 1
    assert "already described" in twice.stderr
    assert [entry["ok"] for entry in json.loads(run_kelp("card", "check", tmp_path, "-o", "json").stdout)] == [
        True,
        False,
    ]


def test_a_wrong_field_does_not_hide_what_is_wrong_with_the_others(tmp_path):
    card = tmp_path / "reef.yaml"
    labels = [{"name": "a"}, {"name": "b"}, {"name": "a"}, {"name": "b"}]
    given = {
        **WHOLE, "runtime": "nope", "colour": "red", "grid_shape": [1, 1], "labels": labels,
        "settings": {"conf_threshold": 7},
    }  # fmt: skip
    card.write_text(json.dumps(given))
    done = run_kelp("card", "check", card)
    assert done.returncode == 1
    assert {line.removeprefix(f"kelp: {card}: ").partition(": ")[0] for line in done.stderr.splitlines()} == {
        "colour", "grid_shape", "labels.2.name", "labels.3.name", "weights", "runtime", "settings.conf_threshold",
    }  # fmt: skip
    card.write_text(json.dumps({**given, "runtime": "yolo", "settings": {"no_such": 1}}))
    assert "settings.no_such: unknown setting" in run_kelp("card", "check", card).stderr


@pytest.mark.parametrize(
    ("field", "value"), [("name", "A Reef"), ("runtime", 7), ("task", "fly"), ("weights", {"url": "w"}), ("version", 7)]
)
def test_nothing_is_said_of_what_stands_in_for_a_wrong_field(tmp_path, field, value):
    (tmp_path / "w").write_bytes(b"w")
    card = tmp_path / "reef.yaml"
    card.write_text(json.dumps({**WHOLE, field: value, "colour": "red"}))
    lines = [line.removeprefix(f"kelp: {card}: ") for line in run_kelp("card", "check", card).stderr.splitlines()]
    faults = [line.partition(":")[0].partition(".")[0] for line in lines if "not checked" not in line]
    assert set(faults) == {field, "colour"}
    assert len(set(lines)) == len(lines)


def test_a_card_that_is_missing_does_not_hide_what_is_wrong_with_the_others(tmp_path):
    (tmp_path / "w").write_bytes(b"w")
    (tmp_path / "a.yaml").write_text(json.dumps({**WHOLE, "colour": "red"}))
    (tmp_path / "good.yaml").write_text(json.dumps(WHOLE))
    (tmp_path / "empty").mkdir()
    names = ["a.yaml", "missing.yaml", "empty", "good.yaml"]
    done = run_kelp("card", "check", *(tmp_path / name for name in names))
    assert done.returncode == 2
    for told in ("a.yaml: colour: unknown", "missing.yaml: cannot be read", "empty: holds no model card"):
        assert told in done.stderr
    assert "good.yaml: reef: ok" in done.stdout
    listed = json.loads(run_kelp("card", "check", *(tmp_path / name for name in names), "-o", "json").stdout)
    assert [entry["ok"] for entry in listed] == [False, False, False, True]


WHOLE = {"name": "reef", "runtime": "yolo", "task": "segment", "weights": {"uri": "w"}}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"weights": {"uri": "ftp://reef/best.pt"}},
            ["weights: ftp://reef/best.pt: expected a path or one of https://"],
        ),
        (
            {"weights": {"uri": "http://reef/best.pt"}},
            ["weights: http://reef/best.pt: http:// is taken only with a sha256"],
        ),
        ({"weights": {"uri": "hf://reef"}}, ["weights: hf://reef: expected hf://organisation/repository"]),
        ({"weights": {"uri": "s3:///best.pt"}}, ["expected a server's or bucket's name"]),
        ({"weights": {"uri": "nowhere.pt"}}, ["weights: ", "nowhere.pt: no such file"]),
        ({"weights": {"uri": "w", "sha256": "0" * 64}}, ["weights: ", "wrong content: expected sha256 0000"]),
        (
            {"weights": {"uri": ".", "files": {"a": {"file": "x"}, "b": {"file": "w", "sha256": "1" * 64}}}},
            ["weights.files.a: ", "weights.files.b: ", "wrong content"],
        ),
        ({"runtime": "yollo"}, ["runtime: no runtime 'yollo'; there are: "]),
        ({"task": "inpaint"}, ["runtime: reef: runtime 'yolo' has the tasks"]),
        ({"settings": {"conf_treshold": 0.5}}, ["settings.conf_treshold: unknown setting", "conf_threshold"]),
        (
            {"settings": {"conf_threshold": 1.5, "iou_threshold": "much"}, "weights": {"uri": "nowhere.pt"}},
            [
                "settings.conf_threshold: ",
                "from 0 to 1, got 1.5",
                "settings.iou_threshold: ",
                "nowhere.pt: no such file",
            ],
        ),
        ({"runtime": "yollo", "settings": {"max_detections": 0}}, ["no runtime 'yollo'", "settings.max_detections: "]),
    ],
)
def test_a_card_that_would_not_be_served_is_told_before(tmp_path, changed, told):
    card = tmp_path / "reef.yaml"
    card.write_text(json.dumps({**WHOLE, **changed}))
    (tmp_path / "w").write_bytes(b"w")
    done = run_kelp("card", "check", card)
    assert done.returncode == 1
    assert done.stdout == ""
    for text in told:
        assert text in done.stderr
    assert all(line.startswith(f"kelp: {card}: ") for line in done.stderr.splitlines())


def test_what_a_cluster_mounts_and_what_is_far_away_is_taken_as_it_is(tmp_path):
    for name, uri in (("mounted", "pvc://claim/best.pt"), ("far", "https://reef.example/best.pt")):
        (tmp_path / f"{name}.yaml").write_text(json.dumps({**WHOLE, "name": name, "weights": {"uri": uri}}))
    assert run_kelp("card", "check", tmp_path).returncode == 0


def test_weights_far_away_are_fetched_and_verified_on_demand(tmp_path):
    server = FileServer()
    server.files["/w"] = b"w"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    card = tmp_path / "reef.yaml"
    card.write_text(json.dumps({**WHOLE, "weights": {"uri": f"{server.url}/w", "sha256": "0" * 64}}))
    try:
        assert run_kelp("card", "check", card, KELP_CACHE=str(tmp_path / "cache")).returncode == 0
        done = run_kelp("card", "check", card, "--weights", KELP_CACHE=str(tmp_path / "cache"))
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 1
    assert "wrong content" in done.stderr


def test_the_schema_is_one_that_editors_take():
    from jsonschema import Draft202012Validator

    schema = json.loads(run_kelp("card", "schema").stdout)
    Draft202012Validator.check_schema(schema)
    assert schema["title"] == "Kelp model card"


def test_completion_knows_the_commands():
    done = run_process(_KELP_COMPLETE="complete_bash", COMP_WORDS="kelp ver", COMP_CWORD="1")
    assert set(done.stdout.split()) == {"verify", "version"}


def test_version_without_servers():
    done = run_kelp("version", "--client", "-o", "json")
    assert set(json.loads(done.stdout)) == {"client"}
