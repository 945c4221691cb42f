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
from bridge.edge.openapi import webhook_descriptions
from bridge.runs.services import Services
from kelp import __version__
from kelp.errors import InvalidRequest, KelpError, NotFound, error_from_answer

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
            schema["paths"] |= webhook_descriptions()
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _answer(error: KelpError) -> JSONResponse:
    headers = {} if error.retry_after_s is None else {"Retry-After": str(max(1, round(error.retry_after_s)))}
    return JSONResponse(error.to_json(), error.status, headers)
