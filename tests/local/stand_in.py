"""A model's process that keeps `kelp up`'s contract and nothing else: announces its ports, is ready after a while, and
answers inference with what it saw. Standard library only, so that it starts at once.

Behaviour: a JSON file beside the card, `{"load_s": seconds, "fail": "text: exit code 3 before it listens"}`; and by
request header x-delay (seconds), x-crash (1), x-answer-bytes (so many zeros), x-cut (1: half of them, then SIGKILL),
x-stick (1: from then on its health says that a prediction hangs).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STARTED = time.monotonic()
stuck = threading.Event()
BEHAVIOUR = json.loads(Path(sys.argv[1]).with_suffix(".json").read_text())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        ready = time.monotonic() - STARTED >= BEHAVIOUR.get("load_s", 0)
        if stuck.is_set() and self.path == "/v2/health/live":
            return self._answer(503, b'{"error": "the model has not come back", "code": "stuck"}')
        return self._answer(200 if ready or self.path != "/v2/health/ready" else 503, b"{}")

    def do_POST(self) -> None:
        digest, length = hashlib.sha256(), 0
        for piece in self._body():
            digest.update(piece)
            length += len(piece)
        if self.headers.get("x-crash"):
            print(json.dumps({"level": "error", "error": "the reef collapsed"}), file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.headers.get("x-stick"):
            stuck.set()
        if delay := self.headers.get("x-delay"):
            print(json.dumps({"event": "delaying"}), file=sys.stderr, flush=True)
            time.sleep(float(delay))
        zeros = self.headers.get("x-answer-bytes")
        if zeros:
            return self._zeros(int(zeros))
        seen = {
            "pid": os.getpid(), "length": length, "sha256": digest.hexdigest(), "path": self.path,
            "headers": {k.lower(): v for k, v in self.headers.items()},
            "cuda": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "secrets": sorted(k for k in os.environ if k.startswith(("KELP_CVAT", "KELP_API", "KELP_WEBHOOK"))),
        }  # fmt: skip
        return self._answer(200, json.dumps(seen).encode())

    def _body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            piece = self.rfile.read(min(left, 1 << 16))
            left -= len(piece)
            yield piece

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Kept", "yes")
        self.send_header("Connection", "keep-alive, x-dropped")
        self.send_header("X-Dropped", "yes")
        self.end_headers()
        self.wfile.write(body)

    def _zeros(self, count: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(count))
        self.end_headers()
        piece = bytes(1 << 16)
        half = count // 2
        while count:
            if self.headers.get("x-cut") and count <= half:
                self.wfile.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            self.wfile.write(piece[: min(count, len(piece))])
            count -= min(count, len(piece))


def main() -> None:
    if "fail" in BEHAVIOUR:
        print(json.dumps({"level": "error", "error": BEHAVIOUR["fail"]}), file=sys.stderr, flush=True)
        sys.exit(3)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    announce = int(sys.argv[sys.argv.index("--announce") + 1])
    with os.fdopen(announce, "w") as stream:
        stream.write(json.dumps({"rest": server.server_address[1], "grpc": 1}) + "\n")
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.02)


if __name__ == "__main__":
    main()
