"""`kelp delete NAME…`."""

from __future__ import annotations

from typing import Annotated

import typer

from kelp.cli.exits import UsageError
from kelp.cli.output import say
from kelp.cli.platforms import ContextOption, KubeconfigOption, NamespaceOption, Platform, PlatformOption, Where

app = typer.Typer(rich_markup_mode=None)


@app.command()
def delete(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME…", help="models")] = None,
    every: Annotated[bool, typer.Option("--all", help="all models of --owner")] = False,
    owner: Annotated[str | None, typer.Option(help="with --all: whose")] = None,
    missing_ok: Annotated[bool, typer.Option("--ignore-not-found", help="a missing model is no error")] = False,
    wait: Annotated[bool, typer.Option(help="until they are gone")] = True,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    platform: PlatformOption = Platform.auto,
) -> None:
    """Delete models. Their weights stay: others may have the same, and nothing has to be sent to bring them back."""
    from kelp.errors import NotFound

    if bool(names) == every or every != bool(owner):
        raise UsageError("expected names of models, or --all with --owner")
    where = Where(platform, namespace, kubeconfig, context)
    if not where.on_cluster:
        from kelp.cli.local_models import delete_here

        if every:
            raise UsageError("--all --owner is for a cluster")
        delete_here(names or [], missing_ok=missing_ok)
        return
    from kelp.deploy.cluster.deploying import owned_by, remove, wait_until_gone

    cluster = where.cluster()
    absent = []
    found = owned_by(cluster, owner) if owner else names or []
    for name in found:
        if remove(cluster, name):
            say(f"{name}: deleted from namespace {cluster.namespace}")
        else:
            absent.append(name)
    if wait:
        for name in found:
            wait_until_gone(cluster, name)
    if absent and not missing_ok:
        raise NotFound(f"no model {', '.join(map(repr, absent))} in namespace {cluster.namespace}")
