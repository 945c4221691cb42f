"""The settings of `kelp pipeline`, the same variables as the bridge's and `kelp up`'s."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from kelp.settings.process import ProcessSettings, SettingsError

SECRETS = "KELP_WEBHOOK_SECRETS"
KUBERNETES = "kubernetes"  # what KELP_V2_URL is for a bridge on a cluster: no address that anybody here could ask
LONGEST_SECRET = 64  # CVAT takes no longer one


class PipelineSettings(ProcessSettings):
    """From `KELP_…` variables, each secret also from `KELP_…_FILE`."""

    cvat_url: str = Field("", description="CVAT's address as seen from here")
    cvat_user: str = ""
    cvat_password: SecretStr = SecretStr("")
    cvat_token: SecretStr = Field(SecretStr(""), description="a personal access token, newer servers only")
    cvat_org: str = Field("", description="slug of the organization that the projects belong to")
    cvat_ca: Path | None = Field(None, description="file with the certificate authority of CVAT")
    public_url: str = Field("", description="the bridge as CVAT sees it, where the file does not say it")
    bridge_url: str = Field("", description="the bridge as seen from here; http://127.0.0.1:8000 by default")
    v2_url: str = Field("http://127.0.0.1:8100", description="where models are asked for their states")
    v2_token: SecretStr = SecretStr("")
    api_token: SecretStr = SecretStr("")
    models: Path = Field(Path("environments/models"), description="folder of model cards")

    @field_validator("cvat_url", "public_url", "bridge_url", "v2_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and value != KUBERNETES and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("expected an address that begins with http:// or https://")
        return value.rstrip("/")

    @field_validator("models")
    @classmethod
    def _home(cls, value: Path) -> Path:
        return value.expanduser()

    @model_validator(mode="after")
    def _one_identity(self) -> PipelineSettings:
        if self.cvat_token.get_secret_value() and self.cvat_user:
            raise ValueError("KELP_CVAT_TOKEN and KELP_CVAT_USER exclude each other")
        return self

    def check_account(self) -> None:
        """SettingsError where CVAT's address or the account is not set."""
        if not self.cvat_url:
            raise SettingsError("KELP_CVAT_URL: not set: where is CVAT?")
        if not self.cvat_token.get_secret_value() and not (self.cvat_user and self.cvat_password.get_secret_value()):
            raise SettingsError(
                "KELP_CVAT_USER, KELP_CVAT_PASSWORD: not set (or KELP_CVAT_TOKEN, a personal access token)"
            )


def first_secret(variable: str) -> str:
    """The first secret of the comma list in the variable (or in the file that `…_FILE` names); "" where there is none.

    SettingsError where it is longer than CVAT takes, or its file cannot be read.
    """
    text = os.environ.get(variable) or ""
    path = os.environ.get(f"{variable}_FILE")
    if not text and path:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"{variable}_FILE: {path}: {error.strerror}") from None
    secret = next((part.strip() for part in text.split(",") if part.strip()), "")
    if len(secret) > LONGEST_SECRET:
        raise SettingsError(f"{variable}: CVAT takes secrets of at most {LONGEST_SECRET} characters")
    return secret
