"""A port of a pod or a service on this machine, by `kubectl port-forward`: works on every cluster."""

from __future__ import annotations

import re
import subprocess
import threading
from types import TracebackType

from tests.cluster.support.cluster import Cluster, wait_for


class Forward:
    """A context manager; `url` is http://127.0.0.1:PORT. It ends with the pod that it leads to."""

    def __init__(self, cluster: Cluster, target: str, port: int, ns: str) -> None:
        """`target`: pod/NAME or service/NAME."""
        self._command = ["kubectl", "-n", ns, "port-forward", target, f":{port}"]
        self._env = cluster.shell.env
        self._said: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Forward:
        process = self._process = subprocess.Popen(
            self._command, env=self._env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        pattern = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")

        def port() -> int | None:
            hits = filter(None, map(pattern.search, self._said))
            found = next((int(hit.group(1)) for hit in hits), None)
            assert found or process.poll() is None, f"{' '.join(self._command)}: {''.join(self._said)}"
            return found

        try:
            self.port = wait_for(port, " ".join(self._command), 30, 0.05)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._said.append(line)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            assert self._process.stdout is not None
