"""The rows the server keeps. All of them are read and changed under the one lock of `state.State`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(eq=False)
class User:
    id: int
    username: str
    password: str
    superuser: bool
    joined: str
    access_token: str = ""
    last_login: str | None = None

    @property
    def email(self) -> str:
        return f"{self.username}@cvat.example"


@dataclass(eq=False)
class Organization:
    id: int
    slug: str
    name: str
    owner: User
    created: str
    updated: str
    uuid: str
    members: dict[int, str] = field(default_factory=dict)
    """Roles by user."""


@dataclass(eq=False)
class Attribute:
    id: int
    name: str
    mutable: bool
    input_type: str
    default_value: str
    values: list[str]


@dataclass(eq=False)
class Label:
    id: int
    name: str
    color: str
    type: str
    attributes: list[Attribute]
    sublabels: list[Label] = field(default_factory=list)
    svg: str = ""
    parent: Label | None = None


@dataclass(eq=False)
class Project:
    id: int
    name: str
    owner: User
    created: str
    updated: str
    organization: Organization | None = None
    assignee: User | None = None
    assignee_updated: str | None = None
    bug_tracker: str = ""
    labels: list[Label] = field(default_factory=list)


@dataclass(frozen=True)
class Frame:
    """One image of a task: the bytes of its original quality and their media type."""

    name: str
    width: int
    height: int
    content: bytes
    media_type: str


@dataclass(eq=False)
class Upload:
    """A file that arrives in pieces."""

    name: str
    size: int
    owner: User
    content: bytearray = field(default_factory=bytearray)


@dataclass(eq=False)
class Data:
    """A task's data row: there from the first upload request on, filled by the import."""

    id: int
    image_quality: int = 50
    uploads: dict[str, bytes] = field(default_factory=dict)
    pieces: dict[str, Upload] = field(default_factory=dict)
    """Unfinished uploads by their id."""
    chunk_size: int | None = None
    chunk_type: str = "imageset"
    frames: list[Frame] = field(default_factory=list)
    start_frame: int = 0
    stop_frame: int = 0
    frame_filter: str = ""
    deleted: set[int] = field(default_factory=set)
    video: str | None = None
    """The file's name where the frames are those of a video."""

    @property
    def step(self) -> int:
        return int(self.frame_filter.removeprefix("step=")) if self.frame_filter else 1


@dataclass(eq=False)
class Task:
    id: int
    name: str
    owner: User
    created: str
    updated: str
    project: Project | None
    organization: Organization | None = None
    assignee: User | None = None
    assignee_updated: str | None = None
    bug_tracker: str = ""
    subset: str = ""
    mode: str = ""
    overlap: int | None = None
    segment_size: int = 0
    consensus_replicas: int = 0
    dimension: str = "2d"
    status: str = "annotation"
    labels: list[Label] = field(default_factory=list)
    data: Data | None = None

    def all_labels(self) -> list[Label]:
        return self.project.labels if self.project else self.labels


@dataclass(eq=False)
class Job:
    id: int
    task: Task
    start: int
    stop: int
    created: str
    updated: str
    chunks_updated: str
    type: str = "annotation"
    included: list[int] | None = None
    """The frames of a ground truth job, which spans all of its task."""
    parent: Job | None = None
    """The annotation job that a consensus replica is one of."""
    status: str = "annotation"
    stage: str = "annotation"
    state: str = "new"
    assignee: User | None = None
    assignee_updated: str | None = None
    tags: dict[int, Json] = field(default_factory=dict)
    shapes: dict[int, Json] = field(default_factory=dict)
    tracks: dict[int, Json] = field(default_factory=dict)


@dataclass(eq=False)
class Webhook:
    id: int
    target_url: str
    type: str
    owner: User
    created: str
    updated: str
    events: list[str]
    project: Project | None = None
    organization: Organization | None = None
    description: str = ""
    content_type: str = "application/json"
    secret: str = ""
    is_active: bool = True
    enable_ssl: bool = True
    deliveries: list[Delivery] = field(default_factory=list)


@dataclass(eq=False)
class Delivery:
    """One attempt to send, as `GET …/deliveries` shows it."""

    id: int
    webhook: Webhook
    event: str
    status_code: int
    redelivery: bool
    created: str
    updated: str
    changed_fields: str
    request: Json
    response: str


@dataclass(eq=False)
class Import:
    """The background request that makes a task from its uploaded files."""

    task: Task
    owner: User
    created: str
    status: str = "queued"
    message: str = ""
    started: str | None = None
    finished: str | None = None
    expires: str | None = None
    cancelled: bool = False

    @property
    def id(self) -> str:
        return f"action=create&target=task&target_id={self.task.id}"

    @property
    def running(self) -> bool:
        return self.status in ("queued", "started")
