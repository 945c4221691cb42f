"""V2's paths, and what answers each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from kelp import __version__
from kelp.card.openapi import openapi
from kelp.codec import Buffer
from kelp.errors import InvalidRequest, NotFound
from predictors.serving.dataplane import DataPlane
from predictors.serving.exposition import CONTENT_TYPE
from predictors.serving.repository import SERVER, Repository


class Answer(NamedTuple):
    """Status, the body's buffers in order, and headers."""

    status: int
    buffers: Sequence[Buffer]
    headers: dict[str, str]


class Target(NamedTuple):
    """What a path stands for: the method it takes, and its answer, or the model whose inference it is."""

    method: str
    answer: Callable[[], Answer] | None = None
    model: str = ""
    version: str = ""


class MethodNotAllowed(InvalidRequest):
    status = 405
    default_code = "method_not_allowed"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"this path takes {allowed}")
        self.allowed = allowed


def json_answer(value: Any, status: int = 200) -> Answer:
    return Answer(status, [orjson.dumps(value)], {"content-type": "application/json"})


class Routes:
    """Finds a path's target."""

    def __init__(self, plane: DataPlane, repository: Repository) -> None:
        self._plane = plane
        self._repository = repository

    def find(self, method: str, path: Sequence[str]) -> Target:
        """NotFound where there is no such path, MethodNotAllowed where it takes another method."""
        target = self._target(path)
        if target is None:
            raise NotFound(f"no such path: /{'/'.join(path)[:120]}", code="unknown_path")
        if method != target.method and not (method == "HEAD" and target.method == "GET"):
            raise MethodNotAllowed(target.method)
        return target

    def _target(self, path: Sequence[str]) -> Target | None:
        repository = self._repository
        match path:
            case [""]:
                return _get(lambda: {"status": "alive", "name": SERVER, "version": __version__})
            case ["metrics"]:
                return Target(
                    "GET", lambda: Answer(200, [self._plane.metrics.render()], {"content-type": CONTENT_TYPE})
                )
            case ["openapi.json"]:
                card = self._plane.card
                return _get(lambda: openapi([card.model_name], title=card.title or card.name))
            case ["v2"]:
                return _get(repository.server)
            case ["v2", "health", "live"]:
                return _get(lambda: {"live": True}, repository.check_live)
            case ["v2", "health", "ready"]:
                return _get(lambda: {"ready": True}, repository.check_ready)
            case ["v2", "models"]:
                return _get(lambda: {"models": [repository.model_name]})
            case ["v2", "models", name, "versions", version, *rest]:
                return self._of_model(name, version, rest)
            case ["v2", "models", name, *rest]:
                return self._of_model(name, "", rest)
            case ["v2", "repository", "index"]:
                return Target("POST", lambda: json_answer(repository.index()))
            case ["v2", "repository", "models", name, "load"]:
                return _post(lambda: {"name": name, "load": True}, lambda: repository.load(name))
            case ["v2", "repository", "models", name, "unload"]:
                return _post(lambda: {"name": name, "unload": True}, lambda: repository.unload(name))
        return None

    def _of_model(self, name: str, version: str, rest: Sequence[str]) -> Target | None:
        repository = self._repository
        match rest:
            case []:
                return _get(lambda: repository.metadata(name, version))
            case ["ready"]:
                return _get(lambda: {"name": name, "ready": True}, lambda: repository.check_model_ready(name, version))
            case ["infer"]:
                return Target("POST", model=name, version=version)
        return None


def _get(value: Callable[[], Any], check: Callable[[], None] = lambda: None, method: str = "GET") -> Target:
    def answer() -> Answer:
        check()
        return json_answer(value())

    return Target(method, answer)


def _post(value: Callable[[], Any], check: Callable[[], None]) -> Target:
    return _get(value, check, "POST")
