"""The bridge as a real process, for tests that follow a run from the webhook to the shapes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.cvat import SECRET, CvatServer

ROOT = Path(__file__).parents[2]
FINISHED = {"completed", "completed_with_errors", "failed", "cancelled", "skipped"}


class BridgeProcess:
    """`python -m bridge` on free ports, in a process group of its own, its log in memory. Leaves no process behind."""

    def __init__(
        self,
        folder: Path,
        *,
        cvat: CvatServer | None = None,
        cvat_url: str = "",
        v2_url: str = "http://127.0.0.1:9",
        env: Mapping[str, str] | None = None,
        wait: bool = True,
        module: str = "bridge",
    ) -> None:
        """`folder` keeps the database; `cvat_url` replaces the address of `cvat`, as a proxy in front of it does.

        `module` is what `python -m` runs.
        """
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "KELP_HOST": cvat.bind_host if cvat else "127.0.0.1",
            "KELP_PORT": "0",
            "KELP_METRICS_PORT": "0",
            "KELP_V2_URL": v2_url,
            "KELP_WEBHOOK_SECRETS": SECRET,
            "KELP_DATABASE_URL": f"sqlite:///{folder / 'bridge.db'}",
            "KELP_LOG_LEVEL": "debug",
        }
        if cvat is not None:
            settings |= {"KELP_CVAT_USER": cvat.user, "KELP_CVAT_PASSWORD": cvat.password, "KELP_CVAT_URL": cvat.url}
        if cvat_url:
            settings["KELP_CVAT_URL"] = cvat_url
        clean = {name: value for name, value in os.environ.items() if not name.startswith("KELP_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env={**clean, **settings, **(env or {})},
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._host = "127.0.0.1"
        self._reach = cvat.bridge_host if cvat else "127.0.0.1"
        self._lines: list[dict[str, Any]] = []
        self._text: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.http = httpx.Client(timeout=30, trust_env=False)
        self.ports: dict[str, int] = {}
        if wait:
            try:
                for listener in ("main", "metrics"):
                    self.ports[listener] = self.wait_log("listening", listener=listener)["port"]
            except BaseException:
                self.kill()
                raise

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.ports['main']}"

    def webhook_url(self, query: str) -> str:
        """The detection webhook as CVAT reaches it."""
        return f"http://{self._reach}:{self.ports['main']}/detect-model-webhook?{query}"

    def get(self, path: str, **query: Any) -> Any:
        answer = self.http.get(self.url + path, params=query)
        assert answer.is_success, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.http.post(self.url + path, json=body)

    def metrics(self) -> str:
        return self.http.get(f"http://{self._host}:{self.ports['metrics']}/metrics").text

    def ready(self) -> tuple[int, list[str]]:
        """Status of the readiness, and what is missing."""
        answer = self.http.get(f"http://{self._host}:{self.ports['metrics']}/health/ready")
        return answer.status_code, answer.json()["missing"]

    def runs(self, **query: Any) -> list[Any]:
        rows: list[Any] = self.get("/api/v1/runs", **query)["runs"]
        return rows

    def wait_run(self, run_id: str | None = None, *, deadline_s: float = 60.0, **query: Any) -> Any:
        """The run (or the first one that `query` lists) once it is finished."""
        end = time.monotonic() + deadline_s
        found: Any = None
        while time.monotonic() < end:
            try:
                found = self.get(f"/api/v1/runs/{run_id}") if run_id else next(iter(self.runs(**query)), None)
            except httpx.TransportError:
                found = None
            if found and found["state"] in FINISHED:
                return found
            time.sleep(0.05)
        raise AssertionError(f"not finished within {deadline_s:g} s: {found}\n{self.tail()}")

    def log(self) -> list[dict[str, Any]]:
        with self._news:
            return list(self._lines)

    def wait_log(self, event: str, *, deadline_s: float = 30.0, **fields: Any) -> dict[str, Any]:
        """The first line of `event` whose fields are as given."""

        def hit() -> dict[str, Any] | None:
            for line in self._lines:
                if line.get("event") == event and all(line.get(k) == v for k, v in fields.items()):
                    return line
            return None

        with self._news:
            self._news.wait_for(lambda: hit() is not None or self._ended, deadline_s)
            found = hit()
        assert found is not None, f"no {event} {fields} within {deadline_s:g} s\n{self.tail()}"
        return found

    def tail(self, lines: int = 40) -> str:
        with self._news:
            return "".join(self._text[-lines:])

    def kill(self) -> None:
        """SIGKILL to the whole process group."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._reader.join(10)

    def terminate(self, deadline_s: float = 40.0) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {deadline_s:g} s after SIGTERM\n{self.tail()}") from None

    def _read(self) -> None:
        assert self.process.stderr is not None
        for raw in self.process.stderr:
            text = raw.decode(errors="replace")
            with self._news:
                self._text.append(text)
                if text.startswith("{"):
                    self._lines.append(json.loads(text))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def __enter__(self) -> BridgeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.process.poll() is None:
                self.terminate()
        finally:
            self.kill()
            self.http.close()


@contextmanager
def bridge_process(folder: Path, **options: Any) -> Iterator[BridgeProcess]:
    with BridgeProcess(folder, **options) as bridge:
        yield bridge
