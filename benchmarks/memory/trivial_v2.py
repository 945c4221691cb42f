"""A V2 endpoint with one model that finds one box in each image, each time elsewhere; in a thread of this process."""

from __future__ import annotations

import itertools
import threading
import time
from types import TracebackType

import numpy as np
import orjson
import uvicorn
from starlette.types import Receive, Scope, Send

from kelp.codec import InferResponse, decode_request, encode_response, header_length_of
from kelp.codec.rest import HEADER_LENGTH
from kelp.detections import Detections
from kelp.detections.tensors import DETECTOR_OUTPUTS, to_tensors

MODEL = "trivial"
LABEL = "box"
CARD = {"name": MODEL, "title": "Trivial", "task": "detect", "labels": [{"name": LABEL, "type": "rectangle"}]}
METADATA = {
    "name": MODEL, "versions": [], "platform": "kelp", "inputs": [], "outputs": [],
    "parameters": {"card": {**CARD, "state": "ready", "settings": {}, "sha256": {}}},
}  # fmt: skip
SIDE = 16
START_S = 10.0


class TrivialV2:
    """A context manager; `url` is where it listens."""

    def __init__(self) -> None:
        self._places = itertools.cycle(range(1, SIDE))
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            port=0,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> TrivialV2:
        self._thread.start()
        ends = time.monotonic() + START_S
        while not self._server.started:
            if time.monotonic() > ends:
                raise RuntimeError(f"not listening within {START_S:g} s")
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(START_S)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers, answer = self._answer(scope, bytes(body))
        head = [(name.lower().encode(), str(value).encode()) for name, value in headers.items()]
        head.append((b"content-length", str(len(answer)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, scope: Scope, body: bytes) -> tuple[dict[str, str], bytes]:
        path = scope["path"]
        if path.endswith("/infer"):
            return self._infer(scope, body)
        if path.endswith("/index"):
            return {}, orjson.dumps([{"name": MODEL, "state": "READY", "reason": ""}])
        return {}, orjson.dumps(METADATA if path == f"/v2/models/{MODEL}" else {"name": MODEL, "ready": True})

    def _infer(self, scope: Scope, body: bytes) -> tuple[dict[str, str], bytes]:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        request = decode_request(body, header_length_of(headers.get(HEADER_LENGTH.lower())), model_name=MODEL)
        count = len(request.inputs[0].data)
        tensors = to_tensors(self._found(count), request.named_outputs or DETECTOR_OUTPUTS)
        buffers, answered = encode_response(InferResponse(model_name=MODEL, outputs=tuple(tensors)), request)
        return dict(answered), b"".join(buffers)

    def _found(self, count: int) -> Detections:
        boxes = [[0.0, 0.0, float(place), float(place)] for place in itertools.islice(self._places, count)]
        return Detections(
            image_index=np.arange(count, dtype=np.int32),
            label_id=np.zeros(count, np.int32),
            labels=(LABEL,),
            score=np.full(count, 0.9, np.float32),
            box=np.array(boxes, np.float32).reshape(-1, 4),
            image_size=np.full((count, 2), SIDE, np.int32),
        )
