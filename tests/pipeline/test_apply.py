"""Applying makes what is missing and mends what differs, once; what people made stays."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.local.conftest import write_card
from tests.pipeline.conftest import CORNERS, NOBODY, ONE, THREE, free_port
from tests.support.cvat import SECRET, pictures, stand_in_process
from tests.support.fault_proxy import FaultProxy
from tests.support.receiver import Answer, Receiver

PONG = Answer(200, b'{"outcome": "pong"}')
SHIPPED = Path(__file__).parents[2] / "environments" / "pipelines" / "quadratseg.yaml"


def test_it_makes_three_stages_and_has_nothing_to_do_the_second_time(bench) -> None:
    bench.write(THREE)
    first = bench.apply("--no-ping")
    assert f"+ project '{bench.title('raw')}'" in first.stdout
    assert "labels: quadrat (skeleton)" in first.stdout

    assert list(bench.labels("raw")) == ["quadrat"]
    assert list(bench.labels("cropped")) == ["grid"]
    assert {name: label["type"] for name, label in bench.labels("corals").items()} == {
        "Acropora": "polygon", "Porites": "polygon",
    }  # fmt: skip
    assert bench.labels("corals")["Acropora"]["color"] == "#b07ad0"
    assert [a["name"] for a in bench.labels("corals")["Porites"]["attributes"]] == ["score"]
    for key, label, count in (("raw", "quadrat", 4), ("cropped", "grid", 117)):
        row = bench.labels(key)[label]
        assert sorted(int(part["name"]) for part in row["sublabels"]) == list(range(1, count + 1))
        assert len(re.findall('data-type="element node"', row["svg"])) == count

    corners, crop = bench.webhooks("raw")
    assert corners["target_url"] == f"{NOBODY}/detect-model-webhook?model_name=corners&on=created"
    assert sorted(corners["events"]) == ["create:job", "update:job"]
    assert crop["target_url"] == (
        f"{NOBODY}/crop-quadrat-and-create-new-task-webhook?target_proj_id={bench.project('cropped')}&size=640"
    )
    assert sorted(crop["events"]) == ["update:job", "update:task"]
    remove_grid = bench.webhooks("cropped")[1]
    assert remove_grid["target_url"] == (
        f"{NOBODY}/remove-grid-and-create-new-task-webhook?target_proj_id={bench.project('corals')}&model_name=painter"
    )
    for hook in (corners, crop, remove_grid):
        assert (hook["is_active"], hook["enable_ssl"], hook["content_type"]) == (True, True, "application/json")

    before = [bench.webhooks(key) for key in THREE], bench.projects()
    second = bench.apply("--no-ping")
    assert second.stdout == "nothing to do\n"
    assert ([bench.webhooks(key) for key in THREE], bench.projects()) == before


def test_without_consent_nothing_is_made(bench) -> None:
    bench.write(ONE)
    done = bench.run("apply")  # nobody can be asked here
    assert (done.returncode, bench.projects()) == (2, {})
    assert "--yes" in done.stderr
    shown = bench.run("apply", "--dry-run")
    assert (shown.returncode, bench.projects()) == (0, {})
    assert f"+ webhook 'corals' of '{bench.title('corals')}'" in shown.stdout


def test_what_people_made_stays(bench) -> None:
    bench.write(ONE)
    bench.apply("--no-ping")
    project = bench.project("corals")
    bench.cvat.call("PATCH", f"/api/projects/{project}", json={"labels": [{"name": "rubbish", "type": "polygon"}]})
    acropora = bench.labels("corals")["Acropora"]
    bench.cvat.call("PATCH", f"/api/labels/{acropora['id']}", json={"color": "#010203"})
    theirs = bench.cvat.webhook(project, f"{NOBODY}/theirs", description="ours, not yours")
    before = bench.labels("corals")
    assert bench.apply("--no-ping").stdout == "nothing to do\n"

    porites = bench.labels("corals")["Porites"]
    bench.cvat.call("PATCH", f"/api/projects/{project}", json={"labels": [{"id": porites["id"], "deleted": True}]})
    bench.apply("--no-ping")  # a change of the labels, so that the rest could be hurt
    after = bench.labels("corals")
    assert after.keys() == before.keys()
    assert (after["Acropora"], after["rubbish"]) == (before["Acropora"], before["rubbish"])
    assert bench.cvat.get(f"/api/webhooks/{theirs}")["description"] == "ours, not yours"


def test_what_differs_is_shown_and_changed(bench) -> None:
    bench.write(THREE)
    bench.apply("--no-ping")
    hook = bench.webhooks("corals")[0]
    fields = {"is_active": False, "events": ["update:job"], "target_url": f"{NOBODY}/elsewhere"}
    bench.cvat.call("PATCH", f"/api/webhooks/{hook['id']}", json=fields)
    score = bench.labels("corals")["Porites"]
    bench.cvat.call("PATCH", f"/api/labels/{score['id']}", json={"type": "mask"})
    bench.cvat.call("PATCH", f"/api/projects/{bench.project('raw')}", json={"name": f"{bench.name} renamed"})
    done = bench.apply("--no-ping")
    assert f"name '{bench.name} renamed' → '{bench.title('raw')}'" in done.stdout
    assert "label 'Porites': type mask → polygon" in done.stdout
    assert "events: update:job → create:job, update:job" in done.stdout
    assert "is_active: False → True" in done.stdout
    mended = bench.webhooks("corals")[0]
    assert {**mended, "updated_date": ""} == {**hook, "updated_date": ""}
    assert bench.labels("corals")["Porites"]["type"] == "polygon"
    assert bench.apply("--no-ping").stdout == "nothing to do\n"


def test_a_target_that_is_gone_is_made_anew_and_the_chain_closed(bench) -> None:
    bench.write(THREE)
    bench.apply("--no-ping")
    gone = bench.project("cropped")
    bench.cvat.remove_project(gone)
    bench.apply("--no-ping")
    new = bench.project("cropped")
    assert new != gone
    assert f"target_proj_id={new}&" in bench.webhooks("raw")[1]["target_url"]
    assert len(bench.webhooks("cropped")) == 2


def test_a_webhook_that_left_the_file_is_taken_away_and_only_that(bench) -> None:
    bench.write(THREE)
    bench.apply("--no-ping")
    theirs = bench.cvat.webhook(bench.project("raw"), f"{NOBODY}/detect-model-webhook?model_name=corners")
    bench.write({**THREE, "raw": {"labels": ["corners"], "webhooks": {"crop": {"crop": "cropped", "size": 640}}}})
    done = bench.apply("--no-ping")
    assert "the file does not have it any more" in done.stdout
    left = {hook["id"]: hook["target_url"] for hook in bench.webhooks("raw")}
    assert len(left) == 2
    assert theirs in left


def test_the_bridges_new_address_reaches_every_webhook(bench) -> None:
    bench.write(THREE)
    bench.apply("--no-ping")
    bench.apply("--no-ping", "--bridge", "http://127.0.0.1:10")
    hooks = [hook for key in THREE for hook in bench.webhooks(key)]
    assert len(hooks) == 5
    assert all(hook["target_url"].startswith("http://127.0.0.1:10/") for hook in hooks)


def test_a_project_of_that_name_is_taken_over_but_not_owned(bench) -> None:
    theirs = bench.cvat.project([{"name": "Acropora", "type": "polygon"}], name=bench.title("corals"))
    bench.write(ONE)
    done = bench.apply("--no-ping")
    assert "not made by this pipeline" in done.stderr
    assert bench.project("corals") == theirs
    assert set(bench.labels("corals")) == {"Acropora", "Porites"}
    assert bench.cvat.get(f"/api/projects/{theirs}")["bug_tracker"] == ""
    assert bench.apply("--no-ping").stdout == "nothing to do\n"


def test_two_projects_of_that_name_have_to_be_told_apart(bench) -> None:
    one = bench.cvat.project(name=bench.title("corals"))
    two = bench.cvat.project(name=bench.title("corals"))
    bench.write(ONE)
    done = bench.apply("--no-ping", code=2)
    assert f"projects.corals: CVAT has several projects '{bench.title('corals')}': " in done.stderr
    assert "say which by id" in done.stderr
    bench.write({"corals": {**ONE["corals"], "id": two}})
    bench.apply("--no-ping")
    assert bench.cvat.all("/api/webhooks", project_id=one) == []
    assert len(bench.cvat.all("/api/webhooks", project_id=two)) == 1


def test_a_project_that_the_file_calls_otherwise_is_the_same(bench) -> None:
    bench.write(ONE)
    bench.apply("--no-ping")
    number = bench.project("corals")
    bench.write({"reef": {**ONE["corals"], "name": bench.title("corals")}})
    done = bench.apply("--no-ping")
    assert "the file calls it reef now, not corals" in done.stdout
    assert bench.project("corals") == number
    assert [hook["description"] for hook in bench.webhooks("corals")] == [
        f"Kelp: corals [kelp:pipeline/{bench.name}/reef/corals]"
    ]
    assert bench.apply("--no-ping").stdout == "nothing to do\n"


def test_one_project_cannot_be_two(bench) -> None:
    number = bench.cvat.project(name=bench.title("a"))
    bench.write({"a": {**ONE["corals"], "id": number}, "b": {**ONE["corals"], "id": number}})
    done = bench.apply("--no-ping", code=2)
    assert f"projects.b: is project {number} of CVAT, and so is projects.a" in done.stderr


def test_label_maps_and_forced_types_shape_the_labels(bench) -> None:
    bench.write(
        {
            "mapped": {"webhooks": {"w": {"detect": "corals", "label_map": {"Acropora": "staghorn", "Porites": None}}}},
            "forced": {"labels": [{"model": "corals", "type": "polyline"}, {"name": "rubbish", "type": "mask"}]},
        }
    )
    bench.apply("--no-ping")
    assert {name: label["type"] for name, label in bench.labels("mapped").items()} == {"staghorn": "polygon"}
    assert {name: label["type"] for name, label in bench.labels("forced").items()} == {
        "Acropora": "polyline", "Porites": "polyline", "rubbish": "mask",
    }  # fmt: skip
    assert bench.apply("--no-ping").stdout == "nothing to do\n"


def test_a_skeleton_that_differs_is_made_anew_only_while_nobody_works_on_it(bench) -> None:
    other = {**CORNERS, "sublabels": CORNERS["sublabels"][:3]}
    other = {**other, "sublabels": [{**part, "type": "points", "attributes": []} for part in other["sublabels"]]}
    project = bench.cvat.project([other], name=bench.title("raw"))
    bench.write({"raw": {"webhooks": {"corners": {"detect": "corners"}}}})
    done = bench.apply("--no-ping")
    assert "label 'quadrat' is made anew as a skeleton of 4 points: it lacks the point 4" in done.stdout
    assert len(bench.labels("raw")["quadrat"]["sublabels"]) == 4

    bench.cvat.call("DELETE", f"/api/labels/{bench.labels('raw')['quadrat']['id']}")
    bench.cvat.call("PATCH", f"/api/projects/{project}", json={"labels": [other]})
    bench.cvat.task(project, pictures(1))
    kept = bench.labels("raw")["quadrat"]
    blocked = bench.apply("--no-ping", code=1)
    assert f"! label 'quadrat' of project {project}" in blocked.stdout
    assert "would take the annotations of 1 task along" in blocked.stdout
    assert bench.labels("raw")["quadrat"] == kept


def test_a_project_whose_answer_was_lost_is_found_again(bench) -> None:
    bench.write(THREE)
    with FaultProxy(bench.cvat.url) as proxy:
        proxy.cut_answer(method="POST", path="/api/projects")
        done = bench.run("apply", "--yes", "--no-ping", KELP_CVAT_URL=proxy.url)
    assert done.returncode == 3, done.stderr
    assert len(bench.projects()) == 1
    bench.apply("--no-ping")
    names = [row["name"] for row in bench.cvat.all("/api/projects") if row["name"].startswith(bench.name)]
    assert sorted(names) == sorted(bench.title(key) for key in THREE)


def test_a_webhook_that_the_bridge_refuses_gets_its_secret_anew(live) -> None:
    live.write(ONE)
    live.apply()
    hook = live.webhooks("corals")[0]
    live.cvat.call("PATCH", f"/api/webhooks/{hook['id']}", json={"secret": "somebody-changed-it"})
    done = live.apply()
    assert "secret: set anew, because the bridge refuses the one that CVAT has" in done.stdout
    assert live.cvat.call("POST", f"/api/webhooks/{hook['id']}/ping")["status_code"] == 200
    assert live.apply().stdout == "nothing to do\n"


def test_a_secret_that_the_bridge_does_not_have_yet_shows_in_the_code(live) -> None:
    live.write(ONE)
    live.apply()
    done = live.apply("--rotate-secret", code=5, KELP_WEBHOOK_SECRETS=f"new,{SECRET}")
    assert "wrong secret: the bridge answered 401" in done.stderr
    live.apply(KELP_WEBHOOK_SECRETS=SECRET)


def test_a_secret_that_the_bridge_still_takes_is_left_until_it_is_rotated(live) -> None:
    with Receiver(lambda received: PONG, live.cvat.server.bind_host) as receiver:
        address = receiver.url("", live.cvat.bridge_host)
        live.write(ONE, bridge=address)
        live.apply(KELP_WEBHOOK_SECRETS="an-older-secret")
        assert receiver.received[-1].signed_with("an-older-secret")
        live.apply(KELP_WEBHOOK_SECRETS=f"{SECRET},an-older-secret")
        assert receiver.received[-1].signed_with("an-older-secret")
        done = live.apply("--rotate-secret", KELP_WEBHOOK_SECRETS=f"{SECRET},an-older-secret")
        assert "secret: set anew, asked for" in done.stdout
        assert receiver.received[-1].signed_with(SECRET)


def test_a_secret_of_its_own_comes_from_the_variable_or_file_that_is_named(bench, tmp_path) -> None:
    (tmp_path / "secret").write_text("from-a-file\n")
    with Receiver(lambda received: PONG, bench.cvat.server.bind_host) as receiver:
        bench.write(ONE, bridge=receiver.url("", bench.cvat.bridge_host), secret_from="REEF_SECRET")
        bench.apply(REEF_SECRET_FILE=str(tmp_path / "secret"))
        assert receiver.received[-1].signed_with("from-a-file")


@pytest.mark.parametrize("arguments", [(), ("-o", "json"), ("-o", "yaml"), ("--rotate-secret",)])
def test_no_secret_is_ever_shown(live, arguments) -> None:
    live.write(ONE)
    shown = live.apply(*arguments)
    again = live.apply("--rotate-secret", *[a for a in arguments if a != "--rotate-secret"])
    for done in (shown, again):
        assert SECRET not in done.stdout + done.stderr
        assert live.cvat.password not in done.stdout + done.stderr


def test_json_says_what_was_done(bench) -> None:
    bench.write(ONE)
    told = json.loads(bench.apply("--no-ping", "-o", "json").stdout)
    assert told["applied"] is True
    assert [(step["do"], step["what"]) for step in told["steps"]] == [
        ("create", f"project '{bench.title('corals')}'"),
        ("create", f"webhook 'corals' of '{bench.title('corals')}'"),
    ]
    assert json.loads(bench.apply("--no-ping", "-o", "json").stdout)["steps"] == []


def test_what_does_not_work_yet_is_said_at_once(bench) -> None:
    bench.write(ONE)
    done = bench.apply(code=5)
    assert f"CVAT does not reach {NOBODY}: no connection; nor does the bridge answer from here" in done.stderr
    assert "The bridge is down: start it first" in done.stderr
    assert "up:" not in done.stderr
    assert "SMOKESCREEN_OPTS" not in done.stderr
    again = bench.apply(code=5)
    assert again.stdout == "nothing to do\n"
    assert f"does not reach {NOBODY}" in again.stderr
    assert bench.apply("--no-ping").stderr == ""


def test_a_bridge_that_answers_from_here_alone_is_told_from_one_that_is_down(live) -> None:
    live.write(ONE)
    wrong = f"http://127.0.0.1:{free_port()}"
    done = live.apply(code=5, KELP_PUBLIC_URL=wrong)
    here = live.environment["KELP_BRIDGE_URL"]
    assert f"CVAT does not reach {wrong}: no connection; from here the bridge answers at {here}" in done.stderr


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(401, b'{"error": "the signature does not fit"}'), "wrong secret"),
        (Answer(400, b'{"error": "unknown parameter \'x\'"}'), "the bridge answered 400: unknown parameter 'x'"),
    ],
)
def test_a_webhook_that_is_refused_ends_apply_with_a_code_of_its_own(live, answer, told) -> None:
    with Receiver(lambda received: answer, live.cvat.server.bind_host) as receiver:
        live.write(ONE, bridge=receiver.url("", live.cvat.bridge_host))
        for arguments in ((), (), ("--rotate-secret",)):  # made, left as it is or given its secret again, rotated
            assert told in live.apply(*arguments, code=5).stderr
        assert json.loads(live.apply("-o", "json", code=5).stdout)["failing"][0]["state"] == "fails"
        assert live.run("apply", "--dry-run").returncode == 0
    live.write(ONE)
    assert json.loads(live.apply("-o", "json").stdout)["failing"] == []


def test_a_webhook_that_a_person_removed_answers_once_and_is_made_again(live) -> None:
    """While a ping is refused, here because the receiver says no, the difference still ends."""
    with Receiver(lambda received: Answer(401, b'{"error": "no"}'), live.cvat.server.bind_host) as receiver:
        live.write(ONE, bridge=receiver.url("", live.cvat.bridge_host))
        done = live.apply(code=5)
        assert "wrong secret" in done.stderr
        live.cvat.call("DELETE", f"/api/webhooks/{live.webhooks('corals')[0]['id']}")
        assert "+ webhook 'corals'" in live.apply(code=5).stdout
    assert len(live.webhooks("corals")) == 1


def test_an_account_that_may_not_make_projects_is_told_what_it_needs(bench) -> None:
    accounts = ("--user", "kelp:kelp-password-1", "--user", "ann:ann-password-1")
    with stand_in_process(*accounts) as server:
        import httpx

        with httpx.Client(base_url=server.url, auth=(server.user, server.password), trust_env=False) as http:
            http.post("/api/organizations", json={"slug": "reef"}).raise_for_status()
            headers = {"X-Organization": "reef"}
            http.post("/api/invitations", json={"email": "ann", "role": "worker"}, headers=headers).raise_for_status()
        bench.write(ONE)
        done = bench.run(
            "apply", "--yes", KELP_CVAT_URL=server.url, KELP_CVAT_USER="ann", KELP_CVAT_PASSWORD="ann-password-1",
            KELP_CVAT_ORG="reef",
        )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "needs the role maintainer in the organization 'reef'" in done.stderr


def test_in_an_organization_everything_belongs_to_it(bench) -> None:
    slug = f"{bench.name}-org"
    organization = bench.cvat.call("POST", "/api/organizations", json={"slug": slug})["id"]
    try:
        bench.write(ONE)
        bench.apply("--no-ping", KELP_CVAT_ORG=slug)
        assert bench.projects()[bench.title("corals")]["organization"] == organization
        assert bench.webhooks("corals")[0]["organization"] == organization
        assert bench.apply("--no-ping", KELP_CVAT_ORG=slug).stdout == "nothing to do\n"
        # Outside of it there is another pipeline of that name.
        assert f"+ project '{bench.title('corals')}'" in bench.run("apply", "--dry-run").stdout
    finally:
        bench.cvat.call("DELETE", f"/api/organizations/{organization}")
        bench.cvat._projects.clear()


def test_the_example_of_the_page_can_be_applied_and_has_its_labels(bench) -> None:
    page = (SHIPPED.parents[2] / "docs" / "pipeline.md").read_text(encoding="utf-8")
    (example,) = [block.split("```")[0] for block in page.split("```yaml\n")[1:] if "projects:" in block]
    project = bench.cvat.project([{"name": "sand", "type": "mask"}], name=bench.title("cropped"))
    for old, new in (("name: reef", f"name: {bench.name}"), ("Photographs", bench.title("raw")), ("12", str(project))):
        assert example.count(old) == 1
        example = example.replace(old, new)
    bench.file.write_text(example)
    models = bench.folder / "shipped"
    shutil.copytree(SHIPPED.parents[1] / "models", models)
    write_card(models, "corals")
    environment = {"KELP_MODELS": str(models)}
    bench.apply("--no-ping", **environment)
    types = {name: row["type"] for name, row in bench.labels("cropped").items()}
    assert (types["Acropora"], types["red"], types["rubbish"], types["staghorn"]) == (
        "any", "polyline", "polygon", "any",
    )  # fmt: skip
    lines = [line for line in bench.check(3, **environment).splitlines() if "labels of" in line]
    assert [line[:2] for line in lines] == ["ok", "ok"]
    assert bench.apply("--no-ping", **environment).stdout == "nothing to do\n"


def test_the_shipped_pipeline_fits_the_shipped_cards(bench) -> None:
    shipped = yaml.safe_load(SHIPPED.read_text())
    projects = {key: {**project, "name": bench.title(key)} for key, project in shipped["projects"].items()}
    text = yaml.safe_dump({**shipped, "name": bench.name, "projects": projects}, sort_keys=False)
    bench.file.write_text(text.replace("true: ", "on: "))  # what `on` was before it was read
    bench.apply("--no-ping", KELP_MODELS=str(SHIPPED.parents[1] / "models"))
    points = {key: [len(label["sublabels"]) for label in bench.labels(key).values()] for key in projects}
    assert (points["raw"], points["cropped"], len(points["corals"])) == ([4], [117], 16)
    assert "on=task_completed" in bench.webhooks("raw")[1]["target_url"]
    again = bench.apply("--no-ping", KELP_MODELS=str(SHIPPED.parents[1] / "models"))
    assert again.stdout == "nothing to do\n"
