"""The settings of the bridge: the only place in this half of the code that knows their names."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from kelp.settings.process import ProcessSettings

KUBERNETES = "kubernetes"


class BridgeSettings(ProcessSettings):
    """Read from `KELP_…` variables, each secret also from `KELP_…_FILE`. Ports may be 0: any free one."""

    cvat_url: str = Field("", description="CVAT's address as the bridge sees it")
    cvat_user: str = ""
    cvat_password: SecretStr = SecretStr("")
    cvat_token: SecretStr = Field(SecretStr(""), description="a personal access token (Bearer), newer servers only")
    cvat_org: str = Field("", description="slug of the organization that lists are limited to")
    cvat_ca: Path | None = Field(None, description="file with the certificate authority of CVAT")

    v2_url: str = Field("http://127.0.0.1:8100", description="the V2 endpoint of all models, or `kubernetes`")
    v2_token: SecretStr = SecretStr("")
    v2_gateway: str = Field("", description="kubernetes, from outside: the gateway through which models are called")
    namespaces: str = Field("", description="kubernetes: comma list, the first one wins; the bridge's own by default")

    webhook_secrets: SecretStr = Field(SecretStr(""), description="comma list; each is valid")
    api_token: SecretStr = SecretStr("")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    metrics_port: int = Field(8001, ge=0, le=65535)
    public_url: str = Field("", description="the bridge as CVAT sees it")

    database_url: str = Field("", description="SQLite file by default; postgresql://… for several bridges")
    retention_days: float = Field(30.0, gt=0)
    reconcile_seconds: float = Field(300.0, gt=0)
    reconcile_days: float = Field(7.0, ge=0)
    adopt_seconds: float = Field(30.0, gt=0, description="how long another bridge may be silent")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("v2_url")
    @classmethod
    def _is_kubernetes_or_http(cls, value: str) -> str:
        return value if value == KUBERNETES else cls._is_http(value)

    @field_validator("cvat_url", "v2_gateway", "public_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("expected an address that begins with http:// or https://")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("expected an address without user, query or fragment")
        return value.rstrip("/")

    @field_validator("namespaces")
    @classmethod
    def _are_namespaces(cls, value: str) -> str:
        names = [name.strip() for name in value.split(",") if name.strip()]
        if not all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name) for name in names):
            raise ValueError("expected namespaces, separated by commas")
        return ",".join(dict.fromkeys(names))

    @field_validator("database_url")
    @classmethod
    def _is_known_database(cls, value: str) -> str:
        if value and not value.startswith(("sqlite:///", "postgresql://", "postgres://")):
            raise ValueError("expected sqlite:///FILE or postgresql://USER@HOST/NAME")
        return value

    @model_validator(mode="after")
    def _one_identity(self) -> BridgeSettings:
        if self.cvat_token.get_secret_value() and self.cvat_user:
            raise ValueError("KELP_CVAT_TOKEN and KELP_CVAT_USER exclude each other")
        return self

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """Every webhook secret that is valid now."""
        given = self.webhook_secrets.get_secret_value().split(",")
        return tuple(secret.strip().encode() for secret in given if secret.strip())

    @property
    def instance(self) -> str:
        """Names the CVAT instance in keys and tables: scheme, host, port and path, without a trailing slash."""
        parts = urlsplit(self.cvat_url)
        default = {"http": 80, "https": 443}.get(parts.scheme)
        port = "" if parts.port in (None, default) else f":{parts.port}"
        return f"{parts.scheme}://{(parts.hostname or '').lower()}{port}{parts.path}".rstrip("/")

    @property
    def cvat_lacks(self) -> str | None:
        """Which settings are missing to work with CVAT at all."""
        if not self.cvat_url:
            return "KELP_CVAT_URL is not set"
        if self.cvat_token.get_secret_value() or (self.cvat_user and self.cvat_password.get_secret_value()):
            return None
        return "KELP_CVAT_USER and KELP_CVAT_PASSWORD (or KELP_CVAT_TOKEN) are not set: CVAT will refuse the bridge"

    @property
    def bound_to_loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def database(self) -> str:
        """The database's URL for SQLAlchemy; a SQLite file's folder is there already or can be made."""
        if not self.database_url:
            data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
            return f"sqlite:///{data / 'kelp' / 'bridge.db'}"
        if self.database_url.startswith("sqlite"):
            return self.database_url
        return "postgresql+psycopg://" + self.database_url.split("://", 1)[1]

    @property
    def executor(self) -> str:
        """This process's name among the bridges of one database: the pod's on a cluster."""
        return os.environ.get("DBOS__VMID") or socket.gethostname()


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address) is this machine's own."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
