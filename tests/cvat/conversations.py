"""What the recordings do not say by themselves, conversation by conversation, and what is left out of each, and why."""

from __future__ import annotations

import base64
import json
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.cvat.ids import Mismatch
from tests.cvat.replay import PASSWORDS, Conversation, Exchange, Replay, numbers
from tests.support.cvat import Cvat, CvatServer, picture, poll

TUS = (
    "TUS uploads: their addresses are the server's own, and half of what was tried there Kelp never does; test_tus.py"
    " goes through what it relies on"
)
RACE = (
    "two requests at the same moment: what became of them depends on how PostgreSQL interleaved them; the stand-in"
    " takes one after the other"
)
JOB_ORDER = (
    "in which order a write at task level goes through its jobs is up to PostgreSQL; here it is later jobs first, as in"
    " the exchanges before. Kelp works at job level"
)
ISSUES = "issues and comments: Kelp neither reads nor writes them"
BROWSABLE = "pages and options for people and browsers"
SERVER_TOOLS = "server administration that Kelp does not use: health, schema, formats, plugins, shared files"
WAITING = "comes after a wait of 15 s for the rate limit, or of 500 s for a request to expire"
MEMBERS = "the list of members with their invitations: Kelp only names an organization"
VIDEO_CHUNKS = "chunks of a video are re-encoded videos; Kelp reads frames"

A_JPG = "99d850be7b2491ca3742d519fb8a424ac6e0660571fce90a1300fdf4534fdc35"
LABELS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "recordings/http/01_project_and_webhooks.json").read_text()
)["exchanges"][2]["request_body"]["labels"]
PLAIN_LABELS = [{"name": "plant", "type": "polygon"}]


def _admin(replay: Replay) -> Cvat:
    return Cvat(CvatServer(replay.url, "admin", PASSWORDS["admin"]))


def _project(replay: Replay, recorded: int, name: str, labels: Sequence[Mapping[str, Any]], first: int = 0) -> int:
    """A project that stands for the recorded one; `first` is the recorded id of its first label."""
    cvat = _admin(replay)
    project = cvat.project(labels, name)
    replay.ids.learn("project", recorded, project)
    if first:
        ours = cvat.all("/api/labels", project_id=project)
        flat = [row["id"] for label in ours for row in (label, *label["sublabels"])]
        for offset, number in enumerate(sorted(flat)):
            replay.ids.learn("label", first + offset, number)
    return project


def _attributes(replay: Replay, project: int, first: int) -> None:
    rows = [row["id"] for label in _admin(replay).all("/api/labels", project_id=project) for row in label["attributes"]]
    for offset, number in enumerate(sorted(rows)):
        replay.ids.learn("attribute", first + offset, number)


def _task(replay: Replay, project: int, recorded: tuple[int, Sequence[int]], name: str, count: int, size: int) -> None:
    files = [(f"img_{number:02d}.jpg", picture(640, 480, (number * 9, 80, 90))) for number in range(count)]
    task = _admin(replay).task(project, files, segment_size=size, name=name, finish={"image_quality": 100})
    replay.ids.learn("task", recorded[0], task.id)
    for one, other in zip(recorded[1], task.jobs, strict=True):
        replay.ids.learn("job", one, other)


def _before_uploads(replay: Replay) -> None:
    _project(replay, 11, "uploads", LABELS)


def _before_frames(replay: Replay) -> None:
    project = _project(replay, 26, "frames", LABELS, first=136)
    _attributes(replay, project, 53)


def _before_idempotency(replay: Replay) -> None:
    _project(replay, 33, "idempotency", LABELS)


def _before_annotations(replay: Replay) -> None:
    project = _project(replay, 18, "annotations", LABELS, first=72)
    _attributes(replay, project, 25)
    _task(replay, project, (71, (61, 62)), "two jobs", 6, 3)
    _admin(replay).set_job(replay.ids.ours("job", 61), assignee=2)
    other = _admin(replay).project(LABELS, "foreign labels")
    replay.ids.learn("label", 81, next(iter(_admin(replay).labels(other).values())))


