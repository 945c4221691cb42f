"""Variables, secrets from files, and errors that name the variable but never its value."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from kelp.settings.process import ProcessSettings, SettingsError


class Example(ProcessSettings):
    port: int = 8000
    api_token: SecretStr | None = None


def test_a_secret_is_read_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setenv("KELP_API_TOKEN_FILE", str(tmp_path / "token"))
    settings = Example.read()
    assert settings.api_token is not None
    assert settings.api_token.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings)


def test_a_variable_wins_over_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "port").write_text("1")
    monkeypatch.setenv("KELP_PORT_FILE", str(tmp_path / "port"))
    monkeypatch.setenv("KELP_PORT", "2")
    assert Example.read().port == 2
    assert Example.read(port=3).port == 3


def test_a_missing_secret_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KELP_API_TOKEN_FILE", "/nowhere/token")
    with pytest.raises(SettingsError, match="KELP_API_TOKEN_FILE: /nowhere/token"):
        Example.read()


def test_a_wrong_value_is_named_but_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KELP_PORT", "hunter2")
    with pytest.raises(SettingsError) as refused:
        Example.read()
    assert "KELP_PORT" in str(refused.value)
    assert "hunter2" not in str(refused.value)
