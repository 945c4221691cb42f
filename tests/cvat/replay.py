"""Replaying a recorded conversation with a server, and comparing what comes back."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import httpx

from demo.cvat import clock
from tests.cvat.ids import KINDS, Ids, Mismatch, match
from tests.cvat.media import Media
from tests.support.cvat import SECRET
from tests.support.receiver import Answer, Received, Receiver

RECORDED_BASE = "http://cvat.example:8080"
RECORDED_RECEIVER = "http://127.0.0.1:9101"
RECORDED_CLOSED = "http://127.0.0.1:9199"
PASSWORDS = {name: f"{name}-password-1" for name in ("admin", "annot1", "annot2", "outsider")}
DEADLINE_S = 20.0
KEPT_HEADERS = (
    "Accept",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
    "Range",
    "Upload-Finish",
    "Upload-Multiple",
    "Upload-Start",
    "X-Organization",
)
CLOCK_TOLERANCE_S = 0.002
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
UNFINISHED = ("queued", "started")

Exchange = dict[str, Any]


@dataclass
class Conversation:
    """What a recording does not say: who speaks, what there was before, what differs for a reason."""

    users: Mapping[int, str] = field(default_factory=dict)
    """Whose request it is, where it is not the administrator's."""
    before: Callable[[Replay], None] | None = None
    """Makes what stood there before the first exchange."""
    left_out: Mapping[str, Collection[int]] = field(default_factory=dict)
    """Exchanges that are not replayed, by the reason."""
    unheard: Mapping[str, Collection[tuple[str, int]]] = field(default_factory=dict)
    """Deliveries (event, the object's id in the recording) that come although none was recorded, by the reason."""
    headers: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    """Headers instead of the recorded ones, whose credentials are not in the recording."""
    special: Mapping[int, Callable[[Replay, Exchange], None]] = field(default_factory=dict)
    """How to go through an exchange that needs more than sending it and comparing the answer."""
    import_s: float = 0.0
    """How long making a task must take for what is tried meanwhile."""

    def skipped(self) -> set[int]:
        return {number for numbers in self.left_out.values() for number in numbers}


def answer_like_recorded(hang: float) -> Callable[[Received], Answer]:
    """The receiver of the recordings, its 12 s of hanging shortened to `hang`."""

    def answer(received: Received) -> Answer:
        name = received.path.strip("/").split("/")[0]
        if name == "hang":
            return Answer(after_s=hang)
        if name == "close":
            return Answer(close=True)
        if name == "302":
            return Answer(302, headers={"Location": "/redirected"})
        if name.isdigit():
            return Answer(int(name), json.dumps({"answer": int(name)}).encode())
        return Answer()

    return answer


