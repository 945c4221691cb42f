"""The bridge that belongs to a platform: at KELP_BRIDGE_URL, or behind the Service `bridge` of a namespace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kelp.cli.platforms import Where
from kelp.cli.servers import Bridge, bridge

SERVICE, PORT = "bridge", 8000


@contextmanager
def bridge_at(where: Where) -> Iterator[Bridge]:
    """Its API. KELP_BRIDGE_URL wins also on a cluster, because somebody has set it."""
    if os.environ.get("KELP_BRIDGE_URL") or not where.on_cluster:
        with bridge() as called:
            yield called
        return
    import httpx

    from kelp.deploy.cluster.door import door_of_service
    from kelp.local.settings import CallerSettings

    token = CallerSettings.read().api_token.get_secret_value()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    cluster = where.cluster()
    with (
        door_of_service(cluster, SERVICE, PORT) as door,
        httpx.Client(base_url=door.url, headers=headers, timeout=30.0, trust_env=False) as http,
    ):
        yield Bridge(http, f"{SERVICE}.{cluster.namespace}")
