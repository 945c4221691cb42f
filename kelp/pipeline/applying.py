"""Doing the steps of a difference, in their order. Each can be repeated: what was done is found by its mark."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from kelp.pipeline.cvat import Cvat
from kelp.pipeline.errors import CvatForbidden, CvatGone
from kelp.pipeline.present import Present
from kelp.pipeline.steps import (
    Blocked,
    ChangeProject,
    ChangeWebhook,
    Difference,
    DropWebhook,
    MakeProject,
    MakeWebhook,
    Step,
)
from kelp.pipeline.wanted import Wanted


def apply(
    wanted: Wanted,
    present: Present,
    difference: Difference,
    cvat: Cvat,
    *,
    secret: str,
    done: Callable[[str], None],
) -> list[int]:
    """The ids of the webhooks that were made or changed. `done` is told of each step."""
    ids = dict(present.ids)
    touched = []
    for step in difference.changes:
        try:
            number = _do(step, ids, cvat, secret)
        except CvatForbidden as error:
            raise CvatForbidden(f"{step.what}: {error.message}; {advice_of_role(cvat)}") from None
        if isinstance(step, MakeProject):
            ids[step.key] = number
        elif isinstance(step, MakeWebhook | ChangeWebhook):
            touched.append(number)
        done(f"{step.what}: {_DONE[step.sign]}" + (f" ({number})" if step.sign == "+" else ""))
    return touched


def advice_of_role(cvat: Cvat) -> str:
    """What an account needs, in CVAT's words."""
    if cvat.organization:
        return (
            f"the account needs the role maintainer in the organization '{cvat.organization}', or supervisor and "
            "projects of its own"
        )
    return "the account needs the group user, and must own the project"


_DONE = {"+": "made", "~": "changed", "-": "deleted"}


def _do(step: Step, ids: dict[str, int], cvat: Cvat, secret: str) -> int:
    match step:
        case MakeProject():
            return int(cvat.create_project(step.body())["id"])
        case ChangeProject():
            if step.remade:
                cvat.change_project(step.id, {"labels": [{"id": number, "deleted": True} for number in step.remade]})
            cvat.change_project(step.id, step.body)
            return step.id
        case MakeWebhook():
            return int(cvat.create_webhook(step.body(ids[step.project], ids, secret))["id"])
        case ChangeWebhook():
            cvat.change_webhook(step.id, step.body(ids, secret))
            return step.id
        case DropWebhook():
            with suppress(CvatGone):
                cvat.delete_webhook(step.id)
            return step.id
        case Blocked():
            raise AssertionError("a step that cannot be done")
