"""The FastAPI application: runs, health and the OpenAPI description, with one shape for every error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bridge import log
from bridge.edge import runs
from bridge.edge.health import Health
from bridge.edge.webhook import DETECT_PATH
from bridge.events.parameters import EXISTING, TRIGGERS, all_detector_settings
from bridge.runs.services import Services
from kelp import __version__
from kelp.errors import InvalidRequest, KelpError, NotFound, error_from_answer
from kelp.settings.model import ModelSetting

TITLE = "Kelp bridge"


def application(services: Services, health: Health, on_new: Callable[[], None]) -> FastAPI:
    app = FastAPI(title=TITLE, version=__version__, docs_url="/docs", redoc_url=None, openapi_url="/openapi.json")
    app.include_router(runs.router(services, on_new))

    @app.get("/health/live", tags=["health"])
    async def live() -> dict[str, bool]:
        """Whether the process answers."""
        return {"live": True}

    @app.get("/health/ready", tags=["health"])
    async def ready() -> JSONResponse:
        """Whether webhooks can be written down, and what else is missing."""
        status, body = await health.ready()
        return JSONResponse(body, status)

    @app.exception_handler(KelpError)
    async def known(request: Request, error: KelpError) -> JSONResponse:
        return _answer(error)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        return _answer(InvalidRequest("; ".join(faults)))

    @app.exception_handler(HTTPException)
    async def unknown_path(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404:
            return _answer(NotFound(f"nothing at {request.url.path}"))
        answer = _answer(error_from_answer(error.status_code, {"error": str(error.detail)}))
        answer.status_code = error.status_code
        return answer

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> JSONResponse:
        log.event("request_failed", level=40, path=request.url.path, error=error)
        return _answer(KelpError("internal error"))

    schema: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not schema:
            schema.update(get_openapi(title=TITLE, version=__version__, routes=app.routes))
            schema["paths"][DETECT_PATH] = {"post": _webhook_description()}
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _answer(error: KelpError) -> JSONResponse:
    headers = {} if error.retry_after_s is None else {"Retry-After": str(max(1, round(error.retry_after_s)))}
    return JSONResponse(error.to_json(), error.status, headers)


def _webhook_description() -> dict[str, Any]:
    own = [
        ("model_name", True, {"type": "string"}, "the model, NAME, NAME-v2 or NAME@v2"),
        ("on", False, {"type": "string", "default": "started"}, f"comma list of {', '.join(TRIGGERS)}"),
        ("label_map", False, {"type": "string"}, "model:project,… (`model:` drops a label)"),
        ("labels", False, {"type": "string"}, "comma list of model labels to keep"),
        ("existing", False, {"type": "string", "enum": list(EXISTING), "default": "replace"}, "what is there already"),
    ]
    settings = [(s.name, False, _schema(s), s.help) for s in all_detector_settings().values()]
    return {
        "tags": ["webhooks"],
        "summary": "CVAT's deliveries: annotate the job with a model",
        "parameters": [
            {"name": name, "in": "query", "required": required, "schema": schema, "description": text}
            for name, required, schema, text in (*own, *settings)
        ]
        + [
            {
                "name": "X-Signature-256",
                "in": "header",
                "required": False,
                "schema": {"type": "string"},
                "description": "sha256=HMAC of the raw body with one of KELP_WEBHOOK_SECRETS",
            }
        ],
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
