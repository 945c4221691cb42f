"""What the server says about itself and its one model: health, metadata, and V2's repository calls."""

from __future__ import annotations

from typing import Any

from kelp.card.metadata import server_metadata
from kelp.errors import NotSupported
from predictors.serving.dataplane import DataPlane

SERVER = "kelp"


class Repository:
    """The same answers for both protocols, as JSON-able objects; each raises KelpError with the status to answer."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        self.model_name = plane.card.model_name

    def server(self) -> dict[str, Any]:
        return server_metadata(SERVER)

    def check_live(self) -> None:
        """NotReady where only a restart can help."""
        self._plane.check_live()

    def check_ready(self) -> None:
        """NotReady unless the model is loaded and warm, and the server takes requests."""
        self._plane.lifecycle.check()

    def check_model(self, name: str, version: str = "") -> None:
        """NotFound unless that is this model."""
        self._plane.check_name(name, version)

    def check_model_ready(self, name: str, version: str = "") -> None:
        self.check_model(name, version)
        self.check_ready()

    def metadata(self, name: str, version: str = "") -> dict[str, Any]:
        self.check_model(name, version)
        return self._plane.metadata()

    def index(self, *, only_ready: bool = False) -> list[dict[str, str]]:
        lifecycle, version = self._plane.lifecycle, self._plane.card.version
        if only_ready and not lifecycle.ready:
            return []
        state = {"ready": "READY", "starting": "LOADING"}.get(lifecycle.phase, "UNAVAILABLE")
        entry = {"name": self.model_name, "state": state, "reason": lifecycle.reason}
        return [{**entry, "version": version} if version else entry]

    def load(self, name: str) -> None:
        """Nothing is left to do for a loaded model; NotReady for one that is still loading."""
        self.check_model_ready(name)

    def unload(self, name: str) -> None:
        self.check_model(name)
        raise NotSupported(f"this process serves {name} for as long as it runs; stop the process to unload it")
