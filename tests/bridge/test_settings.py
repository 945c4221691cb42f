"""The bridge's settings: what is wrong is named with its variable, and no secret is ever shown."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge.settings import BridgeSettings, is_loopback
from kelp.settings.process import SettingsError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith(("KELP_", "DBOS__")):
            monkeypatch.delenv(name)


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> BridgeSettings:
    for name, value in variables.items():
        monkeypatch.setenv(f"KELP_{name.upper()}", value)
    settings: BridgeSettings = BridgeSettings.read()
    return settings


def test_defaults_serve_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch)
    assert (settings.host, settings.port, settings.metrics_port) == ("127.0.0.1", 8000, 8001)
    assert settings.bound_to_loopback
    assert (settings.retention_days, settings.reconcile_seconds, settings.reconcile_days) == (30, 300, 7)
    assert settings.database.startswith("sqlite:///")


@pytest.mark.parametrize(
    "variables",
    [
        {"port": "70000"},
        {"port": "web"},
        {"cvat_url": "cvat.example:8080"},
        {"cvat_url": "ftp://cvat.example"},
        {"v2_url": "http://user:secret-in-url@host"},
        {"v2_url": "kubernetes.example"},
        {"v2_gateway": "gateway.example:80"},
        {"namespaces": "reef,Not_A_Namespace"},
        {"public_url": "bridge.kelp:8000"},
        {"database_url": "mysql://x"},
        {"retention_days": "0"},
        {"log_format": "xml"},
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        read(monkeypatch, **variables)
    ((name, value),) = variables.items()
    assert f"KELP_{name.upper()}" in str(refused.value)
    assert "secret-in-url" not in str(refused.value)
    assert value not in str(refused.value) or len(value) < 4


def test_models_of_a_cluster_are_looked_for_in_each_namespace_once(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, v2_url="kubernetes", namespaces=" reef , kelp,,reef")
    assert (settings.v2_url, settings.namespaces) == ("kubernetes", "reef,kelp")


def test_two_identities_are_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="KELP_CVAT_TOKEN and KELP_CVAT_USER"):
        read(monkeypatch, cvat_token="pat", cvat_user="kim")


@pytest.mark.parametrize(
    ("given", "secrets"),
    [("", ()), ("one", (b"one",)), ("one,two", (b"one", b"two")), (" one , ,two,", (b"one", b"two"))],
)
def test_several_secrets_are_valid_at_once(
    monkeypatch: pytest.MonkeyPatch, given: str, secrets: tuple[bytes, ...]
) -> None:
    assert read(monkeypatch, webhook_secrets=given).secrets == secrets


@pytest.mark.parametrize("name", ["cvat_password", "cvat_token", "v2_token", "webhook_secrets", "api_token"])
def test_every_secret_may_come_from_a_file_and_shows_in_no_print(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    settings = read(monkeypatch, **{f"{name}_file": str(tmp_path / "secret")})
    assert getattr(settings, name).get_secret_value() == "hunter2"
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump()}"


@pytest.mark.parametrize(
    ("url", "instance"),
    [
        ("http://cvat.example:8080/", "http://cvat.example:8080"),
        ("http://CVAT.example:80", "http://cvat.example"),
        ("https://cvat.example:443/sub/", "https://cvat.example/sub"),
    ],
)
def test_one_cvat_has_one_name_however_it_is_spelled(monkeypatch: pytest.MonkeyPatch, url: str, instance: str) -> None:
    assert read(monkeypatch, cvat_url=url).instance == instance


@pytest.mark.parametrize("url", ["postgresql://kelp@db/kelp", "postgres://kelp@db/kelp"])
def test_postgresql_by_one_setting(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert read(monkeypatch, database_url=url).database == "postgresql+psycopg://kelp@db/kelp"


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("localhost", True), ("::1", True), ("::ffff:127.0.0.1", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("bridge", False), ("", False)],
)  # fmt: skip
def test_what_is_this_machine(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def start(**variables: Any) -> subprocess.CompletedProcess[str]:
    import os

    env = {**os.environ, **{f"KELP_{name.upper()}": str(value) for name, value in variables.items()}}
    return subprocess.run(
        [sys.executable, "-m", "bridge"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_taken_port_names_itself_and_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        ended = start(port=port, database_url=f"sqlite:///{tmp_path / 'bridge.db'}")
    assert ended.returncode == 2
    assert "KELP_PORT" in ended.stderr
    assert str(port) in ended.stderr
    if Path("/proc/net/tcp").exists():
        import os

        assert f"held by process {os.getpid()}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_database_that_is_down_is_told_in_one_line_without_its_password() -> None:
    with socket.socket() as taken:  # bound and not listening: who calls here is refused
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        url = f"postgresql://kelp:hunter2@127.0.0.1:{port}/kelp"
        ended = start(database_url=url, port=0, metrics_port=0, cvat_url="http://127.0.0.1:9")
    assert ended.returncode == 3
    (line,) = ended.stderr.splitlines()
    assert line.startswith("bridge: KELP_DATABASE_URL: ")
    assert str(port) in line
    assert "hunter2" not in line


def test_a_wrong_setting_ends_the_process_with_one_line() -> None:
    ended = start(cvat_url="nonsense", log_format="xml")
    assert ended.returncode == 2
    assert "KELP_CVAT_URL" in ended.stderr
    assert "KELP_LOG_FORMAT" in ended.stderr
    assert "Traceback" not in ended.stderr
