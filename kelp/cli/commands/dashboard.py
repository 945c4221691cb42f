"""`kelp dashboard`."""

from __future__ import annotations

import contextlib
from typing import Annotated
from urllib.parse import urlsplit

import typer

from kelp.cli.output import say
from kelp.cli.platforms import ContextOption, KubeconfigOption, NamespaceOption, Platform, PlatformOption, Where

app = typer.Typer(rich_markup_mode=None)


@app.command()
def dashboard(
    open_it: Annotated[bool, typer.Option("--open", help="in the browser too")] = False,
    port: Annotated[int, typer.Option(min=0, help="of this machine, to forward the page to in any case")] = 0,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    platform: PlatformOption = Platform.auto,
) -> None:
    """Print the address of the bridge's page. One that only its cluster knows is forwarded to here, until Ctrl-C."""
    from kelp.local.settings import CallerSettings

    where = Where(platform, namespace, kubeconfig, context)
    if not where.on_cluster:
        _show(CallerSettings.read().bridge_url, open_it=open_it)
        return
    import threading

    from kelp.cli.bridges import PORT, SERVICE
    from kelp.deploy.cluster.door import door_of_service
    from kelp.deploy.cluster.platform import read_platform

    cluster = where.cluster()
    public = read_platform(cluster).public_url
    inner = f"{SERVICE}.{cluster.namespace}"
    if public and not port and (cluster.access.inside or not (urlsplit(public).hostname or "").startswith(inner)):
        _show(public, open_it=open_it)
        return
    with door_of_service(cluster, SERVICE, PORT, local_port=port) as door:
        _show(door.url, open_it=open_it)
        say("kelp: forwarded from the cluster until Ctrl-C")
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


def _show(url: str, *, open_it: bool) -> None:
    typer.echo(url)
    if open_it:
        typer.launch(url)
