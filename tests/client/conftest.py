"""A server for each protocol, and the kinds of clients that speak it."""

from __future__ import annotations

import pytest

from tests.client.calling import CLIENTS
from tests.client.grpc_server import grpc_server
from tests.client.http_server import http_server


@pytest.fixture(params=list(CLIENTS))
def kind(request):
    return request.param


@pytest.fixture
def server(kind):
    """The server of the client's protocol; its `plan` and `requests` are those of either."""
    with (http_server if kind.startswith("rest") else grpc_server)() as one:
        yield one
