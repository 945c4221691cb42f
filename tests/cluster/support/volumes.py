"""Volumes for claims, on a cluster that makes none by itself."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.cluster.support.cluster import Cluster

CLASS = "kelp-test"


class Volumes:
    """`KELP_TEST_VOLUMES` names a folder of this machine, which is then the cluster's only node: each volume is a
    folder below it. Where it is not set, the cluster's default storage class serves the claims."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        named = os.environ.get("KELP_TEST_VOLUMES")
        self._folder = Path(named) if named else None
        self._made: list[str] = []

    @property
    def storage_class(self) -> str:
        """For a chart's value `storageClass`; empty is the cluster's default."""
        return CLASS if self._folder else ""

    def add(self, ns: str, count: int = 1, size: str = "2Gi") -> None:
        """`count` volumes for claims of namespace `ns`."""
        if self._folder is None:
            return
        (node,) = self._cluster.get("nodes")
        for _ in range(count):
            name = f"{ns}-{len(self._made)}"
            place = self._folder / name
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            place.chmod(0o777)
            self._cluster.delete("pv", name)
            self._cluster.apply(_volume(name, place, size, node["metadata"]["labels"]["kubernetes.io/hostname"]))
            self._made.append(name)

    def close(self) -> None:
        for name in self._made:
            self._cluster.delete("pv", name, wait=False)
            if self._folder:
                shutil.rmtree(self._folder / name, ignore_errors=True)


def _volume(name: str, place: Path, size: str, node: str) -> dict[str, object]:
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"],
            "storageClassName": CLASS,
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(place)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        },
    }
