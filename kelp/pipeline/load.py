"""Reading a pipeline's file; every fault names the file, the field and what was expected there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kelp.card.load import CardError, read_mapping
from kelp.pipeline.errors import PipelineError
from kelp.pipeline.schema import TAG, Pipeline


def load_pipeline(path: str | Path) -> Pipeline:
    """The pipeline in the file at `path`."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PipelineError(f"{path}: not UTF-8 text") from None
    return parse_pipeline(text, source=str(path))


def parse_pipeline(text: str, *, source: str = "pipeline") -> Pipeline:
    """The pipeline in `text` (YAML). PipelineError names `source`, the field and what was expected, a line a fault."""
    try:
        data = read_mapping(text, source=source)
    except CardError as error:
        raise PipelineError(error.message) from None
    try:
        return Pipeline.model_validate(_with_on(data))
    except ValidationError as error:
        raise PipelineError("\n".join(f"{source}: {line}" for line in _faults(error))) from None


def _with_on(data: dict[Any, Any]) -> dict[Any, Any]:
    """`data` with the key `on` of its webhooks, which YAML 1.1 reads as a truth value unless it is quoted."""

    def inside(value: Any, depth: int) -> Any:
        if not isinstance(value, dict):
            return value
        if not depth:
            return {"on" if key is True else key: item for key, item in value.items()}
        return {key: inside(item, depth - 1) for key, item in value.items()}

    projects = data.get("projects")
    if not isinstance(projects, dict):
        return data
    mended = {
        key: {**project, "webhooks": inside(project["webhooks"], 1)}
        if isinstance(project, dict) and "webhooks" in project
        else project
        for key, project in projects.items()
    }
    return {**data, "projects": mended}


def _faults(error: ValidationError) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False):
        place = [str(part) for part in fault["loc"] if not str(part).startswith(TAG)]
        if place and place[-1] == "[key]":
            place.pop()
        field = ".".join(place)
        told = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            told = "unknown field"
        elif fault["type"] == "missing":
            told = "required, but not there"
        elif fault["type"] == "string_pattern_mismatch":
            variable = field == "secret_from"
            told = "expected the name of a variable" if variable else "expected lower-case letters, digits and dashes"
            told += f", got {fault['input']!r}"
        elif isinstance(fault["input"], (str, int, float, bool)):
            told = f"{told}, got {fault['input']!r}"
        # A fault between fields names them itself.
        lines.append(f"{field}: {told}" if field else told)
    return lines
