"""Every link that breaks on a first evening, provoked, and the line that says what to do about it."""

from __future__ import annotations

import json
import re

import pytest
from httpx import BasicAuth, Client

from tests.local.conftest import eventually, write_card
from tests.pipeline.conftest import CORALS, CORNERS, NOBODY, ONE, THREE, free_port
from tests.support.cvat import stand_in_process
from tests.support.receiver import Answer, Receiver

GUARD = (
    b"Egress proxying is denied to host '10.20.30.40:8000': The destination address (10.20.30.40) was denied by rule "
    b"'Deny: Private Range'. destination address was denied by rule, see error.\n"
)


def line_of(text: str, link: str) -> str:
    """The one line that fails for `link`."""
    lines = [line for line in text.splitlines() if line.startswith("FAILS") and line[7:].startswith(link)]
    assert len(lines) == 1, text
    return lines[0]


def test_a_pipeline_that_works_says_so_of_every_link(live) -> None:
    live.write({"corals": {"webhooks": {"w": {"detect": "corals"}, "v": {"detect": "corners", "on": "created"}}}})
    live.apply()
    text = live.check(0)
    assert "FAILS" not in text
    for link in (
        "CVAT: it answers",
        "account: ",
        "bridge: it answers",
        "model corals: ",
        "model corners: ",
        "ping of ",
    ):
        assert any(line.startswith("ok ") and link in line for line in text.splitlines()), link
    assert live.apply().stdout == "nothing to do\n"  # a check changes nothing


def test_the_three_stages_work_from_end_to_end(live) -> None:
    live.write(THREE)
    assert "FAILS" not in live.apply().stdout
    text = live.check(0)
    assert text.count("CVAT reaches the bridge, which accepts the secret") == 5
    assert live.apply().stdout == "nothing to do\n"


@pytest.mark.parametrize(
    ("labels", "crop", "told"),
    [
        (["corals"], {}, "it has no skeleton of 4 points, the corners to crop by"),
        (["corners"], {"label": "square"}, "it has no label 'square' with the corners to crop by"),
        (["corals"], {"label": "Acropora"}, None),
        (["corners"], {}, None),
    ],
)
def test_a_crop_needs_a_label_with_four_points(live, labels, crop, told) -> None:
    live.write({"raw": {"labels": labels, "webhooks": {"crop": {"crop": "cropped", **crop}}}, "cropped": {}})
    live.apply()
    text = live.check(0 if told is None else 1)
    if told is not None:
        assert told in line_of(text, "points for webhook 'crop'")


def test_the_model_that_removes_grids_is_unknown(live) -> None:
    live.write({"a": {"labels": ["gridpose"], "webhooks": {"off": {"remove-grid": "b", "model": "nobody"}}}, "b": {}})
    live.apply(code=5)
    assert "the bridge knows no such model: no model 'nobody'" in line_of(live.check(1), "ping of webhook 'off'")


def test_a_parameter_that_the_bridge_refuses(live, tmp_path) -> None:
    """The card here names it among its settings, the one that is served does not."""
    write_card(tmp_path / "models", "corals", labels=CORALS, settings={"sharpness": 1})
    live.environment["KELP_MODELS"] = str(tmp_path / "models")
    live.write({"corals": {"webhooks": {"w": {"detect": "corals", "settings": {"sharpness": 3}}}}})
    live.apply(code=5)
    line = line_of(live.check(1), "ping of webhook 'w'")
    assert "the bridge answered 400: unknown parameter 'sharpness'" in line
    assert f"Correct the webhook in {live.file} and apply it" in line


def test_cvat_is_down(bench) -> None:
    bench.write(ONE)
    text = bench.check(3, KELP_CVAT_URL=NOBODY)
    assert line_of(text, "CVAT").startswith(f"FAILS  CVAT: no CVAT answers at {NOBODY} (KELP_CVAT_URL)")
    assert "Start CVAT, or correct KELP_CVAT_URL" in line_of(text, "CVAT")


def test_something_else_answers_in_cvats_place(bench) -> None:
    bench.write(ONE)
    with Receiver(lambda received: Answer(200, b"<html>a page</html>")) as receiver:
        text = bench.check(1, KELP_CVAT_URL=receiver.url(""))
    assert "KELP_CVAT_URL must be CVAT's own address" in line_of(text, "CVAT")


def test_the_password_is_wrong(bench) -> None:
    bench.write(ONE)
    text = bench.check(4, KELP_CVAT_PASSWORD="not-it")
    assert f"CVAT does not accept the user '{bench.cvat.user}' with that password" in line_of(text, "account")
    assert "Correct KELP_CVAT_USER and KELP_CVAT_PASSWORD" in line_of(text, "account")
    assert "not-it" not in text


