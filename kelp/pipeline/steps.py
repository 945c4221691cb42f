"""The steps from what CVAT holds to what a pipeline wants: told before they are done, with what CVAT is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kelp.pipeline.labels import posted
from kelp.pipeline.wanted import WantedProject, WantedWebhook

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MakeProject:
    key: str
    wanted: WantedProject
    sign: str = "+"

    @property
    def what(self) -> str:
        return f"project '{self.wanted.name}'"

    @property
    def told(self) -> list[str]:
        kinds = [f"{label.name} ({label.type})" for label in (*self.wanted.labels, *self.wanted.mapped)]
        return [f"labels: {', '.join(kinds)}"] if kinds else []

    def body(self) -> Json:
        return {
            "name": self.wanted.name,
            "labels": [posted(label) for label in (*self.wanted.labels, *self.wanted.mapped)],
            # With it in the very request that makes the project, an apply that was killed is found again.
            "bug_tracker": str(self.wanted.mark),
        }


@dataclass(frozen=True, slots=True)
class ChangeProject:
    """remade: ids of labels that go before `body` is sent."""

    id: int
    name: str
    body: Json
    remade: tuple[int, ...]
    told: list[str]
    sign: str = "~"

    @property
    def what(self) -> str:
        return f"project {self.id} '{self.name}'"


@dataclass(frozen=True, slots=True)
class MakeWebhook:
    project: str
    name: str
    wanted: WantedWebhook
    url: str
    sign: str = "+"

    @property
    def what(self) -> str:
        return f"webhook '{self.wanted.mark.webhook}' of '{self.name}'"

    @property
    def told(self) -> list[str]:
        return [self.url, "events: " + ", ".join(self.wanted.events)]

    def body(self, project_id: int, ids: Mapping[str, int], secret: str) -> Json:
        return {
            "type": "project",
            "project_id": project_id,
            "content_type": "application/json",
            "secret": secret,
            **webhook_fields(self.wanted, ids),
        }


@dataclass(frozen=True, slots=True)
class ChangeWebhook:
    """names: the fields that differ; with_secret: it is set anew, because the bridge refused it or somebody asked."""

    id: int
    name: str
    wanted: WantedWebhook
    names: tuple[str, ...]
    with_secret: bool
    told: list[str]
    sign: str = "~"

    @property
    def what(self) -> str:
        return f"webhook {self.id} '{self.wanted.mark.webhook}' of '{self.name}'"

    def body(self, ids: Mapping[str, int], secret: str) -> Json:
        fields = webhook_fields(self.wanted, ids)
        return {name: fields[name] for name in self.names} | ({"secret": secret} if self.with_secret else {})


@dataclass(frozen=True, slots=True)
class DropWebhook:
    """One that the pipeline made, and that its file does not have any more."""

    id: int
    name: str
    url: str
    sign: str = "-"

    @property
    def what(self) -> str:
        return f"webhook {self.id} of '{self.name}'"

    @property
    def told(self) -> list[str]:
        return [self.url, "the file does not have it any more"]


@dataclass(frozen=True, slots=True)
class Blocked:
    """Something that differs and is not changed."""

    what: str
    told: list[str]
    sign: str = "!"


Step = MakeProject | ChangeProject | MakeWebhook | ChangeWebhook | DropWebhook | Blocked


@dataclass(slots=True)
class Difference:
    """steps: in the order in which they are done; notes: what somebody should know."""

    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def changes(self) -> list[Step]:
        return [step for step in self.steps if not isinstance(step, Blocked)]

    @property
    def blocked(self) -> list[Blocked]:
        return [step for step in self.steps if isinstance(step, Blocked)]


def webhook_fields(wanted: WantedWebhook, ids: Mapping[str, int]) -> Json:
    """The fields of a webhook that can be changed, and read back."""
    return {
        "target_url": wanted.url(ids),
        "description": wanted.description,
        "is_active": wanted.is_active,
        "enable_ssl": wanted.enable_ssl,
        "events": list(wanted.events),
    }
