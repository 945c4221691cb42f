"""The paths of the webhooks, as CVAT's hooks and their own runs know them."""

from __future__ import annotations

from bridge.events.task_parameters import TaskKind

DETECT_PATH = "/detect-model-webhook"
TASK_PATHS: dict[TaskKind, str] = {
    "crop": "/crop-quadrat-and-create-new-task-webhook",
    "remove-grid": "/remove-grid-and-create-new-task-webhook",
}