def _before_levels(replay: Replay) -> None:
    project = _project(replay, 23, "levels", LABELS, first=109)
    _attributes(replay, project, 41)
    _task(replay, project, (78, (78, 79)), "two jobs", 6, 3)
    _admin(replay).webhook(
        project, replay.receiver.url("/ok"), ["update:job", "update:task", "update:project"], secret=None
    )


def _before_polling(replay: Replay) -> None:
    project = _project(replay, 30, "polling", LABELS, first=155)
    _attributes(replay, project, 61)
    _task(replay, project, (112, (124, 125, 126, 127, 128, 129)), "six", 6, 1)
    listed = next(item for item in replay.exchanges if item["n"] == 82)["response_body"]["results"][0]
    webhook = _admin(replay).webhook(
        project,
        replay.receiver.url("/ok"),
        listed["events"],
        secret=None,
        description="",
        enable_ssl=listed["enable_ssl"],
    )
    replay.ids.learn("webhook", 35, webhook)


def _remembers_a_delivery(replay: Replay, exchange: Exchange) -> None:
    """The delivery that is asked for was never listed: it is the first that tells of an assignee."""
    webhook = replay.ids.ours("webhook", 19)
    rows = _admin(replay).deliveries(webhook)
    ours = next(row["id"] for row in rows if row["changed_fields"] == exchange["response_body"]["changed_fields"])
    replay.ids.learn("delivery", exchange["response_body"]["id"], ours)
    replay.exchange(exchange)


def _eventually(replay: Replay, exchange: Exchange) -> None:
    """The recording waited before it."""
    for _ in poll(lambda: None, deadline_s=10):
        try:
            replay.exchange(exchange)
        except Mismatch:
            continue
        return


def _behind_others(replay: Replay, exchange: Exchange) -> None:
    """A task's import queued behind others; how these and the task came about is not in the recording."""
    cvat = _admin(replay)
    project = replay.ids.ours("project", 33)
    task = cvat.empty_task(project, "cancelled in the queue")
    replay.ids.learn("task", 175, task)
    busy = [cvat.empty_task(project, "big") for _ in range(4)]
    content = replay.media.upload("a.jpg", {"bytes": 729751, "sha256": A_JPG, "head_base64": ""})
    for number in (task, *busy):
        path = f"/api/tasks/{number}/data"
        cvat.call("POST", path, headers={"Upload-Multiple": ""}, files={"client_files[0]": ("a.jpg", content)})
    for number in busy:
        cvat.call("POST", f"/api/tasks/{number}/data", headers={"Upload-Finish": ""}, json={"image_quality": 100})
    replay.exchange(exchange)


def _others_silenced(replay: Replay, exchange: Exchange) -> None:
    """The webhooks of the receivers before had been switched off."""
    for recorded in numbers("21-27"):
        webhook = replay.ids.ours("webhook", recorded)
        _admin(replay).call("PATCH", f"/api/webhooks/{webhook}", json={"is_active": False})
    replay.exchange(exchange)


def _cut(replay: Replay, exchange: Exchange) -> None:
    """Close the connection in the middle of an upload."""
    address = urlsplit(replay.url)
    credentials = f"admin:{PASSWORDS['admin']}".encode()
    head = {
        "Host": address.netloc,
        "Authorization": f"Basic {base64.b64encode(credentials).decode()}",
        "Content-Type": exchange["request_headers"]["Content-Type"],
        "Upload-Multiple": "",
        "Content-Length": str(exchange["request_body"]["of"]),
    }
    lines = [
        f"POST {replay.ids.in_url(exchange['path'])} HTTP/1.1",
        *(f"{name}: {value}" for name, value in head.items()),
    ]
    with socket.create_connection((address.hostname or "", address.port or 80)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + bytes(exchange["request_body"]["cut_after_bytes"]))


