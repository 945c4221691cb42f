"""The same model under KServe's own ModelServer: `python -m predictors.serving.kserve_model CARD [KServe's options]`.

For installations that need KServe's server around every model. It shares everything behind the edges (admission,
batches, deadlines, isolation of bad images) with Kelp's own server. What belongs to the edge is KServe's: no limit on
bodies, errors without code and image indices, a slower start. Binary tensors are read by Kelp's codec, also here.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kserve
import orjson
from kserve.errors import InferenceError, InvalidInput, ModelNotReady
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferResponse

from kelp.card import Card, load_card
from kelp.codec import InferRequest, InferResponse, decode_request, encode_response, grpc_messages
from kelp.codec.rest import HEADER_LENGTH
from kelp.errors import InvalidRequest, KelpError, NotReady
from predictors.registry import make_model
from predictors.serving.dataplane import DataPlane


class KelpModel(kserve.Model):  # type: ignore[misc]
    """One card's model. `load` returns once it is ready, and raises what keeps it from that."""

    def __init__(self, card: Card, cache: Path | None = None) -> None:
        super().__init__(card.model_name)
        self._cache = cache
        self._plane = DataPlane(card)
        read_binary_tensors()

    def load(self) -> bool:
        settled, failures = threading.Event(), list[BaseException]()

        def failed(error: BaseException) -> None:
            self.ready = False
            failures.append(error)
            settled.set()

        self._plane.start(lambda: make_model(self._plane.card, self._cache), failed, settled.set)
        settled.wait()
        if failures:
            raise failures[0]
        self.ready = True
        return True

    def stop(self) -> None:
        self.ready = False
        self._plane.close(1.0)

    def get_input_types(self) -> list[dict[str, Any]]:
        return list(self._plane.metadata()["inputs"])

    def get_output_types(self) -> list[dict[str, Any]]:
        return list(self._plane.metadata()["outputs"])

    async def predict(self, payload: Any, headers: dict[str, str] | None = None) -> kserve.InferResponse:
        """The answer to a V2 request; KServe's errors carry the message."""
        try:
            place = self._plane.admission.enter()
            try:
                return await self._plane.infer(
                    place,
                    lambda: _request_of(payload, self.name),
                    _Response,
                    started=time.monotonic(),
                    fields={},
                )
            finally:
                place.leave()
        except InvalidRequest as error:
            raise InvalidInput(error.message) from None
        except NotReady as error:
            raise ModelNotReady(self.name, error.message) from None
        except KelpError as error:
            raise InferenceError(error.message) from None


def read_binary_tensors() -> None:
    """Have KServe's REST endpoint read the binary extension with Kelp's codec: bytes stay bytes, nothing is a list."""
    kserve.InferRequest.from_bytes = classmethod(_Request.read)


class _Request(kserve.InferRequest):  # type: ignore[misc]
    """A request of the binary extension, decoded already."""

    def __init__(self, decoded: InferRequest) -> None:
        super().__init__(decoded.model_name, [], request_id=decoded.id)
        self.decoded = decoded

    @staticmethod
    def read(_: type, body: bytes, json_length: int, model_name: str) -> _Request:
        try:
            return _Request(decode_request(body, json_length, model_name=model_name))
        except InvalidRequest as error:
            raise InvalidInput(error.message) from None


class _Response(kserve.InferResponse):  # type: ignore[misc]
    """An answer that is written by Kelp's codec, in the form that its request asks for."""

    def __init__(self, response: InferResponse, request: InferRequest) -> None:
        super().__init__(response.id, response.model_name, [])
        self._response = response
        self._request = request

    def to_rest(self) -> tuple[bytes | dict[str, Any], int | None]:
        buffers, headers = encode_response(self._response, self._request)
        body = b"".join(buffers)
        length = headers.get(HEADER_LENGTH)
        return (orjson.loads(body), None) if length is None else (body, int(length))

    def to_grpc(self) -> ModelInferResponse:
        return ModelInferResponse.FromString(grpc_messages.encode_response(self._response, self._request))


def _request_of(payload: Any, model_name: str) -> InferRequest:
    if isinstance(payload, _Request):
        return payload.decoded
    if not isinstance(payload, kserve.InferRequest):
        raise InvalidRequest("expected a V2 request")
    if payload.from_grpc:
        return grpc_messages.decode_request(payload.to_grpc().SerializeToString())
    message, _ = payload.to_rest()
    return decode_request(orjson.dumps(message), model_name=model_name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a card with KServe's ModelServer and its command line."""
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("card", type=Path, help="the model's card, a YAML file")
    given = parser.parse_args(arguments)
    card = load_card(given.card)
    model = KelpModel(card)
    model.load()
    kserve.ModelServer(
        http_port=given.http_port, grpc_port=given.grpc_port, enable_grpc=given.enable_grpc, workers=1
    ).start([model])


if __name__ == "__main__":
    main()
