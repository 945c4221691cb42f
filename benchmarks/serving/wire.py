"""A client that costs as little as possible: prepared bytes over one connection, the answer read and not looked at."""

from __future__ import annotations

import base64
import json
import socket
import time

from benchmarks.serving.loop import OUTPUTS
from kelp.codec import InferRequest, RequestedOutput, Tensor, encode_request


class Caller:
    """One connection that sends the same request again and again."""

    def __init__(self, port: int, request: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self) -> float:
        """Seconds from the first byte sent to the last one read. RuntimeError unless it is answered with 200."""
        started = time.perf_counter()
        self._socket.sendall(self._request)
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._received()
        head = answer[:end].lower()
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise RuntimeError(answer[:500].decode("latin-1"))
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        left = length - (len(answer) - end - 4)
        while left > 0:
            left -= len(self._received())
        return time.perf_counter() - started

    def _received(self) -> bytes:
        data = self._socket.recv(1 << 18)
        if not data:
            raise RuntimeError("the server closed the connection")
        return data


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    lines = {"host": "127.0.0.1", **headers, "content-length": str(len(body))}
    head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()


def v2_request(model: str, *tensors: Tensor, outputs: tuple[str, ...] = OUTPUTS, binary_answer: bool = True) -> bytes:
    """A request in the binary extension."""
    request = InferRequest(
        model,
        tensors,
        tuple(RequestedOutput(name) for name in outputs),
        answer="binary" if binary_answer else "json",
    )
    buffers, headers = encode_request(request)
    return post(f"/v2/models/{model}/infer", b"".join(buffers), headers)


def litserve_request(image: bytes) -> bytes:
    body = json.dumps({"image": base64.b64encode(image).decode()}).encode()
    return post("/predict", body, {"content-type": "application/json"})
