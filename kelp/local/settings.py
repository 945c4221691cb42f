"""The settings of `kelp up` and of the command line: the only place that knows their names and defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from kelp.local.budget import Budget, parse_budget
from kelp.ports import is_loopback
from kelp.settings.process import ProcessSettings, SettingsError
from kelp.weights import default_cache

V2_PORT, V2_GRPC_PORT = 8100, 8101


class UpSettings(ProcessSettings):
    """`kelp up`, from `KELP_…` variables; the token also from `KELP_API_TOKEN_FILE`. Ports may be 0: any free one."""

    models: Path = Field(Path("environments/models"), description="folder of model cards")
    v2_host: str = Field("127.0.0.1", description="address to listen on; beyond this machine a token is needed")
    v2_port: int = Field(V2_PORT, ge=0, le=65535, description="V2 over REST, for all models")
    v2_grpc_port: int = Field(V2_GRPC_PORT, ge=0, le=65535, description="V2 over gRPC, for all models")
    budget: str = Field("", description="what running models may hold: 12Gi, gpus=2, or memory=12Gi,gpus=2")
    cache: Path = Field(default_factory=default_cache, description="folder of fetched weights")
    api_token: SecretStr = SecretStr("")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    @field_validator("budget")
    @classmethod
    def _can_be_read(cls, value: str) -> str:
        parse_budget(value)
        return value

    @field_validator("models", "cache")
    @classmethod
    def _home(cls, value: Path) -> Path:
        return value.expanduser()

    @model_validator(mode="after")
    def _guarded(self) -> UpSettings:
        if not is_loopback(self.v2_host) and not self.api_token.get_secret_value():
            raise ValueError(f"KELP_V2_HOST {self.v2_host} is reached from other machines: KELP_API_TOKEN is needed")
        return self

    @property
    def bounds(self) -> Budget:
        return parse_budget(self.budget)

    @property
    def token(self) -> str | None:
        """What callers have to bring; None where only this machine can call."""
        return None if is_loopback(self.v2_host) else self.api_token.get_secret_value()


class CallerSettings(ProcessSettings):
    """What the command line needs to call a V2 endpoint and a bridge."""

    v2_url: str = f"http://127.0.0.1:{V2_PORT}"
    v2_token: SecretStr = SecretStr("")
    bridge_url: str = "http://127.0.0.1:8000"
    api_token: SecretStr = SecretStr("")
    cache: Path = Field(default_factory=default_cache)

    @field_validator("v2_url", "bridge_url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address such as http://localhost:8100")
        return value


def load_settings_file(path: Path) -> None:
    """Take `KELP_…=value` lines of a file into the environment; what is set there already wins."""
    from dotenv import dotenv_values

    if not path.is_file():
        raise SettingsError(f"{path}: no such settings file")
    for name, value in dotenv_values(path).items():
        if value is not None:
            os.environ.setdefault(name, value)
