"""Waking a model once: with no pod, Ready proves nothing."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from kelp.card import Card
from kelp.deploy.cluster.api import Cluster
from kelp.deploy.cluster.door import door_of_model
from kelp.deploy.cluster.watching import Note, diagnose
from kelp.errors import KelpError, NotFound, NotReady, TooLate

_ROUTE_S = 60.0  # until the gateway knows a model that is Ready
_LOOK_S = 2.0
_MARGIN_S = 60.0


@contextlib.contextmanager
def client_of(cluster: Cluster, card: Card, *, timeout_s: float, cold_start_s: float) -> Iterator[Any]:
    """A V2 client of this one model, in its card's protocol."""
    from kelp.client import Client, ClientConfig, GrpcClient

    with door_of_model(cluster, card.model_name) as door:
        config = ClientConfig(
            door.url, timeout_s=timeout_s, cold_start_s=cold_start_s, retries=2, host=door.authority or None,
            proxies=False,
        )  # fmt: skip
        client = GrpcClient(config) if card.protocol == "grpc" else Client(config)
        try:
            yield client
        finally:
            client.close()


def wake(cluster: Cluster, card: Card, note: Note) -> float:
    """Ask for readiness until the model says yes; gives the seconds. NotReady with the reason where its pod cannot
    start, TooLate after the card's `start_timeout`."""
    begun = time.monotonic()
    patience = card.start_timeout + _MARGIN_S
    with client_of(cluster, card, timeout_s=30.0, cold_start_s=patience) as client:
        asking = _Asking(client, card.model_name, begun + patience)
        asking.start()
        why = None
        while not asking.done.wait(_LOOK_S):
            why = diagnose(cluster, card.model_name)
            if why is not None and why.final:
                raise NotReady(f"model '{card.model_name}' does not start: {why}", code="failing")
            seconds = time.monotonic() - begun
            note(f"{card.model_name}: {why or 'starting'}, {seconds:.0f} s")
        if asking.error is not None:
            why = diagnose(cluster, card.model_name) or why
            text = f"model '{card.model_name}' does not answer: {why or asking.error}"
            raise (TooLate if isinstance(asking.error, TooLate) else NotReady)(text) from asking.error
    return time.monotonic() - begun


class _Asking(threading.Thread):
    """The call that wakes it, in a thread of its own: whoever waits looks meanwhile at what its pod does."""

    def __init__(self, client: Any, name: str, ends: float) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._model = name
        self._ends = ends
        self.error: KelpError | None = None
        self.done = threading.Event()

    def run(self) -> None:
        try:
            self._ask()
        except KelpError as error:
            self.error = error
        except Exception as error:  # a client that is closed under the call: nobody listens any more
            self.error = NotReady(f"{type(error).__name__}: {error}")
        finally:
            self.done.set()

    def _ask(self) -> None:
        route = time.monotonic() + _ROUTE_S
        while True:
            try:
                self._client.wait_ready(self._model, timeout_s=max(1.0, self._ends - time.monotonic()))
                return
            except NotFound:
                if time.monotonic() > route:
                    raise
                time.sleep(1.0)
