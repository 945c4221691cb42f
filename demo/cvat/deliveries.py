"""The one worker that sends webhooks, one after the other in order of commit."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import itertools
import json
import threading
import time
from contextlib import closing
from dataclasses import dataclass

import httpx

from demo.cvat import clock
from demo.cvat.settings import Settings
from demo.cvat.state import State
from demo.cvat.tables import Delivery, Json, Webhook

RESPONSE_LIMIT = 1 << 20
"""Bytes of a receiver's answer that are kept; of a longer one nothing is."""
REDIRECTS = 30
"""Followed as the library CVAT sends with does it: most as GET, without the body, and still counted as delivered."""


@dataclass(frozen=True)
class Parcel:
    """What is to be sent to whom, frozen when the change was committed."""

    webhook: Webhook
    target_url: str
    secret: str
    event: str
    payload: Json
    redelivery: bool = False
    attempt: int = 0


class Sender:
    """Queues parcels, sends them on one thread and writes down what came back."""

    def __init__(self, state: State, settings: Settings) -> None:
        self._state = state
        self._settings = settings
        timeout = httpx.Timeout(settings.delivery_timeout_s)
        if settings.delivery_retries_s:
            timeout = httpx.Timeout(settings.delivery_timeout_s, connect=min(3.0, settings.delivery_timeout_s))
        # Deliveries go straight to the receiver, whatever proxy the environment names.
        self._http = httpx.Client(timeout=timeout, trust_env=False)
        self._queue: list[tuple[float, int, Parcel]] = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._closed = False
        self._busy = False
        self._thread = threading.Thread(target=self._work, name="cvat-webhooks", daemon=True)
        self._thread.start()

    def put(self, parcel: Parcel, after_s: float = 0.0) -> None:
        with self._wake:
            # Parcels without a delay keep their order: they all stand before any date.
            due = time.monotonic() + after_s if after_s else 0.0
            heapq.heappush(self._queue, (due, next(self._order), parcel))
            self._wake.notify_all()

    def wait_idle(self, timeout_s: float) -> bool:
        """Whether everything that is due has been sent within `timeout_s`."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._busy and not self._due(), timeout_s)

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        self._thread.join(timeout=self._settings.delivery_timeout_s + 5)
        self._http.close()

    def _due(self) -> bool:
        return bool(self._queue) and self._queue[0][0] <= time.monotonic()

    def _work(self) -> None:
        while True:
            with self._wake:
                self._busy = False
                self._wake.notify_all()
                while not self._closed and not self._due():
                    self._wake.wait(self._queue[0][0] - time.monotonic() if self._queue else None)
                if self._closed:
                    return
                _, _, parcel = heapq.heappop(self._queue)
                self._busy = True
            self.send(parcel)

    def send(self, parcel: Parcel) -> Delivery:
        """Post one parcel and return the row that was written for it."""
        status, response = self._post(parcel)
        with self._state.lock:
            date = clock.now()
            delivery = Delivery(
                self._state.next_id("delivery"),
                parcel.webhook,
                parcel.event,
                status,
                parcel.redelivery,
                date,
                clock.now(),
                ",".join(parcel.payload.get("before_update", {})),
                stored(parcel.payload),
                response,
            )
            parcel.webhook.deliveries.append(delivery)
        retries = self._settings.delivery_retries_s
        if status >= 500 and parcel.event != "ping" and parcel.attempt < len(retries):
            again = Parcel(
                parcel.webhook,
                parcel.target_url,
                parcel.secret,
                parcel.event,
                parcel.payload,
                parcel.redelivery,
                parcel.attempt + 1,
            )
            self.put(again, after_s=retries[parcel.attempt])
        return delivery

    def _post(self, parcel: Parcel) -> tuple[int, str]:
        body = json.dumps(parcel.payload).encode()
        headers = {
            "User-Agent": f"CVAT/{self._settings.version} python-requests/2.32.4",
            "Accept-Encoding": "gzip, deflate",
            "Content-Type": "application/json",
        }
        if parcel.secret:
            headers["X-Signature-256"] = f"sha256={hmac.new(parcel.secret.encode(), body, hashlib.sha256).hexdigest()}"
        request = self._http.build_request("POST", parcel.target_url, content=body, headers=headers)
        try:
            for _ in range(REDIRECTS):
                response = self._http.send(request, stream=True)
                with closing(response):
                    if response.next_request is None:
                        return response.status_code, _text(response)
                request = response.next_request
                if request.method == "GET":
                    # The body does not go along, and what is said about it neither.
                    request.headers.pop("Content-Type", None)
            return 502, ""
        except httpx.TimeoutException:
            return 504, ""
        except (httpx.HTTPError, httpx.InvalidURL):
            return 502, ""


def _text(response: httpx.Response) -> str:
    """The answer, "" for one that is too long."""
    content = b""
    for piece in response.iter_bytes():
        content += piece
        if len(content) > RESPONSE_LIMIT:
            return ""
    return content.decode(errors="replace")


def stored(payload: Json) -> Json:
    """`payload` after a round through PostgreSQL's jsonb, which sorts keys by length, then by bytes."""
    return {
        key: stored(payload[key]) if isinstance(payload[key], dict) else payload[key]
        for key in sorted(payload, key=lambda key: (len(key), key.encode()))
    }
