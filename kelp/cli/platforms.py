"""Which platform a command means: a cluster, or the `kelp up` of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kelp.cli.exits import UsageError

if TYPE_CHECKING:
    from kelp.deploy.cluster.api import Cluster

_LOOK_S = 1.0


class Platform(StrEnum):
    """`--platform`."""

    auto = "auto"
    kube = "kube"
    local = "local"


NamespaceOption = Annotated[
    str | None, typer.Option("-n", "--namespace", help="of the cluster; else the context's, else kelp")
]
KubeconfigOption = Annotated[Path | None, typer.Option("-k", "--kubeconfig", help="else $KUBECONFIG, ~/.kube/config")]
ContextOption = Annotated[str | None, typer.Option("--context", help="of the kubeconfig; else its current one")]
PlatformOption = Annotated[
    Platform,
    typer.Option(help="kube: a cluster; local: the kelp up of this machine; auto: local while one runs, else kube"),
]


@dataclass(frozen=True, slots=True)
class Where:
    """What the options said."""

    platform: Platform = Platform.auto
    namespace: str | None = None
    kubeconfig: Path | None = None
    context: str | None = None

    @property
    def on_cluster(self) -> bool:
        """Whether the cluster is meant. With `auto`: where a namespace, kubeconfig or context is named, or else where
        no `kelp up` answers and there is a kubeconfig, or we are a pod. UsageError where there is neither."""
        named = [n for n, v in (("-n", self.namespace), ("-k", self.kubeconfig), ("--context", self.context)) if v]
        if self.platform is Platform.local:
            if named:
                raise UsageError(f"{named[0]} belongs to a cluster, and --platform local was given")
            return False
        if self.platform is Platform.kube or named:
            return True
        if _up_answers():
            return False
        from kelp.deploy.cluster.access import has_kubeconfig, in_cluster

        if has_kubeconfig() or in_cluster():
            return True
        raise UsageError(
            "neither a kelp up answers here (KELP_V2_URL) nor is there a kubeconfig: start `kelp up`, or name a "
            "cluster with -k"
        )

    def cluster(self) -> Cluster:
        """The cluster that is meant. NotSupported where it has no InferenceServices."""
        from kelp.deploy.cluster.access import access
        from kelp.deploy.cluster.api import SERVING, Cluster
        from kelp.errors import NotSupported

        cluster = Cluster(access(self.kubeconfig, self.context, self.namespace))
        if not cluster.serves(SERVING):
            raise NotSupported("this cluster knows no InferenceServices: KServe is not installed there")
        return cluster


def _up_answers() -> bool:
    """Whether `kelp up` runs at KELP_V2_URL."""
    import httpx

    from kelp.local.settings import CallerSettings

    settings = CallerSettings.read()
    token = settings.v2_token.get_secret_value() or settings.api_token.get_secret_value()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.get(f"{settings.v2_url}/v2", headers=headers, timeout=_LOOK_S)
        return answer.status_code == 401 or bool(answer.json().get("name") == "kelp up")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError):
        return False
