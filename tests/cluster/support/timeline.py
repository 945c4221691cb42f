"""When what happens to a model's pod: seconds since 1970, on the clock of this machine and of the pod's node."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from datetime import datetime
from types import TracebackType
from typing import Any

from tests.cluster.support.cluster import Cluster, Object, condition


class PodWatch:
    """A context manager: notes when this machine first hears that a pod was created, scheduled, addressed, ready.

    Kubernetes' own times have whole seconds only; the API server's news are here within milliseconds.
    """

    def __init__(self, cluster: Cluster, ns: str, selector: str) -> None:
        self._cluster = cluster
        self._command = [
            "kubectl", "-n", ns, "get", "pods", "-l", selector, "-w", "-o", "json", "--output-watch-events",
        ]  # fmt: skip
        self.seen: dict[str, dict[str, float]] = {}
        self.pods: dict[str, Object] = {}

    def __enter__(self) -> PodWatch:
        self._process = subprocess.Popen(self._command, env=self._cluster.shell.env, stdout=subprocess.PIPE)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def _read(self) -> None:
        assert self._process.stdout is not None
        decoder, text = json.JSONDecoder(), ""
        while chunk := os.read(self._process.stdout.fileno(), 1 << 20):
            now = time.time()
            text = (text + chunk.decode(errors="replace")).lstrip()
            while text:
                try:
                    event, end = decoder.raw_decode(text)
                except ValueError:  # its end is still to come
                    break
                text = text[end:].lstrip()
                self._note(event["object"], now)

    def _note(self, pod: Object, now: float) -> None:
        name = pod["metadata"]["name"]
        self.pods[name] = pod
        times = self.seen.setdefault(name, {})
        times.setdefault("created", now)
        if pod.get("status", {}).get("podIP"):
            times.setdefault("addressed", now)
        for key, kind in (("scheduled", "PodScheduled"), ("initialized", "Initialized"), ("ready", "Ready")):
            if condition(pod, kind).get("status") == "True":
                times.setdefault(key, now)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._thread.join(5)


def process_started(cluster: Cluster, ns: str, pod: str, container: str) -> float:
    """When the container's first process began, to 10 ms."""
    said = cluster.exec(
        pod, ns, "sh", "-c", "date +%s.%N; cat /proc/uptime /proc/1/stat; getconf CLK_TCK", container=container
    ).splitlines()
    boot = float(said[0]) - float(said[1].split()[0])
    ticks = int(said[2].rpartition(")")[2].split()[19])
    return boot + ticks / int(said[3])


def log_lines(cluster: Cluster, ns: str, pod: str, container: str = "kserve-container") -> list[dict[str, Any]]:
    """The predictor's log; lines that are none of its own are left out."""
    found = []
    for line in cluster.logs(pod, ns, container).splitlines():
        try:
            parsed = json.loads(line)
        except ValueError:
            continue
        if isinstance(parsed, dict) and "message" in parsed:
            found.append(parsed)
    return found


def at(line: dict[str, Any]) -> float:
    """The time of a log line."""
    return datetime.fromisoformat(line["time"]).timestamp()
