"""Answers of a gateway, of Knative's activator and queue-proxy: what they mean, and what a client does then."""

from __future__ import annotations

import pytest

from kelp import errors
from kelp.client import Client, ClientConfig, ConnectionBroken
from kelp.client.between import error_between, error_between_grpc, plain_text
from kelp.client.errors import GaveUpOnTheWay
from tests.client.http_server import http_server

ENVOY_RESET = "upstream connect error or disconnect/reset before headers. reset reason: "

# Envoy's and Knative's own words.
SAID = [
    (503, "no healthy upstream", errors.Unreachable),
    (503, f"{ENVOY_RESET}connection failure", errors.Unreachable),
    (503, f"{ENVOY_RESET}remote connection failure, transport failure reason: 111", errors.Unreachable),
    (503, f"{ENVOY_RESET}connection termination", ConnectionBroken),
    (503, f"{ENVOY_RESET}overflow", errors.NotReady),
    (503, "pending request queue full\n", errors.NotReady),
    (503, "context deadline exceeded\n", errors.NotReady),
    (503, "", errors.NotReady),
    (502, "dial tcp 127.0.0.1:8080: connect: connection refused\n", errors.Unreachable),
    (502, "read tcp 127.0.0.1:34->127.0.0.1:8080: read: connection reset by peer\n", ConnectionBroken),
    (502, "EOF\n", ConnectionBroken),
    (502, "<html>\n<head><title>502 Bad Gateway</title></head><body>nginx</body></html>", errors.BadGateway),
    (504, "upstream request timeout", GaveUpOnTheWay),
    (504, "request timeout", GaveUpOnTheWay),
    (504, "", GaveUpOnTheWay),
    (500, "Error getting active endpoint: revision.serving.knative.dev \"m\" not found\n", errors.Unreachable),
    (500, "", errors.KelpError),
    (500, "Internal Server Error", errors.KelpError),
    (429, "local_rate_limited", errors.QueueFull),
    (408, "", ConnectionBroken),
    (404, "", errors.NotFound),
    (403, "RBAC: access denied", errors.Forbidden),
    (401, "Jwt is missing", errors.Unauthorized),
    (413, "Payload Too Large", errors.TooLarge),
    (302, "", errors.BadGateway),
]  # fmt: skip


@pytest.mark.parametrize(("status", "text", "kind"), SAID)
def test_what_was_said_on_the_way(status, text, kind):
    error = error_between(status, text.encode())
    assert type(error) is kind
    assert "on the way" in error.message


@pytest.mark.parametrize(
    ("status", "details", "kind"),
    [
        ("UNAVAILABLE", "no healthy upstream", errors.Unreachable),
        ("UNAVAILABLE", "upstream request timeout", GaveUpOnTheWay),
        ("UNAVAILABLE", f"{ENVOY_RESET}connection termination", ConnectionBroken),
        ("UNAVAILABLE", "Received http2 header with status: 503", errors.NotReady),
        ("UNAVAILABLE", "Received http2 header with status: 504", GaveUpOnTheWay),
        ("UNAVAILABLE", "Received http2 header with status: 429", errors.QueueFull),
        ("UNIMPLEMENTED", "Received http2 header with status: 404", errors.NotFound),
        ("UNKNOWN", "Received http2 header with status: 500", errors.BadGateway),
        ("UNIMPLEMENTED", "", errors.NotFound),
    ],
)
def test_what_was_said_to_a_grpc_caller(status, details, kind):
    assert type(error_between_grpc(status, details)) is kind


@pytest.mark.parametrize(
    ("status", "details"),
    [
        ("UNIMPLEMENTED", "Method not found!"),
        ("UNAVAILABLE", "the model is starting"),
        ("INTERNAL", "the model failed"),
        ("NOT_FOUND", "no model 'x'"),
    ],
)
def test_what_a_server_of_models_said_itself_is_left_alone(status, details):
    assert error_between_grpc(status, details) is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"no healthy upstream", "no healthy upstream"),
        (b"a\n  b\t c\n", "a b c"),
        (b"<!DOCTYPE html><html><head><title>Sign in\n please</title></head><body>x</body></html>", "Sign in please"),
        (b"<html><script>alert(1)</script><body><p>Bad <b>gateway</b></p></body></html>", "Bad gateway"),
        (b"\xff\xfe<", "\ufffd\ufffd<"),
        (b"x" * 5000, "x" * 199 + "…"),
    ],
)
def test_a_page_becomes_a_line(body, text):
    assert plain_text(body) == text


def client(url: str, **config) -> Client:
    return Client(
        ClientConfig(url, **{"backoff_s": 0.01, "backoff_max_s": 0.02, "retries": 2, "timeout_s": 5.0, **config})
    )


def test_readiness_is_asked_for_as_long_as_a_start_may_take_whatever_the_way_says():
    with http_server() as server, client(server.url) as caller:
        server.plan = [(504, b"upstream request timeout", {})] * 4 + [(502, b"EOF", {})] * 4 + [(503, b"", {})] * 4
        caller.wait_ready("m", timeout_s=30)
        assert len(server.requests) == 13


def test_one_question_about_readiness_does_not_wait_for_ever():
    """The activator that held it may be gone without a word."""
    with http_server() as server, client(server.url, ready_s=0.2) as caller:
        server.plan = ["hang", "hang", "answer"]
        caller.wait_ready("m", timeout_s=30)
        assert len(server.requests) == 3


def test_a_start_that_takes_too_long_is_not_ready_and_says_what_was_last_heard():
    with http_server() as server, client(server.url) as caller:
        server.plan = [(504, b"upstream request timeout", {})] * 1000
        with pytest.raises(errors.NotReady, match="upstream request timeout"):
            caller.wait_ready("m", timeout_s=0.3)


def test_a_gateway_that_gives_up_is_asked_again_a_few_times_only():
    """The model may be at work on the request all the while."""
    with http_server() as server, client(server.url) as caller:
        server.plan = [(504, b"upstream request timeout", {})] * 9
        with pytest.raises(GaveUpOnTheWay):
            caller.metadata("m")
        assert len(server.requests) == 3


def test_a_gateway_is_asked_for_the_models_own_name():
    host = "m.reef.svc.cluster.local"
    with http_server() as server, client(server.url, host=host) as caller:
        caller.metadata("m")
        assert server.requests[0][2]["host"] == host


def test_a_service_of_the_cluster_is_not_looked_for_behind_a_proxy(monkeypatch):
    with http_server() as server:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "")
        with client(server.url, proxies=False) as caller:
            assert caller.metadata("m")["name"] == "m"
        with client(server.url, retries=0) as caller, pytest.raises(errors.Unreachable):
            caller.metadata("m")
