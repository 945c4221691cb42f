"""A small Kubernetes API server for tests: list and watch of InferenceServices, get of ConfigMaps, and its bad days.

What it answers has the form that a real one gave (`tests/data/kubernetes`): pages, bookmarks, `410 Expired`, `Status`
objects, a watch that ends by itself, one that falls silent, a token that is renewed.
"""

from __future__ import annotations

import base64
import itertools
import json
import queue
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

GROUP = "/apis/serving.kserve.io/v1beta1/namespaces/"
DATA = Path(__file__).parents[1] / "data" / "kubernetes"
Object = dict[str, Any]


def recorded(name: str) -> list[Object]:
    """The events of a watch that was recorded on a real cluster."""
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


class KubeApiServer:
    """A context manager on 127.0.0.1. `token`: what callers must show. Counted: `asked`, path → how often."""

    def __init__(self, token: str = "token-1") -> None:
        self.token = token
        self.asked: list[str] = []
        self.page = 500
        self.refuse: Callable[[str], tuple[int, str] | None] = lambda path: None
        """What a path is answered instead, if anything."""
        self.forgotten = 0
        """Watches from before this version have expired."""
        self._versions = itertools.count(1000)
        self._version = next(self._versions)
        self._items: dict[tuple[str, str], Object] = {}
        self._maps: dict[tuple[str, str], Object] = {}
        self._watches: list[tuple[str, queue.Queue[Object | None]]] = []
        self._history: list[tuple[str, Object]] = []
        self._lock = threading.RLock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: Any) -> None: ...

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> KubeApiServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end_watches()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def kubeconfig(self, folder: Path, namespace: str = "reef", **user: Any) -> Path:
        """A file that leads here; the token lies in a file of its own, so that it can be renewed."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "token").write_text(self.token + "\n")
        config = {
            "current-context": "here",
            "contexts": [
                {"name": "there", "context": {"cluster": "gone", "user": "nobody"}},
                {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": namespace}},
            ],
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": user or {"tokenFile": "token"}}],
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    # What is there

    def put(self, item: Object, namespace: str = "reef") -> None:
        """Create or change an InferenceService."""
        with self._lock:
            key = namespace, item["metadata"]["name"]
            kind = "MODIFIED" if key in self._items else "ADDED"
            self._items[key] = self._stamped(item, namespace)
            self._tell(namespace, {"type": kind, "object": self._items[key]})

    def delete(self, name: str, namespace: str = "reef") -> None:
        with self._lock:
            gone = self._stamped(self._items.pop((namespace, name)), namespace)
            self._tell(namespace, {"type": "DELETED", "object": gone})

    def put_map(self, name: str, data: dict[str, str], namespace: str = "reef") -> None:
        self._maps[namespace, name] = {"kind": "ConfigMap", "metadata": {"name": name}, "data": data}

    def delete_map(self, name: str, namespace: str = "reef") -> None:
        del self._maps[namespace, name]

    # Its bad days

    def bookmark(self, namespace: str = "reef") -> None:
        with self._lock:
            self._version = next(self._versions)
            self._send(namespace, {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(self._version)}}})

    def fail_watches(self, code: int, message: str, namespace: str = "reef") -> None:
        """An ERROR event: the last one of a watch."""
        self._send(namespace, {"type": "ERROR", "object": {"kind": "Status", "code": code, "message": message}})
        self.end_watches()

    def end_watches(self) -> None:
        with self._lock:
            for _, events in self._watches:
                events.put(None)
            self._watches.clear()

    def forget_history(self) -> None:
        """Every version before the present one is too old to watch from."""
        with self._lock:
            self.forgotten = self._version
            self._history.clear()

    def count(self, text: str) -> int:
        """How many requests had `text` in their path or query."""
        return sum(text in path for path in list(self.asked))

    @property
    def watching(self) -> int:
        return len(self._watches)

    # HTTP

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(request.path)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            self._status(request, 401, "Unauthorized")
        elif (refusal := self.refuse(request.path)) is not None:
            self._status(request, *refusal)
        elif "watch" in query:
            self._watch(request, parts.path.split("/")[5], int(query["resourceVersion"]))
        elif parts.path.startswith(GROUP):
            self._list(request, parts.path.split("/")[5], query)
        elif parts.path.startswith("/api/v1/namespaces/") and "/configmaps/" in parts.path:
            namespace, name = parts.path.split("/")[4], parts.path.split("/")[6]
            found = self._maps.get((namespace, name))
            if found is None:
                self._status(request, 404, f'configmaps "{name}" not found', name=name)
            else:
                self._json(request, 200, found)
        else:
            self._status(request, 404, "the server could not find the requested resource")

    def _list(self, request: BaseHTTPRequestHandler, namespace: str, query: dict[str, str]) -> None:
        with self._lock:
            items = [item for (where, _), item in sorted(self._items.items()) if where == namespace]
            version = self._version
        if "PartialObjectMetadataList" in request.headers["accept"]:
            items = [{"metadata": item["metadata"]} for item in items]
        first = int(base64.b64decode(query["continue"])) if query.get("continue") else 0
        size = min(int(query.get("limit", self.page)), self.page)
        rest = base64.b64encode(str(first + size).encode()).decode() if first + size < len(items) else ""
        metadata = {"resourceVersion": str(version), "continue": rest}
        self._json(request, 200, {"metadata": metadata, "items": items[first : first + size]})

    def _watch(self, request: BaseHTTPRequestHandler, namespace: str, version: int) -> None:
        events: queue.Queue[Object | None] = queue.Queue()
        with self._lock:
            if version < self.forgotten:
                expired = {"kind": "Status", "code": 410, "message": f"too old resource version: {version}"}
                events.put({"type": "ERROR", "object": expired})
                events.put(None)
            else:
                for where, event in self._history:
                    if where == namespace and int(event["object"]["metadata"]["resourceVersion"]) > version:
                        events.put(event)
                self._watches.append((namespace, events))
        request.send_response(200)
        request.send_header("content-type", "application/json")
        request.send_header("transfer-encoding", "chunked")
        request.end_headers()
        try:
            while (event := events.get()) is not None:
                line = json.dumps(event, ensure_ascii=False).encode() + b"\n"
                # In two pieces, as a network does it.
                for piece in (line[: len(line) // 2], line[len(line) // 2 :]):
                    request.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    request.wfile.flush()
            request.wfile.write(b"0\r\n\r\n")
        except OSError:  # the client went away
            request.close_connection = True

    def _stamped(self, item: Object, namespace: str) -> Object:
        self._version = next(self._versions)
        metadata = {**item["metadata"], "namespace": namespace, "resourceVersion": str(self._version)}
        return {**item, "metadata": metadata}

    def _tell(self, namespace: str, event: Object) -> None:
        self._history.append((namespace, event))
        self._send(namespace, event)

    def _send(self, namespace: str, event: Object) -> None:
        with self._lock:
            for where, events in self._watches:
                if where == namespace:
                    events.put(event)

    def _status(self, request: BaseHTTPRequestHandler, code: int, message: str, **details: str) -> None:
        body = {"kind": "Status", "status": "Failure", "message": message, "code": code, "details": details}
        self._json(request, code, body)

    def _json(self, request: BaseHTTPRequestHandler, code: int, body: Object) -> None:
        content = json.dumps(body).encode()
        request.send_response(code)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
