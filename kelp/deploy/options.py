"""What a rendering depends on besides the card: the cluster's namespace, images, storage and abilities."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kelp import __version__


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Images(_Options):
    """Where the platform's images come from: `{prefix}{name}:{tag}`, or by digest where one is given."""

    prefix: str = Field("", description="registry and folder, with its trailing slash")
    tag: str = Field(__version__, min_length=1)
    digests: dict[str, str] = Field({}, description="image name → sha256:…, which wins over the tag")
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()

    def of(self, name: str) -> str:
        """The reference of image `name`."""
        digest = self.digests.get(name)
        return f"{self.prefix}{name}@{digest}" if digest else f"{self.prefix}{name}:{self.tag}"


class RenderOptions(_Options):
    """How cards become objects on one cluster."""

    namespace: str = "kelp"
    images: Images = Images()
    storage: str | None = Field(
        None, description="root of uploaded weights, such as s3://bucket/weights or pvc://claim: a folder a card"
    )
    storage_uri: str | None = Field(None, description="of the one card that is rendered; wins over `storage`")
    service_account: str | None = Field(None, description="whose secrets open the storage")
    gpu: bool = Field(True, description="the cluster has GPUs; without them, cards are rendered for the CPU")
    expose_host: str | None = Field(None, description="name under which models with `expose` are called from outside")
    expose_gateway: str | None = Field(None, description="NAMESPACE/NAME of the Istio Gateway of that name")
    runtime_env: dict[str, str] = Field({}, description="more environment variables of every model's pods")
    runtime_scope: Literal["Cluster", "Namespace"] = "Cluster"
    max_timeout: int = Field(600, ge=1, description="Knative's max-revision-timeout-seconds")