def test_the_token_is_wrong(bench) -> None:
    bench.write(ONE)
    text = bench.check(4, KELP_CVAT_USER="", KELP_CVAT_PASSWORD="", KELP_CVAT_TOKEN="no-token-of-anybody")
    assert "CVAT does not accept the token" in line_of(text, "account")
    assert "Make a new personal access token for KELP_CVAT_TOKEN" in line_of(text, "account")
    assert "no-token-of-anybody" not in text


def test_the_organization_is_none(bench) -> None:
    bench.write(ONE)
    text = bench.check(4, KELP_CVAT_ORG="nowhere-at-all")
    assert "CVAT has no organization 'nowhere-at-all' for this account" in line_of(text, "account")
    assert "Correct KELP_CVAT_ORG" in line_of(text, "account")


def test_the_account_has_no_permission(bench) -> None:
    accounts = ("--user", "kelp:kelp-password-1", "--user", "ann:ann-password-1")
    with stand_in_process(*accounts) as server:
        with Client(base_url=server.url, auth=BasicAuth(server.user, server.password), trust_env=False) as http:
            project = http.post("/api/projects", json={"name": "kelp's own"}).json()["id"]
        bench.write({"corals": {**ONE["corals"], "id": project}})
        text = bench.check(
            4, KELP_CVAT_URL=server.url, KELP_CVAT_USER="ann", KELP_CVAT_PASSWORD="ann-password-1"
        )  # fmt: skip
    line = line_of(text, "permission")
    assert f"CVAT does not show project {project} to this account" in line
    assert "The account needs the group user, and must own the project" in line


def test_nothing_was_applied_yet(live) -> None:
    live.write(ONE)
    text = live.check(1)
    line = line_of(text, f"project '{live.title('corals')}'")
    assert line.endswith(f"it is not in CVAT. `kelp pipeline apply {live.file}` makes it")


def test_the_bridge_is_down(live) -> None:
    live.write(ONE)
    gone = f"http://{live.cvat.bridge_host}:{free_port()}"
    live.apply("--no-ping", KELP_PUBLIC_URL=gone)
    text = live.check(3, KELP_PUBLIC_URL=gone, KELP_BRIDGE_URL=gone)
    assert "it is down: nobody answers at" in line_of(text, "bridge")
    assert "Start it: `kelp up`, or `kelp bridge`" in line_of(text, "bridge")
    assert "The bridge is down: start it first" in line_of(text, "ping of webhook 'corals'")


def test_the_bridge_is_up_but_cvat_does_not_reach_it(live) -> None:
    live.write(ONE)
    wrong = f"http://127.0.0.1:{free_port()}"
    live.apply("--no-ping", KELP_PUBLIC_URL=wrong)
    text = live.check(3, KELP_PUBLIC_URL=wrong)
    line = line_of(text, "ping of webhook 'corals'")
    here = live.environment["KELP_BRIDGE_URL"]
    assert f"CVAT does not reach {wrong}: no connection; from here the bridge answers at {here}" in line
    assert "127.0.0.1 is CVAT's own machine or container" in line
    assert re.search(r"ok +bridge: it answers at", text)


def test_from_here_the_bridge_is_not_seen_but_cvat_reaches_it(live) -> None:
    live.write(ONE)
    live.apply()
    text = live.check(0, KELP_BRIDGE_URL=NOBODY)
    assert "KELP_BRIDGE_URL is its address as seen from here" in text


@pytest.mark.parametrize("status", [407, 502])
def test_cvats_guard_refuses_the_bridges_address(live, status) -> None:
    """Smokescreen answers in the bridge's place, which CVAT writes down as the bridge's own answer."""
    with Receiver(lambda received: Answer(status, GUARD), live.cvat.server.bind_host) as receiver:
        live.write(ONE, bridge=receiver.url("", live.cvat.bridge_host))
        live.apply("--no-ping")
        line = line_of(live.check(3), "ping of webhook 'corals'")
    assert "CVAT's guard against private addresses refuses" in line
    assert "SMOKESCREEN_OPTS=--allow-range=10.20.30.40/32 (helm: smokescreen.opts)" in line


def test_the_guard_says_why_it_does_not_connect(live) -> None:
    told = b"Failed to resolve remote hostname: lookup bridge.kelp: no such host"
    with Receiver(lambda received: Answer(502, told), live.cvat.server.bind_host) as receiver:
        live.write(ONE, bridge=receiver.url("", live.cvat.bridge_host))
        live.apply("--no-ping")
        assert "lookup bridge.kelp: no such host" in line_of(live.check(3), "ping of webhook 'corals'")


