"""What no database column holds is refused or left out, on each database alike: never a 5xx."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.bridge.recorded import by_place
from tests.support.bridge import BridgeProcess
from tests.support.cvat import SECRET
from tests.support.postgres import Postgres

STARTED = by_place("05:34").payload
PATH = "/detect-model-webhook?model_name=numpy-reef"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def bridge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BridgeProcess]:
    """With neither CVAT nor models: what is asked here needs none."""
    env = {"KELP_CVAT_URL": "http://127.0.0.1:9"}
    if request.param == "postgresql":
        cluster: Postgres = request.getfixturevalue("postgres")
        env["KELP_DATABASE_URL"] = cluster.database()
    with BridgeProcess(tmp_path_factory.mktemp("strange"), env=env) as process:
        yield process


def deliver(bridge: BridgeProcess, payload: Any, path: str = PATH) -> httpx.Response:
    body = json.dumps(payload).encode()
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return bridge.http.post(bridge.url + path, content=body, headers={"X-Signature-256": signature})


def started(moment: str, **job: Any) -> dict[str, Any]:
    return {**STARTED, "job": {**STARTED["job"], "updated_date": moment, **job}}


def test_a_nul_in_what_people_wrote_is_left_out(bridge: BridgeProcess) -> None:
    sender = {**STARTED["sender"], "username": "ann\0a" + "n" * 200}
    answer = deliver(bridge, {**started("nul\0 in the date"), "sender": sender})
    assert answer.status_code == 202
    assert bridge.get(answer.json()["url"])["caused_by"] == ("anna" + "n" * 200)[:150]


@pytest.mark.parametrize("id_", [2**31, 2**32 + 1, 2**63 - 1])
def test_large_ids_are_kept(bridge: BridgeProcess, id_: int) -> None:
    answer = deliver(bridge, started("large", id=id_, task_id=id_, project_id=id_))
    assert answer.status_code == 202
    run = bridge.get(answer.json()["url"])
    assert (run["job"], run["task"], run["project"]) == (id_, id_, id_)


@pytest.mark.parametrize("id_", [2**63, 10**30, 0, -1, 1.5, "5", None])
def test_ids_that_are_none_are_refused_or_unknown(bridge: BridgeProcess, id_: Any) -> None:
    assert deliver(bridge, started("none", id=id_)).status_code == 400
    around = deliver(bridge, started(f"around {id_}", id=77, task_id=id_, organization=id_))
    assert around.status_code == 202
    assert bridge.get(around.json()["url"])["task"] is None


@pytest.mark.parametrize(
    "query", ["&labels=a%00b", "&label_map=a:b%00", "&own_setting=%00", "&shape=%00", f"&model_name={'m' * 129}"]
)
def test_parameters_that_cannot_be_kept_are_refused(bridge: BridgeProcess, query: str) -> None:
    path = "/detect-model-webhook?" + query.removeprefix("&") if "model_name" in query else PATH + query
    assert deliver(bridge, started("parameters"), path).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/runs/%00", "/api/v1/runs/a%00b/events", "/api/v1/runs?model=%00", "/api/v1/runs?batch=%00",
        "/api/v1/runs?page=1:%00", f"/api/v1/runs?job={2**63}", f"/api/v1/runs?task={10**30}",
        f"/api/v1/runs/{'0' * 32}/frames?after={2**40}",
    ],
)  # fmt: skip
def test_addresses_that_name_nothing_are_the_callers_mistake(bridge: BridgeProcess, path: str) -> None:
    answer = bridge.http.get(bridge.url + path)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "code"}


@pytest.mark.parametrize("page", ["nan:x", "inf:x", "-inf:x", "1e400:x"])
def test_pages_that_lead_nowhere_are_no_fault_of_the_server(bridge: BridgeProcess, page: str) -> None:
    assert bridge.http.get(bridge.url + "/api/v1/runs", params={"page": page}).status_code in {200, 400}


@pytest.mark.parametrize(
    "change",
    [
        {"caused_by": "ann\0a"}, {"model": "numpy\0reef"}, {"job": 2**63}, {"parameters": {"labels": ["a\0b"]}},
        {"parameters": {"label_map": {"a\0": "b"}}},
    ],
)  # fmt: skip
def test_runs_by_hand_that_cannot_be_kept_are_refused(bridge: BridgeProcess, change: dict[str, Any]) -> None:
    answer = bridge.post("/api/v1/runs", {"model": "numpy-reef", "job": 5, **change})
    assert answer.status_code == 400, answer.text
