"""What the installed platform says of itself: ConfigMap `kelp-platform` in the namespace of the models."""

from __future__ import annotations

from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from kelp.deploy.cluster.api import Cluster
from kelp.errors import BadGateway

NAME, KEY = "kelp-platform", "platform.yaml"


class _Part(BaseModel):
    # A newer platform may say more than this program knows.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Storage(_Part):
    """uri: the folder of all weights, `s3://bucket/folder` or `pvc://claim/folder`; secret: with AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY; endpoint: of S3 as pods see it, external_endpoint: as others do (empty: the same)."""

    uri: str = ""
    endpoint: str = ""
    external_endpoint: str = ""
    region: str = ""
    secret: str = ""


class Platform(_Part):
    """image: of the pod that writes into a volume; render: the renderer's options of this installation."""

    installed: bool = False
    version: str = ""
    storage: Storage = Storage()
    image: str = ""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: list[str] = []
    service_account: str = ""
    public_url: str = ""
    render: dict[str, Any] = {}


def read_platform(cluster: Cluster) -> Platform:
    """Its defaults where there is no such ConfigMap; BadGateway where it cannot be understood."""
    found = cluster.find("v1", "ConfigMap", NAME)
    if found is None:
        return Platform()
    try:
        given = yaml.safe_load((found.get("data") or {}).get(KEY) or "") or {}
        return Platform.model_validate({**given, "installed": True})
    except (yaml.YAMLError, ValidationError, TypeError) as error:
        what = " ".join(str(error).split())[:300]
        raise BadGateway(f"ConfigMap {NAME} of namespace {cluster.namespace} cannot be understood: {what}") from None
