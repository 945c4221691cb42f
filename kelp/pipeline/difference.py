"""What of a pipeline differs from what CVAT holds, as steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kelp.pipeline.labels import label_difference
from kelp.pipeline.present import Present, PresentProject
from kelp.pipeline.steps import (
    Blocked,
    ChangeProject,
    ChangeWebhook,
    Difference,
    DropWebhook,
    MakeProject,
    MakeWebhook,
    webhook_fields,
)
from kelp.pipeline.wanted import Wanted, WantedProject, WantedWebhook, same_address

Json = dict[str, Any]
Ping = Callable[[Json], Json | None]
"""A webhook → the delivery of a ping to it; None where none is to be sent."""


class Comparison:
    """secret: what webhooks are given; rotate: in any case; ping: how it is tried, because CVAT never tells one."""

    def __init__(self, wanted: Wanted, present: Present, *, secret: str, rotate: bool, ping: Ping) -> None:
        self._wanted = wanted
        self._present = present
        self._secret = secret
        self._rotate = rotate
        self._ping = ping
        self._found = Difference(notes=list(present.notes))

    def difference(self) -> Difference:
        """What makes the one of the other: projects first, because webhooks lead to them."""
        for key, project in self._wanted.projects.items():
            there = self._present.projects.get(key)
            if there is None:
                self._found.steps.append(MakeProject(key, project))
            else:
                self._compare_project(project, there)
        for key, project in self._wanted.projects.items():
            self._compare_webhooks(key, project, self._present.projects.get(key))
        return self._found

    def _compare_project(self, wanted: WantedProject, there: PresentProject) -> None:
        body: Json = {}
        told = []
        if there.mark is not None and there.name != wanted.name:
            body["name"] = wanted.name
            told.append(f"name '{there.name}' → '{wanted.name}'")
        if there.mark is not None and there.mark != wanted.mark:
            body["bug_tracker"] = str(wanted.mark)
            told.append(f"the file calls it {wanted.mark.project} now, not {there.mark.project}")
        if there.mark is None and wanted.id is None:
            self._found.notes.append(
                f"project {there.id} '{there.name}' is there already, and not made by this pipeline: it gets the "
                "labels and webhooks that it lacks, and is never deleted"
            )
        labels = label_difference(wanted.labels, there.labels, tasks=there.tasks, mapped=wanted.mapped)
        if labels.body:
            body["labels"] = labels.body
            told += labels.told
        if body:
            self._found.steps.append(ChangeProject(there.id, there.name, body, tuple(labels.remade), told))
        for name, why in labels.blocked.items():
            self._found.steps.append(Blocked(f"label '{name}' of project {there.id} '{there.name}'", [why]))

    def _compare_webhooks(self, key: str, project: WantedProject, there: PresentProject | None) -> None:
        for webhook in project.webhooks:
            hook = there.webhooks.get(webhook.mark.webhook) if there else None
            if hook is None:
                url = webhook.url(self._present.ids)
                self._found.steps.append(MakeWebhook(key, project.name, webhook, url))
                self._note_twins(url, there)
            elif step := self._compare_webhook(webhook, hook, project.name):
                self._found.steps.append(step)
        for hook in there.dropped if there else ():
            self._found.steps.append(DropWebhook(hook["id"], project.name, hook["target_url"]))

    def _compare_webhook(self, wanted: WantedWebhook, there: Json, name: str) -> ChangeWebhook | None:
        differing = webhook_differences(wanted, there, self._present.ids)
        told = list(differing.values())
        why = self._why_new_secret(wanted, there, "target_url" in differing)
        if why:
            told.append(f"secret: set anew, {why}")
        return ChangeWebhook(there["id"], name, wanted, tuple(differing), bool(why), told) if told else None

    def _why_new_secret(self, wanted: WantedWebhook, there: Json, moved: bool) -> str:
        if self._rotate:
            return "asked for"
        if moved or not wanted.is_active:  # a ping would go to where it goes now
            return "with the address" if moved and self._secret else ""
        delivery = self._ping(there)
        if delivery is None or delivery.get("status_code") != 401:
            return ""
        if self._secret:
            return "because the bridge refuses the one that CVAT has"
        self._found.notes.append(
            f"webhook {there['id']}: the bridge refuses it, and no secret is set here to give it"
        )  # fmt: skip
        return ""

    def _note_twins(self, url: str, there: PresentProject | None) -> None:
        for hook in there.others if there else ():
            if same_address(hook.get("target_url") or "", url):
                self._found.notes.append(
                    f"webhook {hook['id']} of the same project has the same address and is not this pipeline's: it "
                    "stays, and the bridge counts what both send once"
                )


def webhook_differences(wanted: WantedWebhook, there: Json, ids: Mapping[str, int]) -> dict[str, str]:
    """The fields of a webhook that differ, each with what it is and is to be; of its secret CVAT tells nothing."""
    told = {}
    for name, new in webhook_fields(wanted, ids).items():
        old = there.get(name)
        if name == "events":
            same = sorted(old or []) == sorted(new)
        elif name == "target_url":
            same = same_address(old or "", new)
        else:
            same = old == new
        if not same:
            told[name] = f"{name}: {_shown(old)} → {_shown(new)}"
    return told


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
