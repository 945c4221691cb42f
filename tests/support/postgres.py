"""A private PostgreSQL cluster for tests: its own folder, a port of its own, gone at the end.

PostgreSQL refuses to run as root, so a root user's cluster belongs to `postgres` (Debian's package makes that user).
Without the programs, tests that need them are skipped and say so.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

_OWNER = "postgres"


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`, of the newest version."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda f: -float(f.parent.name)):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).parent if found else None


class Postgres:
    """The cluster. `stop` and `start` again with the same data and port."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._binaries = binaries
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._as = ["runuser", "-u", _OWNER, "--"] if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(folder, _OWNER, _OWNER)
        self._run("initdb", "-D", str(self._data), "-U", "kelp", "-A", "trust", "--no-sync", "-E", "UTF8")
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\n"
                "max_connections = 60\nshared_buffers = 32MB\n"
            )
        self.start()

    def start(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._log), "-w", "-t", "30", "start")

    def stop(self, mode: str = "fast") -> None:
        """`fast` cuts connections; `immediate` is a crash."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "-t", "30", "stop")

    def restart(self, mode: str = "fast", pause_s: float = 0.0) -> None:
        self.stop(mode)
        time.sleep(pause_s)
        self.start()

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"kelp_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql://kelp@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as, str(self._binaries / program), *arguments]
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=90, cwd="/", check=False
        )
        if done.returncode:
            log = self._log.read_text()[-2000:] if self._log.exists() else ""
            raise RuntimeError(f"{program}: {done.stderr}{log}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One cluster for the session; each test takes a `database()` of its own."""
    binaries = programs()
    if binaries is None:
        pytest.skip("no PostgreSQL server here: install Debian's package `postgresql`")
    if os.geteuid() == 0 and subprocess.run(["id", _OWNER], capture_output=True, check=False).returncode:
        pytest.skip(f"PostgreSQL does not run as root, and there is no user {_OWNER}")
    # Not below pytest's own folder, which other users cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="kelp-postgres-"))
    folder.chmod(0o755)
    cluster: Postgres | None = None
    try:
        cluster = Postgres(folder, binaries)
        yield cluster
    finally:
        if cluster is not None:
            cluster.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