class Replay:
    """One conversation with one server."""

    def __init__(
        self,
        recording: Mapping[str, Any],
        conversation: Conversation,
        url: str,
        receiver: Receiver,
        settle: Callable[[], object],
    ) -> None:
        """`settle` waits until the server has sent its deliveries."""
        self.settle = settle
        self.exchanges: list[Exchange] = recording["exchanges"]
        self.started: str = recording["started"]
        self._sent: list[tuple[float, str]] = []
        self.conversation = conversation
        self.url = url
        self.receiver = receiver
        self.ids = Ids()
        self.media = Media()
        self.credentials: dict[int, Mapping[str, str]] = dict(conversation.headers)
        self.replayed: set[int] = set()
        self.tokens: dict[str, str] = {}
        self.cookies: dict[str, str] = {}
        self.http = httpx.Client(base_url=url, timeout=DEADLINE_S, trust_env=False)
        for number, _ in enumerate(PASSWORDS, 1):
            self.ids.learn("user", number, number)

    def close(self) -> None:
        self.http.close()

    def run(self) -> None:
        """Every exchange that is not left out, then every delivery."""
        if self.conversation.before:
            self.conversation.before(self)
            self.receiver.received.clear()
        skipped = self.conversation.skipped()
        for exchange in self.exchanges:
            if exchange["n"] in skipped or "delivery" in exchange:
                continue
            if re.search(r"/api/webhooks/\d+(/deliveries)?$", exchange["path"]):
                self.settle()
            self._sent.append((exchange["t"], clock.now()))
            try:
                special = self.conversation.special.get(exchange["n"])
                special(self, exchange) if special else self.exchange(exchange)
            except Mismatch as mismatch:
                raise AssertionError(f"{describe(exchange)}: {mismatch}") from None
            self.replayed.add(exchange["n"])
        deliveries = [item for item in self.exchanges if "delivery" in item and item["n"] not in skipped]
        self._check_deliveries(deliveries)
        self.replayed |= {item["n"] for item in deliveries}

    def exchange(self, exchange: Exchange) -> httpx.Response:
        """Send one request as recorded and hold its answer against the recorded one."""
        response = self.send(exchange)
        body = exchange.get("response_body")
        polled = exchange["path"].startswith("/api/requests/") and isinstance(body, dict) and "status" in body
        if polled and body["status"] not in UNFINISHED:
            end = time.monotonic() + DEADLINE_S
            while response.is_success and response.json()["status"] in UNFINISHED and time.monotonic() < end:
                time.sleep(0.02)
                response = self.send(exchange)
        if response.status_code != exchange["status"]:
            raise Mismatch(f"status {response.status_code} {response.text[:300]!r}, recorded {exchange['status']}")
        recorded_type = exchange["response_headers"].get("Content-Type")
        if recorded_type != response.headers.get("content-type"):
            raise Mismatch(f"content type {response.headers.get('content-type')}, recorded {recorded_type}")
        location = exchange["response_headers"].get("Location")
        if location:
            match(location, response.headers["location"].replace(self.url, RECORDED_BASE), self.ids, "Location")
        if exchange["method"] != "HEAD":
            volatile = {"status", "started_date", "finished_date", "message", "expiry_date"}
            moving = polled and body["status"] in UNFINISHED
            self.compare(body, response, ignoring=volatile if moving else set())
        return response

    def compare(self, recorded: Any, response: httpx.Response, ignoring: Collection[str] = ()) -> None:
        content_type = response.headers.get("content-type", "")
        if isinstance(recorded, dict) and set(recorded) == {"bytes", "sha256", "head_base64"}:
            self.media.check(recorded, response.content, content_type)
        elif content_type == "application/vnd.cvat+json":
            match(recorded, self.as_recorded(response.text), self.ids, "body", ignoring)
        else:
            match(recorded, response.text or None, self.ids, "body")

    def as_recorded(self, text: str) -> Any:
        """Our answer with the addresses of the recording."""
        text = text.replace(self.url, RECORDED_BASE).replace(self.receiver.url(""), RECORDED_RECEIVER)
        return json.loads(text.replace(self.closed_url(), RECORDED_CLOSED))

    def closed_url(self) -> str:
        """An address where nothing listens: the receiver's port on another of this machine's addresses."""
        return f"http://127.0.0.9:{self.receiver.port}"

    def send(self, exchange: Exchange) -> httpx.Response:
        headers = {name: value for name, value in exchange["request_headers"].items() if name in KEPT_HEADERS}
        auth = None
        if exchange["n"] in self.credentials:
            headers |= self.credentials[exchange["n"]]
        elif {"Authorization", "Cookie"} & set(exchange["request_headers"]):
            name = self.conversation.users.get(exchange["n"], "admin")
            auth = httpx.BasicAuth(name, PASSWORDS[name])
        path = self.ids.in_url(exchange["path"])
        kind = KINDS.get(exchange["path"].removeprefix("/api/").split("/")[0], "")
        query = {name: self._in_query(name, value, kind) for name, value in exchange["query"].items()}
        request = self.http.build_request(
            exchange["method"], path, params=query, headers=headers, **self._body(exchange)
        )
        if "Accept" not in headers:
            del request.headers["accept"]
        response = self.http.send(request, auth=auth)
        # Who asks is said with every request: a session left over from a login would speak for somebody.
        self.cookies = dict(response.cookies)
        self.http.cookies.clear()
        return response

    def _in_query(self, name: str, value: str, kind: str) -> str:
        value = self.ids.in_query(name, value.replace(RECORDED_RECEIVER, self.receiver.url("")), kind)
        return _DATE.sub(lambda found: self._moment(found[0]), value)

    def _moment(self, recorded: str) -> str:
        """The time here at which the first exchange after the recorded time was sent."""
        after = (clock.parse(recorded) - clock.parse(self.started)).total_seconds()
        return next(ours for t, ours in self._sent if t >= after - CLOCK_TOLERANCE_S)

    def _body(self, exchange: Exchange) -> dict[str, Any]:
        body = exchange["request_body"]
        if body is None:
            return {}
        if isinstance(body, dict) and "multipart" in body:
            boundary = exchange["request_headers"]["Content-Type"].partition("boundary=")[2]
            return {"content": self.media.multipart(body["multipart"], boundary)}
        if isinstance(body, dict) and "head_base64" in body:
            return {"content": base64.b64decode(body["head_base64"])[: body["bytes"]]}
        if isinstance(body, str):
            return {"content": body.encode()}
        text = json.dumps(self.ids.in_body(body))
        text = text.replace(RECORDED_RECEIVER, self.receiver.url("")).replace(RECORDED_CLOSED, self.closed_url())
        if exchange["path"] == "/api/auth/login" and body.get("password") == "…":
            name = (body.get("username") or body["email"]).partition("@")[0]
            text = json.dumps({**body, "password": PASSWORDS[name]})
        return {"content": text.encode()}

    def _check_deliveries(self, recorded: list[Exchange]) -> None:
        unheard = [
            (event, self.ids.ours(event.partition(":")[2], number))
            for items in self.conversation.unheard.values()
            for event, number in items
        ]
        got = self.receiver.wait(lambda items: len(items) - len(unheard) >= len(recorded), DEADLINE_S)
        heard = [item for item in got if not (item.body and _about(item) in unheard)]
        sequence = [(item.path, item.event) for item in heard]
        expected = [(item["delivery"]["to"], item["delivery"]["event"]) for item in recorded]
        if sequence != expected:
            place = next(index for index, pair in enumerate(zip_longest(sequence, expected)) if pair[0] != pair[1])
            around = slice(max(0, place - 2), place + 3)
            raise AssertionError(f"deliveries from {around.start}: {sequence[around]}, recorded {expected[around]}")
        for exchange, item in zip(recorded, heard, strict=True):
            try:
                self._check_delivery(exchange["delivery"], item)
            except Mismatch as mismatch:
                raise AssertionError(f"delivery {exchange['n']} {item.event}: {mismatch}") from None

    def _check_delivery(self, recorded: Mapping[str, Any], item: Received) -> None:
        expected = {name.lower() for name in recorded["headers"]}
        if expected != set(item.headers):
            raise Mismatch(f"headers {sorted(item.headers)}, recorded {sorted(expected)}")
        if recorded["raw"]:
            body = self.as_recorded(item.body.decode())
            if list(body) != list(json.loads(recorded["raw"])):
                raise Mismatch(f"keys {list(body)}, recorded {list(json.loads(recorded['raw']))}")
            match(json.loads(recorded["raw"]), body, self.ids, "payload")
            if "x-signature-256" in expected and not item.signed_with(SECRET):
                raise Mismatch("the signature is not that of the body")


def _about(item: Received) -> tuple[str, int]:
    event = item.event or ""
    return event, item.json[event.partition(":")[2]].get("id", 0) if event != "ping" else 0


def describe(exchange: Exchange) -> str:
    request = json.dumps(exchange.get("request_body"))[:200]
    return f"{exchange['n']} {exchange['method']} {exchange['path']} {exchange['query'] or ''} {request}"


def numbers(text: str) -> Iterator[int]:
    """ "3-5 9" is 3, 4, 5, 9."""
    for part in re.split(r"[ ,]+", text.strip()):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
