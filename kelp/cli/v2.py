"""The client of the command line: where nobody answers it says how that is changed."""

from __future__ import annotations

from typing import Any

from kelp.client import Client, ClientConfig
from kelp.client.errors import ConnectionBroken, NotTrusted
from kelp.errors import Unreachable


class EndpointClient(Client):
    """`named`: the setting that the address comes from; empty where it was given on the command line."""

    def __init__(self, config: ClientConfig, *, named: str) -> None:
        super().__init__(config)
        self._where = f"{config.url} ({named})" if named else config.url

    def _send(self, call: Any, timeout_s: float) -> Any:
        try:
            return super()._send(call, timeout_s)
        except (ConnectionBroken, NotTrusted):
            raise
        except Unreachable as error:
            hint = "`kelp up` starts the models of this machine"
            raise Unreachable(f"no V2 server answers at {self._where}; {hint}: {error.message}") from error
