"""`kelp version`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kelp import __version__
from kelp.cli.exits import UsageError
from kelp.cli.output import DocumentOption, print_document, print_fields, say
from kelp.cli.platforms import ContextOption, KubeconfigOption, NamespaceOption, Platform, PlatformOption, Where

app = typer.Typer(rich_markup_mode=None)
_PATIENCE_S = 3.0


@app.command()
def version(
    output: DocumentOption = None,
    client: Annotated[bool, typer.Option("--client", help="do not ask the servers")] = False,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    platform: PlatformOption = Platform.auto,
) -> None:
    """Print the versions of this program and of the servers it talks to; warns where they differ."""
    found: dict[str, Any] = {"client": __version__}
    if not client:
        where = Where(platform, namespace, kubeconfig, context)
        found |= _of_cluster(where) if _on_cluster(where) else _servers()
    if output is not None:
        print_document(found, output)
    else:
        print_fields({name: value or "not reachable" for name, value in found.items()})
    for name, value in found.items():
        if name != "kubernetes" and value not in {None, __version__}:
            say(f"kelp: warning: {name} has version {value}, this program {__version__}")


def _on_cluster(where: Where) -> bool:
    try:
        return where.on_cluster
    except UsageError:
        if where.platform is not Platform.auto:
            raise
        return False  # nothing runs here, and nothing is configured: what would be called is told as not reachable


def _of_cluster(where: Where) -> dict[str, str | None]:
    """The platform's version as it was installed, and Kubernetes'; None where nobody says."""
    from kelp.deploy.cluster.access import access
    from kelp.deploy.cluster.api import Cluster
    from kelp.deploy.cluster.platform import read_platform
    from kelp.errors import Forbidden, Unreachable

    cluster = Cluster(access(where.kubeconfig, where.context, where.namespace))
    try:
        kubernetes = cluster.version()
        platform = read_platform(cluster)
        if not platform.installed:
            say(f"kelp: namespace {cluster.namespace} holds no platform (ConfigMap kelp-platform)")
        return {"platform": platform.version or None, "kubernetes": kubernetes}
    except (Unreachable, Forbidden):
        return {"platform": None, "kubernetes": None}


def _servers() -> dict[str, str | None]:
    """Version of each server, None where it does not answer."""
    import httpx

    from kelp.local.settings import CallerSettings

    settings = CallerSettings.read()
    tokens = [settings.v2_token.get_secret_value(), settings.api_token.get_secret_value()]
    places = {
        "models": (f"{settings.v2_url}/v2", tokens[0] or tokens[1], "version"),
        "bridge": (f"{settings.bridge_url}/openapi.json", tokens[1], "info"),
    }
    found: dict[str, str | None] = {}
    for name, (url, token, key) in places.items():
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            value = httpx.get(url, headers=headers, timeout=_PATIENCE_S).raise_for_status().json()[key]
            found[name] = str(value["version"] if isinstance(value, dict) else value)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
            found[name] = None
    return found
