"""The stand-in as a whole."""

from __future__ import annotations

from demo.cvat.auth import RateLimit
from demo.cvat.deliveries import Sender
from demo.cvat.http import Application
from demo.cvat.imports import Importer
from demo.cvat.routes import routes
from demo.cvat.settings import Settings
from demo.cvat.state import State


class Server:
    """State, its background workers, and the ASGI application over them. Close it when it is no longer needed."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.state = State(self.settings)
        self.sender = Sender(self.state, self.settings)
        self.importer = Importer(self.state, self.sender, self.settings)
        self.limit = RateLimit(self.settings.anonymous_per_minute)
        self.application = Application(self, routes())

    def close(self) -> None:
        self.importer.close()
        self.sender.close()