def _many(count: int, bad: int = 0) -> list[dict[str, Any]]:
    """Polygons like those of the recording, whose 5,000 are kept as a digest only; the last `bad` have no label."""
    points = [float(value % 97) + value / 100 for value in range(60)]
    shapes = [
        {
            "type": "polygon",
            "frame": index % 3,
            "label_id": 72,
            "points": points,
            "source": "semi-auto",
            "attributes": [],
        }
        for index in range(count)
    ]
    for shape in shapes[count - bad :]:
        shape["label_id"] = 999999
    return shapes


def _first_object(head: str) -> dict[str, Any]:
    """The keys of the first shape in the beginning of a long answer."""
    found = re.search(r'"shapes":\[(\{.*?"elements":\[\]\})', head)
    if not found:
        raise Mismatch("the recording shows no whole shape")
    shape: dict[str, Any] = json.loads(found[1])
    return shape


def _bulk(count: int, *, bad: int = 0) -> Callable[[Replay, Exchange], None]:
    """Send many shapes; the answer has as many, in order, with consecutive ids, and shapes of the recorded form."""

    def special(replay: Replay, exchange: Exchange) -> None:
        body = {**exchange, "request_body": {"shapes": _many(count, bad)}, "response_headers": {}}
        response = replay.send(body)
        if response.status_code != exchange["status"]:
            raise Mismatch(f"status {response.status_code}, recorded {exchange['status']}")
        if bad:
            replay.compare(exchange["response_body"], response)
            return
        shapes = response.json()["shapes"]
        first = shapes[0]["id"]
        if [shape["id"] for shape in shapes] != list(range(first, first + count)):
            raise Mismatch("the ids are not consecutive in the order of the request")
        _same_form(shapes[0], exchange)

    return special


def _bulk_read(replay: Replay, exchange: Exchange) -> None:
    response = replay.send(exchange)
    shapes = response.json()["shapes"]
    frames = [shape["frame"] for shape in shapes]
    if response.status_code != 200 or len(shapes) != 5000 or frames != sorted(frames):
        raise Mismatch(f"status {response.status_code}, {len(shapes)} shapes")
    _same_form(shapes[0], exchange)


def _bulk_update(replay: Replay, exchange: Exchange) -> None:
    shapes = replay.send({**exchange, "method": "GET", "query": {}, "request_body": None}).json()["shapes"][:1000]
    moved = [{**shape, "points": [0, 0, 1, 1, 2, 0]} for shape in shapes]
    response = replay.http.patch(
        replay.ids.in_url(exchange["path"]),
        params=exchange["query"],
        json={"shapes": moved},
        auth=("admin", PASSWORDS["admin"]),
    )
    answered = response.json()["shapes"]
    if response.status_code != 200 or [shape["id"] for shape in answered] != [shape["id"] for shape in shapes]:
        raise Mismatch(f"status {response.status_code}")
    _same_form(answered[0], exchange)


def _same_form(shape: Mapping[str, Any], exchange: Exchange) -> None:
    recorded = _first_object(exchange["response_body"]["head"])
    if list(shape) != list(recorded):
        raise Mismatch(f"keys {list(shape)}, recorded {list(recorded)}")


def _login(replay: Replay, exchange: Exchange) -> None:
    """Log in and keep the token and the cookies for the exchanges that use them."""
    response = replay.exchange(exchange)
    if response.is_success:
        replay.tokens["token"] = response.json()["key"]
        replay.tokens["csrf"] = replay.cookies["csrftoken"]
        replay.tokens["session"] = replay.cookies["sessionid"]


def _with(*names: str) -> Callable[[Replay, Exchange], None]:
    """Send with the token, with the session's cookies, or with its CSRF token."""

    def special(replay: Replay, exchange: Exchange) -> None:
        headers = {}
        if "token" in names:
            headers["Authorization"] = f"Token {replay.tokens['token']}"
        if "session" in names:
            headers["Cookie"] = f"sessionid={replay.tokens['session']}; csrftoken={replay.tokens['csrf']}"
        if "csrf" in names:
            headers["X-CSRFToken"] = replay.tokens["csrf"]
        replay.credentials[exchange["n"]] = headers
        replay.exchange(exchange)

    return special


