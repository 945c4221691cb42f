"""Finding a cluster's models by list and watch: what the API server may do to a watch, and what is known then."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.kube.access import cluster_access
from bridge.kube.api import KubeApi
from bridge.kube.watch import Watched
from bridge.models.cluster import GROUP
from bridge.models.inference_service import InferenceService, is_in_namespace
from kelp.settings.process import SettingsError
from tests.support.kube_api import KubeApiServer, recorded

PATH = f"{GROUP}/namespaces/reef/inferenceservices"
FINAL = recorded("created.jsonl")[-2]["object"]


@pytest.fixture
def server() -> Iterator[KubeApiServer]:
    with KubeApiServer() as running:
        yield running


def service(name: str, **annotations: str) -> dict[str, Any]:
    """A ready one, as KServe left it, under another name."""
    metadata = {"name": name, "generation": 1, "annotations": {"kelp.dev/card": f"kelp-card-{name}", **annotations}}
    url = f"http://{name}.reef.svc.cluster.local"
    return {**FINAL, "metadata": metadata, "status": {**FINAL["status"], "address": {"url": url}}}


@asynccontextmanager
async def watched(
    server: KubeApiServer, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> AsyncIterator[Watched[InferenceService]]:
    monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(folder)))
    api = KubeApi(cluster_access(), **options)
    made = Watched(api, PATH, InferenceService.of)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await api.close()


async def until(condition: Callable[[], Any], deadline_s: float = 20.0) -> None:
    ends = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < ends, "not in time"
        await asyncio.sleep(0.01)


def test_what_came_went_and_changed_is_known(
    server: KubeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def follow() -> None:
        server.put(service("first"))
        server.put(service("somebody-elses", **{"kelp.dev/card": ""}))
        async with watched(server, tmp_path, monkeypatch) as models:
            await until(lambda: server.watching)
            assert set(models.items) == {"first"}
            assert models.problem is None
            server.put(service("second"))
            await until(lambda: set(models.items) == {"first", "second"})
            server.put(service("second", **{"kelp.dev/card": ""}))
            server.put(service("first", **{"kelp.dev/card": "other"}))
            await until(lambda: set(models.items) == {"first"} and models.items["first"].card == "other")
            server.delete("first")
            await until(lambda: not models.items)
        assert server.count("limit=") == 1

    asyncio.run(follow())


def test_a_long_list_comes_in_pages(server: KubeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def follow() -> None:
        for number in range(7):
            server.put(service(f"model-{number}"))
        server.page = 3
        async with watched(server, tmp_path, monkeypatch) as models:
            await until(lambda: models.problem is None)
            assert len(models.items) == 7
        assert server.count("continue=") == 2

    asyncio.run(follow())


def test_a_watch_that_ends_goes_on_where_it_was(
    server: KubeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that happened in between is lost, and nothing is listed again."""

    async def follow() -> None:
        async with watched(server, tmp_path, monkeypatch) as models:
            await until(lambda: server.watching)
            server.put(service("first"))
            await until(lambda: models.items)
            server.end_watches()
            server.put(service("second"))
            server.delete("first")
            await until(lambda: set(models.items) == {"second"})
        assert server.count("limit=") == 1

    asyncio.run(follow())


