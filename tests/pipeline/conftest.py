"""A CVAT, a `kelp up` with its bridge, cards of three models, and `kelp pipeline` over files written for a test.

Pointed at a real CVAT by the environment (tests/support/cvat.py), the same tests run against it.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Done, run_kelp
from tests.local.conftest import Up, starter, write_card
from tests.support.cvat import SECRET, Cvat, CvatServer, cvat, cvat_server
from tests.support.predictor import NUMPY_RUNTIME, free_port

__all__ = ["cvat", "cvat_server", "free_port"]

NOBODY = "http://127.0.0.1:9"
CORNERS = {"name": "quadrat", "type": "skeleton", "sublabels": [{"name": str(i)} for i in range(1, 5)]}
GRID = {"name": "grid", "type": "skeleton", "sublabels": [{"name": str(i)} for i in range(1, 118)]}
CORALS = [
    {"name": "Acropora", "type": "polygon", "color": "#b07ad0"},
    {"name": "Porites", "type": "polygon", "attributes": [{"name": "score", "input_type": "text"}]},
]


def write_cards(folder: Path) -> None:
    write_card(folder, "corners", task="pose", labels=[CORNERS])
    write_card(folder, "gridpose", task="pose", labels=[GRID], grid_shape=[9, 13])
    write_card(folder, "corals", labels=CORALS)
    write_card(folder, "reef")
    write_card(folder, "nameless", labels=[])
    write_card(folder, "painter", task="inpaint", labels=[], grid_shape=[9, 13])
    write_card(folder, "broken", weights={"uri": "no-such-file.bin"})


@dataclass(frozen=True)
class Platform:
    """A running `kelp up` and its bridge. address: the bridge as CVAT sees it."""

    up: Up
    models: Path
    bridge_url: str
    address: str


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, cvat_server: CvatServer) -> Iterator[Platform]:
    folder: Path = tmp_path_factory.mktemp("pipeline-platform")
    write_cards(folder / "models")
    port = free_port()
    with starter(folder) as start:
        up = start(
            [sys.executable, "-m", "kelp.cli", "up"],
            **NUMPY_RUNTIME,
            KELP_HOST=cvat_server.bind_host,
            KELP_PORT=str(port),
            KELP_METRICS_PORT="0",
            KELP_NUCLIO_PORT="0",
            KELP_DATABASE_URL=f"sqlite:///{folder / 'bridge.db'}",
            KELP_WEBHOOK_SECRETS=f"{SECRET},an-older-secret",
            KELP_CVAT_URL=cvat_server.url,
            KELP_CVAT_USER=cvat_server.user,
            KELP_CVAT_PASSWORD=cvat_server.password,
        )
        up.wait_for("listening", listener="main")
        here = f"http://127.0.0.1:{port}"
        yield Platform(up, folder / "models", here, f"http://{cvat_server.bridge_host}:{port}")


@dataclass
class Bench:
    """A file, and `kelp pipeline` over it. `name` is the pipeline's, unlike every other test's."""

    folder: Path
    cvat: Cvat
    environment: dict[str, str]
    name: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}")

    @property
    def file(self) -> Path:
        return self.folder / "pipeline.yaml"

    def write(self, projects: dict[str, Any], **more: Any) -> None:
        """Projects without a name or an id get one that is unlike every other test's."""
        named = {
            key: project if "id" in project else {"name": self.title(key), **project}
            for key, project in projects.items()
        }
        self.file.write_text(yaml.safe_dump({"name": self.name, "projects": named, **more}, sort_keys=False))

    def title(self, key: str) -> str:
        return f"{self.name} {key}"

    def run(self, verb: str, *arguments: object, **environment: str) -> Done:
        done = run_kelp("pipeline", verb, self.file, *arguments, **{**self.environment, **environment})
        for project in self.projects().values():
            if project["id"] not in self.cvat._projects:
                self.cvat.adopt(project["id"])
        return done

    def apply(self, *arguments: object, code: int = 0, **environment: str) -> Done:
        done = self.run("apply", "--yes", *arguments, **environment)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def check(self, code: int | None = None, **environment: str) -> str:
        """What it prints."""
        done = self.run("check", **environment)
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def projects(self) -> dict[str, Any]:
        """Those of this test, by name."""
        return {row["name"]: row for row in self.cvat.all("/api/projects") if row["name"].startswith(self.name)}

    def project(self, key: str) -> int:
        number: int = self.projects()[self.title(key)]["id"]
        return number

    def webhooks(self, key: str) -> list[Any]:
        return sorted(self.cvat.all("/api/webhooks", project_id=self.project(key)), key=lambda hook: hook["id"])

    def labels(self, key: str) -> dict[str, Any]:
        return {row["name"]: row for row in self.cvat.all("/api/labels", project_id=self.project(key))}


@pytest.fixture
def bench(tmp_path: Path, cvat: Cvat, cvat_server: CvatServer) -> Bench:
    """Without a bridge: its address leads to nobody."""
    write_cards(tmp_path / "models")
    return Bench(
        tmp_path,
        cvat,
        {
            "KELP_CVAT_URL": cvat_server.url,
            "KELP_CVAT_USER": cvat_server.user,
            "KELP_CVAT_PASSWORD": cvat_server.password,
            "KELP_WEBHOOK_SECRETS": SECRET,
            "KELP_PUBLIC_URL": NOBODY,
            "KELP_BRIDGE_URL": NOBODY,
            "KELP_V2_URL": NOBODY,
            "KELP_MODELS": str(tmp_path / "models"),
        },
    )


@pytest.fixture
def live(bench: Bench, platform: Platform) -> Bench:
    """With a bridge and models."""
    bench.environment |= {
        "KELP_PUBLIC_URL": platform.address,
        "KELP_BRIDGE_URL": platform.bridge_url,
        "KELP_V2_URL": platform.up.url,
        "KELP_MODELS": str(platform.models),
    }
    return bench


THREE = {
    "raw": {"webhooks": {"corners": {"detect": "corners", "on": "created"}, "crop": {"crop": "cropped", "size": 640}}},
    "cropped": {"webhooks": {"grid": {"detect": "gridpose"}, "off": {"remove-grid": "corals", "model": "painter"}}},
    "corals": {"webhooks": {"corals": {"detect": "corals", "on": "created", "conv_mask_to_poly": True}}},
}
"""The three stages, on the models of these tests."""
ONE = {"corals": {"webhooks": {"corals": {"detect": "corals"}}}}
"""One project with one detection."""
