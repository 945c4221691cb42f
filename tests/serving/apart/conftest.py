"""The server that the process above has started, and an image with what the model finds in it."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from kelp.card import parse_card
from tests.serving.wire import picture
from tests.support.numpy_model import expected


@pytest.fixture(scope="session")
def server():
    given = json.loads(os.environ["KELP_TEST_SERVER"])
    return SimpleNamespace(**{**given, "card": parse_card(json.dumps(given["card"]), source="card")})


@pytest.fixture(scope="session")
def image():
    return picture(11)


@pytest.fixture(scope="session")
def truth(server, image):
    return expected(image, server.card)