def test_after_410_everything_is_listed_again(
    server: KubeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def follow() -> None:
        server.put(service("first"))
        async with watched(server, tmp_path, monkeypatch) as models:
            await until(lambda: server.watching)
            server.end_watches()
            server.delete("first")
            server.put(service("second"))
            server.forget_history()
            await until(lambda: set(models.items) == {"second"})
            # As the server says it within a watch.
            await until(lambda: server.watching)
            server.fail_watches(410, "too old resource version: 1 (3279)")
            await until(lambda: server.watching)
            server.put(service("third"))
            await until(lambda: set(models.items) == {"second", "third"})
        assert server.count("limit=") == 3

    asyncio.run(follow())


def test_a_bookmark_moves_on_what_is_too_old(
    server: KubeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A namespace in which nothing happens for hours is not listed again for that."""

    async def follow() -> None:
        async with watched(server, tmp_path, monkeypatch):
            await until(lambda: server.watching)
            server.bookmark()
            server.forget_history()
            server.end_watches()
            await until(lambda: server.count("watch=1") == 2 and server.watching)
        assert server.count("limit=") == 1

    asyncio.run(follow())


def test_a_renewed_token_is_read_again(server: KubeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def follow() -> None:
        async with watched(server, tmp_path, monkeypatch) as models:
            await until(lambda: server.watching)
            server.token = "token-2"
            (tmp_path / "token").write_text("token-2")
            server.end_watches()
            server.put(service("first"))
            await until(lambda: models.items)
            assert models.problem is None

    asyncio.run(follow())


def test_an_api_server_that_is_away_or_refuses_is_told_and_come_back_to(
    server: KubeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def follow() -> None:
        server.put(service("first"))
        async with watched(server, tmp_path, monkeypatch) as models:
            await until(lambda: server.watching)
            denied = 'inferenceservices is forbidden: User "bridge" cannot list resource in the namespace "reef"'
            server.refuse = lambda path: (403, denied)
            server.end_watches()
            await until(lambda: models.problem is not None)
            assert denied in str(models.problem)
            assert set(models.items) == {"first"}, "what was known stays known"
            server.refuse = lambda path: None
            server.put(service("second"))
            await until(lambda: models.problem is None and set(models.items) == {"first", "second"})

    asyncio.run(follow())


def test_a_connection_that_died_in_silence_is_noticed(
    server: KubeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def follow() -> None:
        async with watched(server, tmp_path, monkeypatch, silence_s=0.3):
            await until(lambda: server.count("watch=1") >= 2)

    asyncio.run(follow())


def test_what_is_no_api_server_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: KubeApiServer) -> None:
    async def follow() -> None:
        server.refuse = lambda path: (404, "the server could not find the requested resource")
        async with watched(server, tmp_path, monkeypatch) as models:
            await until(lambda: models.problem != "not listed yet")
            assert "is KServe installed" in str(models.problem)

    asyncio.run(follow())


def test_nowhere_to_look_is_a_setting_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="KELP_V2_URL"):
        cluster_access()
    (tmp_path / "none").write_text("current-context: x\nclusters: []\n")
    with pytest.raises(SettingsError, match="none cannot be used"):
        cluster_access()


def test_a_pod_uses_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(SettingsError, match="no service account token"):
        cluster_access(tmp_path)
    (tmp_path / "namespace").write_text("kelp\n")
    (tmp_path / "token").write_text("abc\n")
    (tmp_path / "ca.crt").write_text(_any_certificate())
    access = cluster_access(tmp_path)
    assert (access.url, access.namespace, access.token.read()) == ("https://10.96.0.1:443", "kelp", "abc")
    assert not access.proxies
    (tmp_path / "token").write_text("def\n")
    assert access.token.read(anew=True) == "def"
    os.remove(tmp_path / "token")
    assert access.token.read(anew=True) == "def"


def _any_certificate() -> str:
    import certifi

    text = Path(certifi.where()).read_text()
    return text[text.index("-----BEGIN") : text.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"


def test_states_as_kserve_wrote_them_while_a_model_was_made() -> None:
    read = [InferenceService.of(event["object"]) for event in recorded("created.jsonl") if event["type"] != "BOOKMARK"]
    assert [service.state for service in read if service] == ["starting"] * 5 + ["asleep"] * 2
    last = read[-1]
    assert last is not None
    assert (last.url, last.card) == ("http://numpy-reef.dev-watch.svc.cluster.local", "kelp-card-numpy-reef")


def test_a_stopped_model_says_so_and_starts_again() -> None:
    read = [InferenceService.of(event["object"]) for event in recorded("stopped.jsonl")]
    states = [(service.state, service.url is None) for service in read if service]
    assert states[0] == ("asleep", False)
    assert ("failing", True) in states
    assert states[-1] == ("asleep", False)
    stopped = next(service for service in read if service and service.state == "failing")
    assert "stopped" in str(stopped.reason)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://m.reef.svc.cluster.local", True),
        ("http://m-predictor.reef.svc.cluster.local:80", True),
        ("https://m.reef.svc", True),
        ("http://m.other.svc.cluster.local", False),
        ("http://metadata.google.internal", False),
        ("http://169.254.169.254/latest", False),
        ("http://reef.svc.example.com", False),
        ("ftp://m.reef.svc.cluster.local", False),
        ("http://[", False),
    ],
)
def test_an_address_leads_nowhere_but_into_the_models_namespace(url: str, own: bool) -> None:
    assert is_in_namespace(url, "reef") is own
