from pathlib import Path

import pytest

from tests.support.cvat import cvat, cvat_server

__all__ = ["cvat", "cvat_server"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a bridge keeps its database."""
    return tmp_path / "bridge"
