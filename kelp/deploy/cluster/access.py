"""The way to a cluster: kubeconfig, context and namespace as kubectl takes them, or the pod's own service account."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kelp.errors import InvalidRequest, KelpError, NotSupported

DEFAULT_NAMESPACE = "kelp"
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class AccessError(InvalidRequest):
    """No cluster can be told from what was given."""

    default_code = "invalid_setting"


@dataclass(frozen=True, slots=True)
class Access:
    """api: a `kubernetes.client.ApiClient`; inside: whether we are a pod of that cluster."""

    api: Any
    namespace: str
    inside: bool
    context: str = ""


def in_cluster() -> bool:
    """Whether this is a pod with a service account."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (_ACCOUNT / "token").is_file()


def has_kubeconfig(kubeconfig: Path | None = None) -> bool:
    """Whether a kubeconfig lies where it is looked for."""
    if kubeconfig is not None:
        return True
    named = os.environ.get("KUBECONFIG")
    places = [Path(part) for part in named.split(os.pathsep) if part] if named else [Path.home() / ".kube" / "config"]
    return any(place.expanduser().is_file() for place in places)


def access(kubeconfig: Path | None, context: str | None, namespace: str | None) -> Access:
    """Read the configuration; nothing is called yet.

    The namespace: the one given, else the context's own, else the pod's own, else `kelp`. AccessError where there is no
    configuration, no such context, or one that cannot be read.
    """
    try:
        from kubernetes import client, config
    except ImportError:
        raise NotSupported("this needs Kubernetes' client: install kelp-platform[deploy]") from None
    if kubeconfig is None and context is None and not has_kubeconfig() and in_cluster():
        configuration = client.Configuration()
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return Access(client.ApiClient(configuration), namespace or _own_namespace(), inside=True)
    file = str(kubeconfig.expanduser()) if kubeconfig is not None else None
    try:
        contexts, current = config.list_kube_config_contexts(file)  # type: ignore[no-untyped-call]
        chosen = _context(contexts, current, context)
        api = config.new_client_from_config(file, context=chosen["name"])  # type: ignore[no-untyped-call]
    except KelpError:
        raise
    except Exception as error:  # the client raises its own, YAML's, and KeyErrors for what is left out
        where = file or os.environ.get("KUBECONFIG") or "~/.kube/config"
        raise AccessError(f"{where}: no cluster can be told from it: {str(error).splitlines()[0]}") from None
    own = (chosen.get("context") or {}).get("namespace")
    return Access(api, namespace or own or DEFAULT_NAMESPACE, inside=False, context=chosen["name"])


def _context(contexts: list[dict[str, Any]], current: dict[str, Any], wanted: str | None) -> dict[str, Any]:
    if wanted is None:
        return current
    for entry in contexts:
        if entry["name"] == wanted:
            return entry
    raise AccessError(f"no context '{wanted}'; there are: {', '.join(entry['name'] for entry in contexts)}")


def _own_namespace() -> str:
    try:
        return (_ACCOUNT / "namespace").read_text(encoding="utf-8").strip() or DEFAULT_NAMESPACE
    except OSError:
        return DEFAULT_NAMESPACE
