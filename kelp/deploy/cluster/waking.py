"""Waking a model once: with no pod, Ready proves nothing."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from kelp.card import Card
from kelp.deploy.cluster.api import SERVING, Cluster, Object
from kelp.deploy.cluster.door import door_of_model, is_ready
from kelp.deploy.cluster.watching import Note, diagnose, pods_of
from kelp.errors import KelpError, NotFound, NotReady, TooLate

_ROUTE_S = 60.0  # until the gateway knows a model that is Ready
_LOOK_S = 2.0
_PAUSE_S = 0.3
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


def wake(cluster: Cluster, card: Card, note: Note, patience_s: float | None = None) -> float:
    """Ask for readiness until a pod of the newest revision has answered; gives the seconds.

    A canary gets its share of the asking only, so that it may take several. NotReady with the reason where its pod
    cannot start, TooLate after `patience_s` (the card's `start_timeout` and a little).
    """
    begun = time.monotonic()
    ends = begun + (card.start_timeout + _MARGIN_S if patience_s is None else patience_s)
    name = card.model_name
    with client_of(cluster, card, timeout_s=30.0, cold_start_s=ends - begun) as client:
        while True:
            _ask(cluster, client, name, ends, note)
            service = cluster.get(SERVING, "InferenceService", name)
            if _newest_is_awake(cluster, service) or _share_of_newest(service) == 0:
                return time.monotonic() - begun
            if time.monotonic() > ends:
                raise TooLate(f"model '{name}' answers, and no pod of its newest revision is ready")
            note(f"{name}: an earlier revision answers")
            time.sleep(_PAUSE_S)


def _ask(cluster: Cluster, client: Any, name: str, ends: float, note: Note) -> None:
    asking = _Asking(client, name, ends)
    asking.start()
    why = None
    while not asking.done.wait(_LOOK_S):
        why = diagnose(cluster, name)
        if why is not None and why.final:
            raise NotReady(f"model '{name}' does not start: {why}", code="failing")
        note(f"{name}: {why or 'starting'}")
    if asking.error is not None:
        why = diagnose(cluster, name) or why
        text = f"model '{name}' does not answer: {why or asking.error}"
        raise (TooLate if isinstance(asking.error, TooLate) else NotReady)(text) from asking.error


def _newest_is_awake(cluster: Cluster, service: Object) -> bool:
    revision = _predictor(service).get("latestCreatedRevision")
    return revision is None or any(
        is_ready(pod) for pod in pods_of(cluster, service["metadata"]["name"], str(revision))
    )


def _share_of_newest(service: Object) -> int:
    """Percent of requests."""
    traffic = _predictor(service).get("traffic") or ()
    return sum(int(part.get("percent") or 0) for part in traffic if part.get("latestRevision")) if traffic else 100


def _predictor(service: Object) -> Object:
    return dict(((service.get("status") or {}).get("components") or {}).get("predictor") or {})


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
