"""One server process a module, and requests as they look on the wire."""

from __future__ import annotations

import pytest

from tests.support.predictor import Predictor


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A predictor with the numpy model and default limits."""
    with Predictor(tmp_path_factory.mktemp("server")) as predictor:
        yield predictor
