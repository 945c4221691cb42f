"""V2 over REST as calls and answers, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import orjson

from kelp import __version__
from kelp.client.between import error_between
from kelp.client.config import ClientConfig
from kelp.client.core import Core, IndexedModel, index_of
from kelp.client.errors import MalformedAnswer
from kelp.client.exchange import Steps
from kelp.codec import Buffer, InferRequest, InferResponse, decode_response, encode_request, header_length_of
from kelp.codec.rest import HEADER_LENGTH
from kelp.codec.status import retry_after_s
from kelp.errors import InvalidRequest, NotFound, NotReady, NotSupported, error_from_answer


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One HTTP request: `path` begins with `/v2`; `body` are buffers to be sent one after another."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Sequence[Buffer] = ()


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One HTTP response; header names are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RestCore(Core):
    def __init__(self, config: ClientConfig) -> None:
        super().__init__(config)
        # A compressed answer would cost both sides more than it saves.
        self.headers = {"user-agent": f"kelp/{__version__}", "accept-encoding": "identity"}
        if config.token:
            self.headers["authorization"] = f"Bearer {config.token}"

    def infer_call(self, request: InferRequest) -> HttpCall:
        binary = self.config.binary
        if binary:
            request = replace(request, answer="binary")
        body, headers = encode_request(request, binary=binary)
        return HttpCall("POST", f"{_path(request.model_name, request.model_version)}/infer", headers, body)

    def read_infer(self, answer: HttpAnswer) -> InferResponse:
        _raise_unless_ok(answer)
        with self.reading():
            return decode_response(answer.body, header_length_of(answer.headers.get(HEADER_LENGTH)))

    def ready_call(self, model: str) -> HttpCall:
        return _get(f"{_path(model)}/ready")

    def server_call(self, question: str) -> HttpCall:
        return _get(f"/v2/health/{question}")

    def read_yes(self, answer: HttpAnswer) -> None:
        _raise_unless_ok(answer)
        # KServe and Triton say it by the status; some servers answer 200 with `false`.
        body = _object(answer.body)
        if body and (body.get("ready") is False or body.get("live") is False):
            raise NotReady("the server says that it is not ready")

    def metadata_call(self, model: str) -> HttpCall:
        return _get(_path(model))

    def read_metadata(self, answer: HttpAnswer) -> dict[str, Any]:
        _raise_unless_ok(answer)
        body = _object(answer.body)
        if body is None:
            raise MalformedAnswer(f"malformed metadata from {self.config.url}: not a JSON object")
        return body

    def models(self) -> Steps[list[IndexedModel]]:
        """The repository index; of a server that has none (KServe's own) the names it lists."""
        index = HttpCall("POST", "/v2/repository/index", {"content-type": "application/json"}, (b"{}",))
        try:
            return (yield from self.once(index, self._read_list(lambda body: body)))
        except (NotFound, InvalidRequest, NotSupported):
            names = self._read_list(
                lambda body: [{"name": n} for n in body["models"]] if isinstance(body, dict) else body
            )
            return (yield from self.once(_get("/v2/models"), names))

    def _read_list(self, pick: Callable[[Any], Any]) -> Callable[[HttpAnswer], list[IndexedModel]]:
        def read(answer: HttpAnswer) -> list[IndexedModel]:
            _raise_unless_ok(answer)
            try:
                return index_of(pick(orjson.loads(answer.body)))
            except (orjson.JSONDecodeError, KeyError) as error:
                raise MalformedAnswer(f"malformed list of models from {self.config.url}") from error

        return read


def _path(model: str, version: str = "") -> str:
    path = f"/v2/models/{quote(model, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path


def _get(path: str) -> HttpCall:
    return HttpCall("GET", path, {})


def _raise_unless_ok(answer: HttpAnswer) -> None:
    if answer.status == 200:
        return
    body = _object(answer.body)
    wait = retry_after_s(answer.headers.get("retry-after"))
    if body is None:
        raise error_between(answer.status, answer.body, retry_after_s=wait)
    raise error_from_answer(answer.status, body, retry_after_s=wait)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