def test_another_program_has_the_bridges_address(live) -> None:
    for answer in (Answer(200, b"welcome"), Answer(404, b"<html>nothing here</html>")):
        with Receiver(lambda received, answer=answer: answer, live.cvat.server.bind_host) as receiver:
            live.write(ONE, bridge=receiver.url("", live.cvat.bridge_host))
            live.apply("--no-ping")
            line = line_of(live.check(1), "ping of webhook 'corals'")
        assert "not as the bridge does" in line
        assert "nother program" in line


def test_the_secret_is_wrong(live) -> None:
    live.write(ONE)
    live.apply()
    hook = live.webhooks("corals")[0]["id"]
    live.cvat.call("PATCH", f"/api/webhooks/{hook}", json={"secret": "not-the-bridges"})
    line = line_of(live.check(4), "ping of webhook 'corals'")
    assert "wrong secret" in line
    assert f"`kelp pipeline apply {live.file} --rotate-secret`" in line


def test_the_model_is_unknown_to_the_bridge(live, tmp_path) -> None:
    write_card(tmp_path / "models", "elsewhere", labels=CORALS)
    live.environment["KELP_MODELS"] = str(tmp_path / "models")
    live.write({"corals": {"webhooks": {"w": {"detect": "elsewhere"}}}})
    live.apply(code=5)
    text = live.check(1)
    line = line_of(text, "ping of webhook 'w'")
    assert "the bridge knows no such model: no model 'elsewhere'; there are: broken, corals, corners" in line
    assert f"Correct the name in {live.file}, or bring the model" in line
    assert "there is none of that name at" in line_of(text, "model elsewhere")


def test_the_model_fails(live, platform) -> None:
    with Client(base_url=platform.up.url, timeout=60, trust_env=False) as http:
        http.post("/v2/models/broken/infer", json={"inputs": []})
    eventually(lambda: platform.up.state("broken") == "failing")
    live.write({"corals": {"webhooks": {"w": {"detect": "broken"}}}})
    live.apply()
    line = line_of(live.check(1), "model broken")
    assert "it is failing: " in line
    assert "no-such-file.bin" in line
    assert "`kelp logs broken` has more" in line


def test_labels_are_missing(live) -> None:
    live.write(ONE)
    live.apply()
    project, porites = live.project("corals"), live.labels("corals")["Porites"]["id"]
    live.cvat.call("PATCH", f"/api/projects/{project}", json={"labels": [{"id": porites, "deleted": True}]})
    line = line_of(live.check(1), f"labels of '{live.title('corals')}'")
    assert line.endswith(f"the label Porites is missing. `kelp pipeline apply {live.file}` adds what is missing")


def test_labels_that_nobody_tells_are_said_to_be_unknown(live) -> None:
    """The numpy family's weights carry no names: the project's labels are written out instead."""
    live.write({"a": {"labels": [{"name": "red"}], "webhooks": {"w": {"detect": "nameless"}}}})
    live.apply()
    text = live.check(0)
    assert any(line.startswith("? ") and "leaves its labels to the weights" in line for line in text.splitlines())


def of_labels(text: str, title: str) -> list[str]:
    return [line for line in text.splitlines() if f"labels of '{title}'" in line]


def test_a_label_map_leads_to_a_label_that_apply_makes(live) -> None:
    webhook = {"detect": "corals", "label_map": {"Acropora": "staghorn", "Porites": None}}
    project = live.cvat.project([{"name": "rubbish", "type": "polygon"}], name=live.title("a"))
    live.write({"a": {"id": project, "labels": ["reef", {"name": "Rubbish"}], "webhooks": {"w": webhook}}})
    done = live.apply()
    assert "label 'staghorn' (polygon) is added: a label_map leads to it" in done.stdout
    assert set(live.labels("a")) == {"rubbish", "red", "green", "blue", "staghorn"}
    (line,) = of_labels(live.check(0), "a")
    assert line.startswith("ok")
    assert live.apply().stdout == "nothing to do\n"

    live.cvat.call("DELETE", f"/api/labels/{live.labels('a')['staghorn']['id']}")
    line = line_of(live.check(1), "labels of 'a'")
    assert line.endswith(f"the label staghorn is missing. `kelp pipeline apply {live.file}` adds what is missing")
    live.apply()
    live.check(0)


def test_a_label_that_a_label_map_leads_to_keeps_the_type_that_people_gave_it(live) -> None:
    labels = [{"name": "Staghorn", "type": "polyline"}]
    project = live.cvat.project(labels, name=live.title("a"))
    live.write({"a": {"id": project, "labels": [], "webhooks": {
        "w": {"detect": "corals", "labels": "Acropora", "label_map": {"Acropora": "staghorn"}},
    }}})  # fmt: skip
    assert "project" not in live.apply().stdout.splitlines()[0]
    assert {name: row["type"] for name, row in live.labels("a").items()} == {"Staghorn": "polyline"}
    live.check(0)


