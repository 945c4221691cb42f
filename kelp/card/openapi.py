"""A short OpenAPI description of V2's REST paths, for a predictor and for the endpoint of many models alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kelp import __version__

_ERROR = {
    "type": "object",
    "required": ["error", "code"],
    "properties": {
        "error": {"type": "string"},
        "code": {"type": "string", "description": "a stable name of the failure, in snake_case"},
        "image_indices": {"type": "array", "items": {"type": "integer"}, "description": "the images that failed"},
    },
}
_TENSOR = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": {"type": "string"},
        "datatype": {"type": "string", "example": "BYTES"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "parameters": {"type": "object"},
        "data": {"type": "array", "items": {}, "description": "elements of `image` and `mask` as base64"},
    },
}


def _infer(tensors: str, required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object", "description": "settings of the model, by name"},
            tensors: {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
            **({"outputs": {"type": "array", "items": {"type": "object"}}} if tensors == "inputs" else {}),
        },
    }


def _operation(summary: str, *statuses: int, schema: str = "", body: str = "") -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"} if schema else {}}}
    if schema == "InferResponse":
        content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    responses: dict[str, Any] = {"200": {"description": "done", "content": content}}
    for status in statuses:
        error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        responses[str(status)] = {"description": _MEANINGS[status], "content": error}
    operation: dict[str, Any] = {"summary": summary, "responses": responses}
    if body:
        operation["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    return operation


_MEANINGS = {
    400: "the request is wrong; the error says where",
    404: "no such model or version",
    409: "somebody uses the model, or its card keeps it awake",
    413: "the body is over the limit",
    429: "too many requests are waiting",
    501: "not something this server does",
    503: "not ready; Retry-After says when to try again",
    504: "the deadline passed",
}


def openapi(models: Iterable[str], *, title: str, unloads: bool = False) -> dict[str, Any]:
    """OpenAPI 3.1 of the paths that serve `models`. `unloads`: whether models can be put to sleep by hand."""
    get, post = "get", "post"
    of_models: dict[str, Any] = {}
    for name in models:
        model, repository = f"/v2/models/{name}", f"/v2/repository/models/{name}"
        of_models |= {
            model: {get: _operation("Model metadata, the card's public part included", 404)},
            f"{model}/ready": {get: _operation("Whether the model can be used", 404, 503)},
            f"{model}/infer": {
                post: _operation("Inference", 400, 404, 413, 429, 503, 504, schema="InferResponse", body="InferRequest")
            },
            f"{repository}/load": {post: _operation("Load the model", 404, 503)},
            f"{repository}/unload": {post: _operation("Unload the model", 404, 409 if unloads else 501)},
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": __version__,
            "description": "Open Inference Protocol (V2) with the binary tensor data extension.",
        },
        "paths": {
            "/v2": {get: _operation("Server metadata")},
            "/v2/health/live": {get: _operation("Whether the process lives", 503)},
            "/v2/health/ready": {get: _operation("Whether the model can be used", 503)},
            "/v2/models": {get: _operation("Names of the models")},
            **of_models,
            "/v2/repository/index": {post: _operation("The models and their states")},
            "/metrics": {get: {"summary": "Prometheus metrics", "responses": {"200": {"description": "text"}}}},
        },
        "components": {
            "schemas": {
                "Tensor": _TENSOR,
                "InferRequest": _infer("inputs", ["inputs"]),
                "InferResponse": _infer("outputs", ["model_name", "outputs"]),
                "Error": _ERROR,
            }
        },
    }
