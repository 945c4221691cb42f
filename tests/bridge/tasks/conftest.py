from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bridge import BridgeProcess
from tests.support.cvat import CvatServer
from tests.support.predictor import Predictor, numpy_card


@pytest.fixture(scope="session")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    """A real V2 server of a model that takes `grid_points`."""
    card = numpy_card("pth-lama", task="inpaint", labels=[], grid_shape=[9, 13])
    with Predictor(tmp_path_factory.mktemp("painter"), card) as process:
        yield process


@pytest.fixture(scope="module")
def bridge(
    tmp_path_factory: pytest.TempPathFactory, cvat_server: CvatServer, painter: Predictor
) -> Iterator[BridgeProcess]:
    """One bridge on SQLite for the tests of a module."""
    with BridgeProcess(tmp_path_factory.mktemp("bridge"), cvat=cvat_server, v2_url=painter.url) as process:
        yield process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a bridge of the test's own keeps its database."""
    return tmp_path / "bridge"
