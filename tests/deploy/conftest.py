"""Objects of the environments, by kustomize where it is installed, else as they stand in the repository."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kelp.deploy.generate.places import ENVIRONMENTS, Places

ROOT = Path(__file__).parents[2]
PLACES = Places(ROOT)
NO_HELM = "helm is not installed"
NO_KUSTOMIZE = "kustomize is not installed"


class _Strict(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping: each reader would keep another of the two."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: a key stands twice among {keys}"
        return super().construct_mapping(node, deep)


def read_all(text: str) -> list[dict[str, Any]]:
    return [item for item in yaml.load_all(text, _Strict) if item]


def kustomized(name: str) -> list[dict[str, Any]]:
    built = subprocess.run(
        ["kustomize", "build", str(PLACES.environment(name))], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return read_all(built.stdout)


@pytest.fixture(scope="session", params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> tuple[str, list[dict[str, Any]]]:
    """Name and objects of one environment."""
    if shutil.which("kustomize"):
        return request.param, kustomized(request.param)
    base = read_all((PLACES.base / "platform.yaml").read_text())
    return request.param, base + read_all((PLACES.environment(request.param) / "models.yaml").read_text())
