"""The models that the settings speak of."""

from __future__ import annotations

from bridge.models.endpoint import EndpointModels
from bridge.models.source import Models
from bridge.settings import KUBERNETES, BridgeSettings
from bridge.store.database import Database
from kelp.client import ClientConfig


def open_models(settings: BridgeSettings, database: Database) -> Models:
    """SettingsError where no cluster can be found."""
    token = settings.v2_token.get_secret_value() or None
    if settings.v2_url != KUBERNETES:
        return EndpointModels(ClientConfig(settings.v2_url, token))
    # Imported late: YAML and cards are a cluster's matter only.
    from bridge.kube.access import cluster_access
    from bridge.kube.api import KubeApi
    from bridge.models.callers import Callers
    from bridge.models.cluster import ClusterModels

    access = cluster_access()
    namespaces = settings.namespaces.split(",") if settings.namespaces else [access.namespace]
    return ClusterModels(KubeApi(access), namespaces, database, Callers(token, settings.v2_gateway or None))
