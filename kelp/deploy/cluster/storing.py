"""Where the platform keeps weights, as a thing that takes bundles."""

from __future__ import annotations

import base64
import os
from typing import Protocol

from kelp.deploy.cluster.api import Cluster
from kelp.deploy.cluster.bundle import Bundle, OnBytes
from kelp.deploy.cluster.platform import Platform
from kelp.errors import Forbidden, InvalidRequest, NotSupported
from kelp.weights.uris import scheme_of, shown


class Store(Protocol):
    def upload(self, bundle: Bundle, on_bytes: OnBytes) -> None:
        """Send what is not there yet. `on_bytes` hears of every byte, sent or not."""
        ...


def store_of(cluster: Cluster, platform: Platform, base: str) -> Store:
    """The store at `base`: `s3://`, `gs://` or `pvc://`. InvalidRequest where weights cannot be put there."""
    scheme = scheme_of(base)
    if scheme == "pvc":
        from kelp.deploy.cluster.volume import Volume

        return Volume(cluster, base, platform)
    if scheme not in {"s3", "gs"}:
        raise InvalidRequest(f"weights cannot be put to {shown(base) or 'nowhere'}: expected s3://, gs:// or pvc://")
    try:
        from kelp.deploy.cluster.bucket import Bucket
    except ImportError:
        raise NotSupported("this needs obstore: install kelp-platform[deploy]") from None
    keys = None if scheme == "gs" else _keys(cluster, platform)
    return Bucket(base, platform.storage, inside=cluster.access.inside, keys=keys)


def _keys(cluster: Cluster, platform: Platform) -> tuple[str, str] | None:
    """Of the platform's Secret, unless the environment has its own; None where we may not read it."""
    if not platform.storage.secret or os.environ.get("AWS_ACCESS_KEY_ID"):
        return None
    try:
        secret = cluster.find("v1", "Secret", platform.storage.secret)
    except Forbidden:
        return None  # the environment may still have a profile or a role
    data = (secret or {}).get("data") or {}
    try:
        named = [base64.b64decode(data[name]).decode() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    except (KeyError, ValueError):
        return None
    return named[0], named[1]
