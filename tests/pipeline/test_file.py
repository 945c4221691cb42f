"""A pipeline's file that is wrong says so: file, field, what was expected; nothing of CVAT is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kelp.pipeline.errors import PipelineError
from kelp.pipeline.load import load_pipeline, parse_pipeline
from kelp.pipeline.schema import bridge_address
from kelp.pipeline.wanted import same_address
from tests.cli.conftest import run_kelp
from tests.local.conftest import write_card
from tests.support.predictor import NUMPY_RUNTIME

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "environments" / "pipelines" / "quadratseg.yaml"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1, 2]", "p.yaml: expected a mapping of fields"),
        ("name: [", "p.yaml: not YAML"),
        ("name: p", "p.yaml: projects: required, but not there"),
        ("name: P\nprojects: {a: {}}", "p.yaml: name: expected lower-case letters, digits and dashes, got 'P'"),
        ("name: p\nprojects: {}", "p.yaml: projects: "),
        ("name: p\nprojects: {a: {webhook: {}}}", "p.yaml: projects.a.webhook: unknown field"),
        ("name: p\nprojects: {a: {webhooks: {w: {}}}}", "projects.a.webhooks.w: expected exactly one of detect"),
        (
            "name: p\nprojects: {a: {webhooks: {w: {detect: m, crop: a}}}}",
            "p.yaml: projects.a.webhooks.w: expected exactly one of detect",
        ),
        (
            "name: p\nprojects: {a: {webhooks: {w: {detect: m, on: finished}}}}",
            "p.yaml: projects.a.webhooks.w.on.0: Input should be 'started', 'created' or 'completed', got 'finished'",
        ),
        (
            "name: p\nprojects: {a: {webhooks: {w: {crop: b, on: created}}}, b: {}}",
            "p.yaml: projects.a.webhooks.w.on.0: Input should be 'task_completed' or 'jobs_completed'",
        ),
        (
            "name: p\nprojects: {a: {webhooks: {w: {crop: b, size: 0}}}, b: {}}",
            "p.yaml: projects.a.webhooks.w.size: Input should be greater than or equal to 32, got 0",
        ),
        ("name: p\nprojects: {a: {webhooks: {w: {crop: b}}}}", "projects.a.webhooks.w: no project 'b' in this file"),
        ("name: p\nprojects: {a: {webhooks: {w: {crop: a}}}}", "projects.a.webhooks.w: 'a' leads back to 'a'"),
        (
            "name: p\nprojects: {a: {webhooks: {w: {crop: b}}}, b: {webhooks: {v: {remove-grid: a}}}}",
            "projects.a.webhooks.w: 'b' leads back to 'a'",
        ),
        ("name: p\nbridge: http://bridge:8000\nprojects: {a: {}}", "p.yaml: bridge: CVAT takes only hosts with a dot"),
        ("name: p\nprojects: {a: {}}\nname: q", "p.yaml: not YAML: 'name' stands twice"),
        ("name: p\nprojects: {a: {labels: [{name: x, type: blob}]}}", "projects.a.labels.0.type: Input should be"),
    ],
)  # fmt: skip
def test_a_wrong_file_names_its_field(text: str, told: str) -> None:
    with pytest.raises(PipelineError) as caught:
        parse_pipeline(text, source="p.yaml")
    assert told in caught.value.message


def test_on_is_a_word_whatever_yaml_thinks_of_it() -> None:
    for spelled in ("on: created", "'on': [created]", "on: [created]"):
        pipeline = parse_pipeline(f"name: p\nprojects: {{a: {{webhooks: {{w: {{detect: m, {spelled}}}}}}}}}")
        assert pipeline.projects["a"].webhooks["w"].on == ["created"]


@pytest.mark.parametrize(
    "address",
    [
        "http://bridge.kelp:8000",
        "https://10.1.2.3/",
        "http://localhost:8000",
        "http://[::1]:8000",
        "http://b.k.svc.local",
    ],
)
def test_addresses_that_cvat_takes(address: str) -> None:
    assert bridge_address(address) == address.rstrip("/")


@pytest.mark.parametrize(
    "address", ["bridge.kelp:8000", "http://bridge", "http://bridge.kelp2:8000", "ftp://a.b", "http://"]
)
def test_addresses_that_it_does_not_take(address: str) -> None:
    with pytest.raises(ValueError, match=r"http://bridge\.kelp:8000"):
        bridge_address(address)


def test_addresses_are_compared_by_what_they_mean() -> None:
    assert same_address("http://B.x/p?on=created%2Cstarted&a=1", "http://b.x/p?a=1&on=created,started")
    assert not same_address("http://b.x/p?a=1", "http://b.x/p?a=2")
    assert not same_address("http://b.x/p?a=1", "http://b.x/q?a=1")


def test_the_shipped_file_is_the_three_stages() -> None:
    pipeline = load_pipeline(SHIPPED)
    raw, cropped, corals = pipeline.projects.values()
    assert [hook.detect for hook in (raw.webhooks["corners"], cropped.webhooks["grid"], corals.webhooks["corals"])] == [
        "pth-yolo-gridcorners", "pth-yolo-gridpose", "pth-yolo-coralsegv4",
    ]  # fmt: skip
    assert (raw.webhooks["crop"].target, cropped.webhooks["remove-grid"].target) == ("cropped", "corals")
    assert raw.webhooks["crop"].on == cropped.webhooks["remove-grid"].on == ["task_completed"]


@pytest.mark.parametrize(
    ("projects", "told"),
    [
        ({"a": {"webhooks": {"w": {"detect": "nobody"}}}}, "projects.a.webhooks.w.detect: no card 'nobody' in"),
        ({"a": {"labels": ["nobody"]}}, "projects.a.labels.0: no card 'nobody' in"),
        (
            {"a": {"webhooks": {"w": {"detect": "corals", "labels": ["Akropora"]}}}},
            "projects.a.webhooks.w.labels: corals has no label 'Akropora'; it has: Acropora, Porites",
        ),
        (
            {"a": {"labels": [], "webhooks": {"w": {"detect": "corals", "label_map": {"Akropora": "x"}}}}},
            "projects.a.webhooks.w.label_map: corals has no label 'Akropora'; it has: Acropora, Porites",
        ),
        (
            {"a": {"webhooks": {"w": {"detect": "nameless"}}}},
            "projects.a.webhooks.w.detect: the card of 'nameless' leaves its labels to the weights, and no",
        ),
        (
            {"a": {"webhooks": {"w": {"detect": "corals", "settings": {"conf_threshold": 7}}}}},
            "projects.a.webhooks.w.settings.conf_threshold: parameter 'conf_threshold': expected a number from 0 to 1",
        ),
        (
            {"a": {"labels": ["corals", {"model": "corals", "type": "mask"}]}},
            "projects.a.labels.1: label 'Acropora' is of type mask here and polygon in another card",
        ),
        ({"a": {"name": "x"}, "b": {"name": "x"}}, "projects: two have the name 'x'"),
        (
            {"a": {"webhooks": {"w": {"detect": "corals", "settings": {"conf_treshold": 0.4}}}}},
            "projects.a.webhooks.w.settings.conf_treshold: unknown setting; corals has: conf_threshold, iou_threshold, "
            "max_detections, simplify_px. ",
        ),
        (
            {"a": {"webhooks": {"w": {"detect": "corners", "settings": {"simplify_px": 2}}}}},
            "projects.a.webhooks.w.settings.simplify_px: unknown setting; corners has: conf_threshold, ",
        ),
        (
            {"a": {"webhooks": {"w": {"detect": "corals", "settings": {"shape": "mask"}}}}},
            "projects.a.webhooks.w.settings.shape: is a field of the webhook itself, beside settings",
        ),
        (
            {"a": {"webhooks": {"w": {"remove-grid": "b", "model": "corals"}}}, "b": {}},
            "projects.a.webhooks.w.model: 'corals' removes no grids: its task is segment; those that do: painter",
        ),
        (
            {"a": {"webhooks": {"w": {"detect": "painter"}}}},
            "projects.a.webhooks.w.detect: 'painter' detects nothing: its task is inpaint; those that do: broken, ",
        ),
        (
            {"a": {"labels": [{"name": "x"}], "webhooks": {"w": {"detect": "painter"}}}},
            "projects.a.webhooks.w.detect: 'painter' detects nothing: its task is inpaint",
        ),
        ({"a": {"labels": ["painter"]}}, "projects.a.labels.0: 'painter' has no labels: its task is inpaint"),
    ],
)  # fmt: skip
def test_what_only_the_cards_tell_is_an_error_of_the_file_too(bench, projects, told) -> None:
    bench.file.write_text(yaml.safe_dump({"name": "p", "projects": projects}))
    done = bench.run("apply", "--yes", KELP_CVAT_URL="http://127.0.0.1:9")
    assert done.returncode == 2, done.stderr
    assert f"kelp: {bench.file}: {told}" in done.stderr


def test_a_setting_of_the_runtimes_own_counts_where_its_card_has_it(bench) -> None:
    def told(value: object, **environment: str) -> tuple[int, str]:
        bench.write({"a": {"webhooks": {"w": {"detect": "corals", "settings": {"delay_s": value}}}}})
        done = bench.run("apply", "--dry-run", **environment)
        return done.returncode, done.stderr

    code, text = told(1)
    assert (code, "settings.delay_s: unknown setting; corals has: " in text) == (2, True)
    assert "has to stand in its card's settings as well" in text
    # Another card of its runtime tells the bridge of it just as well.
    write_card(bench.folder / "models", "slow", settings={"delay_s": 0.1})
    assert told(1) == (0, "")
    assert told(1, **NUMPY_RUNTIME) == (0, "")
    code, text = told(-1, **NUMPY_RUNTIME)
    assert code == 2
    assert "projects.a.webhooks.w.settings.delay_s: setting 'delay_s': expected a number from 0 to 60, got -1" in text


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"KELP_CVAT_URL": ""}, "KELP_CVAT_URL: not set"),
        ({"KELP_CVAT_PASSWORD": ""}, "KELP_CVAT_USER, KELP_CVAT_PASSWORD: not set"),
        ({"KELP_CVAT_TOKEN": "x"}, "KELP_CVAT_TOKEN and KELP_CVAT_USER exclude each other"),
        ({"KELP_PUBLIC_URL": ""}, "bridge: not there, and KELP_PUBLIC_URL is not set"),
        ({"KELP_WEBHOOK_SECRETS": "x" * 65}, "KELP_WEBHOOK_SECRETS: CVAT takes secrets of at most 64 characters"),
        ({"KELP_CVAT_CA": "/nowhere.pem"}, "KELP_CVAT_CA: /nowhere.pem: No such file"),
        ({"KELP_MODELS": "/nowhere"}, "/nowhere: expected a folder of model cards"),
    ],
)
def test_settings_that_are_missing_are_named(bench, environment, told) -> None:
    bench.write({"a": {}})
    done = bench.run("apply", "--yes", **environment)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr


def test_a_file_that_is_not_there() -> None:
    done = run_kelp("pipeline", "check", "/nowhere.yaml", KELP_CVAT_URL="http://127.0.0.1:9", KELP_CVAT_TOKEN="t")
    assert (done.returncode, done.stderr) == (2, "kelp: /nowhere.yaml: cannot be read: No such file or directory\n")
