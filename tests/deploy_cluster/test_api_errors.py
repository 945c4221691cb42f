"""What an API server that refuses, breaks off or is none is called, on a real connection."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from kelp.deploy.cluster.access import AccessError, access
from kelp.deploy.cluster.api import Cluster, plural
from kelp.deploy.cluster.platform import read_platform
from kelp.errors import BadGateway, Conflict, Forbidden, InvalidRequest, NotFound, Unauthorized, Unreachable

pytest.importorskip("kubernetes")


class Server(ThreadingHTTPServer):
    status, body = 200, b"{}"
    asked: list[tuple[str, str, Any]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def _any(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.server.asked.append((self.command, self.path, self.rfile.read(length)))
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST = do_PATCH = do_DELETE = _any

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.asked = []
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def kubeconfig(folder: Path, port: int, **context: str) -> Path:
    path = folder / "config"
    path.write_text(
        yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "u", "user": {"token": "secret"}}],
            "contexts": [
                {"name": "a", "context": {"cluster": "c", "user": "u", **context}},
                {"name": "b", "context": {"cluster": "c", "user": "u", "namespace": "reef"}},
            ],
        })
    )  # fmt: skip
    return path


@pytest.fixture
def cluster(server, tmp_path) -> Cluster:
    return Cluster(access(kubeconfig(tmp_path, server.server_address[1]), None, None))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (422, InvalidRequest),
    ],
)
def test_a_refusal_has_the_servers_own_words(server, cluster, status, kind):
    server.status, server.body = status, json.dumps({"kind": "Status", "message": "no, because"}).encode()
    with pytest.raises(kind, match="no, because"):
        cluster.get("v1", "ConfigMap", "x")


def test_what_is_no_api_server_is_told(server, cluster):
    server.body = b"<html>"
    with pytest.raises(BadGateway, match="is it an API server"):
        cluster.get("v1", "ConfigMap", "x")


def test_nobody_there(server, tmp_path):
    gone = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = gone.server_address[1]
    gone.server_close()
    with pytest.raises(Unreachable, match="does not answer"):
        Cluster(access(kubeconfig(tmp_path, port), None, None)).get("v1", "Pod", "x")


def test_the_namespace_is_the_given_one_or_the_contexts_or_kelp(tmp_path):
    path = kubeconfig(tmp_path, 1)
    assert access(path, None, None).namespace == "kelp"
    assert access(path, "b", None).namespace == "reef"
    assert access(path, "b", "mine").namespace == "mine"
    with pytest.raises(AccessError, match="no context 'c'; there are: a, b"):
        access(path, "c", None)


def test_a_platform_that_says_nonsense_is_told(server, cluster):
    server.body = json.dumps({"data": {"platform.yaml": "storage: [not, a, mapping]"}}).encode()
    with pytest.raises(BadGateway, match="ConfigMap kelp-platform"):
        read_platform(cluster)


def test_a_platform_that_says_more_than_we_know_is_understood(server, cluster):
    server.body = json.dumps(
        {"data": {"platform.yaml": "image: x\nfuture: {a: 1}\nstorage: {uri: 's3://a', b: 1}"}}
    ).encode()
    assert read_platform(cluster).storage.uri == "s3://a"


@pytest.mark.parametrize(
    ("kind", "path"),
    [("InferenceService", "inferenceservices"), ("NetworkPolicy", "networkpolicies"), ("Secret", "secrets")],
)
def test_kinds_in_paths(kind, path):
    assert plural(kind) == path