def test_a_label_map_of_a_model_whose_labels_nobody_tells(live) -> None:
    live.write({"a": {"labels": ["reef"], "webhooks": {"w": {"detect": "nameless", "label_map": {"1": "staghorn"}}}}})
    live.apply()
    line = line_of(live.check(1), f"labels of '{live.title('a')}'")
    assert "`label_map` of webhook 'w' leads to the label staghorn, which the project lacks: every run fails" in line
    live.write({"a": {"labels": ["reef", {"name": "staghorn"}], "webhooks": {
        "w": {"detect": "nameless", "label_map": {"1": "staghorn"}},
    }}})  # fmt: skip
    live.apply()
    live.check(0)


def test_labels_that_the_file_leaves_out_are_told_and_no_fault(live) -> None:
    live.write({"a": {"labels": [{"name": "acropora"}], "webhooks": {"w": {"detect": "corals"}}}})
    live.apply()
    (line,) = of_labels(live.check(0), live.title("a"))
    assert line.startswith("?")
    assert "the project lacks the label Porites; what corals finds of that is left out" in line
    advised = f"add `corals` to its `labels` in {live.file}; then `kelp pipeline apply {live.file}`"
    assert advised in line
    live.write({"a": {"labels": ["corals", {"name": "acropora"}], "webhooks": {"w": {"detect": "corals"}}}})
    live.apply()
    live.check(0)


def test_a_project_without_any_label_of_its_model_gets_advice_that_helps(live) -> None:
    live.write({"a": {"labels": ["reef"], "webhooks": {"w": {"detect": "corals"}}}})
    live.apply()
    line = line_of(live.check(1), f"labels of '{live.title('a')}'")
    assert "webhook 'w': the project has no label of corals, so every run fails" in line
    assert f"Add `corals` to its `labels` in {live.file}; then `kelp pipeline apply {live.file}`" in line
    live.write({"a": {"labels": ["reef", "corals"], "webhooks": {"w": {"detect": "corals"}}}})
    live.apply()
    (line,) = of_labels(live.check(0), live.title("a"))
    assert line.startswith("ok")


def test_a_model_that_is_served_for_another_task_than_its_card_here_says(live, tmp_path) -> None:
    write_card(tmp_path / "models", "corals", task="inpaint", labels=[], grid_shape=[9, 13])
    write_card(tmp_path / "models", "painter")
    live.environment["KELP_MODELS"] = str(tmp_path / "models")
    live.write({
        "a": {"labels": ["gridpose"], "webhooks": {"off": {"remove-grid": "b", "model": "corals"}}},
        "b": {"labels": [{"name": "red"}], "webhooks": {"w": {"detect": "painter"}}},
    })  # fmt: skip
    live.apply("--no-ping")
    text = live.check(1)
    assert "it removes no grids: its task is segment. Name another in" in line_of(text, "model corals")
    assert "it detects nothing: its task is inpaint. Name another in" in line_of(text, "model painter")


def test_the_skeleton_is_different(live) -> None:
    parts = [{"name": name, "type": "points", "attributes": []} for name in ("1", "2", "3", "four")]
    live.cvat.project([{**CORNERS, "sublabels": parts}], name=live.title("raw"))
    live.write({"raw": {"webhooks": {"w": {"detect": "corners"}}}})
    line = line_of(live.check(1), f"labels of '{live.title('raw')}'")
    assert "the skeleton 'quadrat' is different: it lacks the point 4" in line
    assert line.endswith(f"`kelp pipeline apply {live.file}` makes it anew")
    live.apply()
    assert "the skeleton" not in live.check(0)


def test_the_target_project_is_gone(live) -> None:
    live.write({"raw": {"labels": ["corners"], "webhooks": {"crop": {"crop": "cropped"}}}, "cropped": {}})
    live.apply("--no-ping")
    target = live.project("cropped")
    live.cvat.remove_project(target)
    line = line_of(live.check(1), "webhook 'crop' of")
    assert f"its target is gone: CVAT has no project {target} any more" in line
    assert f"`kelp pipeline apply {live.file}` makes the project anew and points it to" in line


def test_a_webhook_differs(live) -> None:
    live.write(ONE)
    live.apply()
    hook = live.webhooks("corals")[0]["id"]
    live.cvat.call("PATCH", f"/api/webhooks/{hook}", json={"is_active": False})
    line = line_of(live.check(1), "webhook 'corals' of")
    assert "it differs: is_active: False → True" in line


def test_json_has_a_line_a_link(live) -> None:
    live.write(ONE)
    done = live.run("check", "-o", "json")
    told = json.loads(done.stdout)
    assert {entry["state"] for entry in told} <= {"ok", "fails", "unknown"}
    assert all(entry["advice"] for entry in told if entry["state"] == "fails")
    assert done.returncode == 1
