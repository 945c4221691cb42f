from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cvat import cvat, cvat_server
from tests.support.otlp import Collector
from tests.support.predictor import Predictor

__all__ = ["cvat", "cvat_server"]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Predictor]:
    with Predictor(tmp_path_factory.mktemp("predictor"), env=collector.env) as process:
        yield process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a bridge keeps its database."""
    return tmp_path / "bridge"
