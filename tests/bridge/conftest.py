from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bridge import BridgeProcess
from tests.support.cvat import CvatServer, cvat, cvat_server
from tests.support.postgres import postgres
from tests.support.predictor import Predictor

__all__ = ["cvat", "cvat_server", "postgres"]


@pytest.fixture(scope="session")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    """A real V2 server whose model finds what follows from the pixels."""
    with Predictor(tmp_path_factory.mktemp("predictor")) as process:
        yield process


@pytest.fixture(scope="module")
def bridge(
    tmp_path_factory: pytest.TempPathFactory, cvat_server: CvatServer, predictor: Predictor
) -> Iterator[BridgeProcess]:
    """One bridge on SQLite for the tests of a module."""
    with BridgeProcess(tmp_path_factory.mktemp("bridge"), cvat=cvat_server, v2_url=predictor.url) as process:
        yield process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a bridge of the test's own keeps its database."""
    return tmp_path / "bridge"
