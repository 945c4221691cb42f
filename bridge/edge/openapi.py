"""The webhooks in the OpenAPI description: they are no routes of the API, so it cannot find them by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bridge.events.parameters import EXISTING, TRIGGERS, all_detector_settings
from bridge.events.paths import DETECT_PATH, TASK_PATHS
from bridge.events.task_parameters import GRID_MODEL, SETTINGS, SKIP_INVALID, TASK_TRIGGERS, TaskKind
from kelp.settings.model import ModelSetting

_Parameter = tuple[str, bool, dict[str, Any], str]


def webhook_descriptions() -> dict[str, Any]:
    """By path."""
    detect = _webhook("CVAT's deliveries: annotate the job with a model", _detect(), all_detector_settings().values())
    what = {"crop": "make a task of the quadrats in its frames", "remove-grid": "make a task without the grids"}
    return {DETECT_PATH: detect} | {
        path: _webhook(f"CVAT's deliveries: once a task is done, {what[kind]}", _task(kind), _task_settings(kind))
        for kind, path in TASK_PATHS.items()
    }


def _detect() -> list[_Parameter]:
    return [
        ("model_name", True, {"type": "string"}, "the model, NAME, NAME-v2 or NAME@v2"),
        ("on", False, {"type": "string", "default": "started"}, f"comma list of {', '.join(TRIGGERS)}"),
        ("label_map", False, {"type": "string"}, "model:project,… (`model:` drops a label)"),
        ("labels", False, {"type": "string"}, "comma list of model labels to keep"),
        ("existing", False, {"type": "string", "enum": list(EXISTING), "default": "replace"}, "what is there already"),
    ]


def _task(kind: TaskKind) -> list[_Parameter]:
    both = ",".join(TASK_TRIGGERS)
    found: list[_Parameter] = [
        ("target_proj_id", True, {"type": "integer"}, "the project in which the new task is made"),
        ("on", False, {"type": "string", "default": both}, f"comma list of {', '.join(TASK_TRIGGERS)}"),
    ]
    if kind == "crop":
        return [*found, ("label", False, {"type": "string"}, "the label of the quadrats, where several could be")]
    return [*found, ("model_name", False, {"type": "string", "default": GRID_MODEL}, "the model that removes grids")]


def _task_settings(kind: TaskKind) -> Iterable[ModelSetting]:
    return [*SETTINGS[kind].values(), SKIP_INVALID]


def _webhook(summary: str, own: Iterable[_Parameter], settings: Iterable[ModelSetting]) -> dict[str, Any]:
    named = [(setting.name, False, _schema(setting), setting.help) for setting in settings]
    parameters = [
        {"name": name, "in": "query", "required": required, "schema": schema, "description": text}
        for name, required, schema, text in (*own, *named)
    ]
    signature = {
        "name": "X-Signature-256",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "sha256=HMAC of the raw body with one of KELP_WEBHOOK_SECRETS",
    }
    return {
        "post": {
            "tags": ["webhooks"],
            "summary": summary,
            "parameters": [*parameters, signature],
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": {
                "202": {"description": "written down; `run` and `url` say where"},
                "200": {"description": "a repeat, a ping, or nothing to do (`outcome`, `reason`)"},
                "400": {"description": "a parameter or value that does not exist, named"},
                "401": {"description": "the signature does not fit"},
                "404": {"description": "no such model"},
                "413": {"description": "the body is too large"},
                "503": {"description": "it could not be written down"},
            },
        }
    }


def _schema(setting: ModelSetting) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": {"float": "number", "int": "integer", "bool": "boolean"}.get(setting.kind, "string")
    }
    if setting.choices:
        schema["enum"] = list(setting.choices)
    if setting.minimum is not None:
        schema["minimum"] = setting.minimum
    if setting.maximum is not None:
        schema["maximum"] = setting.maximum
    return schema