def _until_limited(replay: Replay, exchange: Exchange) -> None:
    """Call until the anonymous rate limit answers; the recording keeps the first such answer."""
    for _ in range(130):
        if replay.send(exchange).status_code == 429:
            break
    _limited(replay, exchange)


def _limited(replay: Replay, exchange: Exchange) -> None:
    """How long one has to wait differs."""
    response = replay.send(exchange)
    wait = response.headers.get("retry-after", "")
    expected = {"detail": f"Request was throttled. Expected available in {wait} seconds."}
    if response.status_code != 429 or not wait.isdigit() or response.json() != expected:
        raise Mismatch(f"{response.status_code} {response.text}")


CONVERSATIONS: dict[str, Conversation] = {
    "01_project_and_webhooks": Conversation(),
    "02_task_create_from_data": Conversation(before=_before_uploads, left_out={TUS: [*numbers("53-73")]}),
    "03_frames_and_meta": Conversation(before=_before_frames, left_out={VIDEO_CHUNKS: [*numbers("99-100")]}),
    "04_idempotency_and_aborts": Conversation(
        before=_before_idempotency,
        users=dict.fromkeys(numbers("219-221"), "annot1"),
        left_out={TUS: [*numbers("84-110")]},
        special={76: _cut, 194: _eventually, 199: _behind_others},
        import_s=0.4,
    ),
    "05_job_states_and_webhooks": Conversation(special={109: _remembers_a_delivery, 148: _others_silenced}),
    "06_job_annotations": Conversation(
        before=_before_annotations,
        users={153: "outsider", 154: "outsider", 155: "annot1"},
        left_out={RACE: [*numbers("95-135")]},
        special={68: _bulk(5000), 69: _bulk_read, 70: _bulk(1000, bad=1), 71: _bulk_read, 72: _bulk_update},
    ),
    "07_task_and_job_annotations": Conversation(before=_before_levels, left_out={JOB_ORDER: [*numbers("121-129")]}),
    "08_organization_and_errors": Conversation(
        users=dict.fromkeys(numbers("84-87 91 93-96 99 103 105-107 109 111-112 114"), "annot1")
        | dict.fromkeys(numbers("116 118-119 121"), "annot2")
        | dict.fromkeys(numbers("122-127"), "outsider"),
        headers={
            131: {"Authorization": "Token 0123456789"},
            132: {"Authorization": "Bearer 0123456789"},
            133: {"Authorization": "Basic YWRtaW46d3Jvbmc="},
            134: {"Authorization": "Basic !"},
            135: {"Authorization": "Token"},
        },
        left_out={MEMBERS: [4], BROWSABLE: [149]},
    ),
    "09_auth_and_versions": Conversation(
        users={16: "annot1", 35: "annot2"},
        headers={47: {"Authorization": "Bearer 0123456789"}},
        left_out={
            SERVER_TOOLS: [*numbers("2-12")],
            BROWSABLE: [*numbers("54-55")],
            WAITING: [*numbers("50-53 62-63")],
        },
        special=dict.fromkeys(numbers("17 18 23 24 29 32 36 42"), _login)
        | dict.fromkeys(numbers("21 22 27 28 30 34"), _with("token"))
        | {25: _with("session"), 26: _with("session"), 33: _with("session", "csrf"), 37: _with("session")}
        | {43: _with("session"), 44: _with("session", "csrf")}
        | {56: _until_limited, 58: _limited, 61: _limited},
    ),
    "10_polling_gt_jobs_issues_labels": Conversation(
        before=_before_polling,
        left_out={ISSUES: [*numbers("50-61 85-87")]},
        unheard={
            "A project without comments tells of its jobs when it is deleted; the recorded one had comments.": [
                ("delete:job", job) for job in (124, 125, 126, 127, 128, 129)
            ]
        },
    ),
}
