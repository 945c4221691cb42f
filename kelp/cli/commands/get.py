"""`kelp get models|projects|runs`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from kelp.cli.output import Format, OutputOption, print_columns, print_document
from kelp.cli.platforms import ContextOption, KubeconfigOption, NamespaceOption, Platform, PlatformOption, Where

app = typer.Typer(rich_markup_mode=None)
_COLUMNS = ("namespace", "name", "project", "state", "port", "replicas")
_WIDE = (*_COLUMNS, "runtime", "task", "protocol", "version", "canary", "title", "url", "reason")


class Kind(StrEnum):
    """What can be got, in the singular too, and under Nuclio's word."""

    models = "models"
    model = "model"
    functions = "functions"
    function = "function"
    projects = "projects"
    project = "project"
    runs = "runs"
    run = "run"


@app.command()
def get(
    kind: Annotated[Kind, typer.Argument(metavar="models|projects|runs", help="what to list")],
    name: Annotated[str | None, typer.Argument(help="this one only; a model's card with -o yaml or json")] = None,
    namespace: NamespaceOption = None,
    everywhere: Annotated[bool, typer.Option("-A", "--all-namespaces", help="of the whole cluster")] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    platform: PlatformOption = Platform.auto,
    output: OutputOption = None,
) -> None:
    """List models, the projects they are grouped by, or the bridge's runs; asking wakes no model.

    `kelp get model NAME -o yaml` prints the model's card, which `kelp import` takes.
    """
    where = Where(platform, namespace, kubeconfig, context)
    what = kind.value.removesuffix("s")
    if what == "run":
        _runs(where, name, output)
    elif what == "project":
        _projects(_models(where, None, everywhere=everywhere), name, output)
    elif name is not None and output in {Format.yaml, Format.json}:
        assert output is not None
        print_document(_card(where, name), output)
    else:
        _print(_models(where, name, everywhere=everywhere), output)


def _models(where: Where, name: str | None, *, everywhere: bool) -> list[dict[str, Any]]:
    from kelp.errors import NotFound

    if where.on_cluster:
        from kelp.deploy.cluster.listing import list_models

        cluster = where.cluster()
        found = [model.as_data() for model in list_models(cluster, name, everywhere=everywhere)]
        place = f"namespace {cluster.namespace}"
    else:
        from kelp.cli.local_models import list_here

        found = [model for model in list_here() if name in {None, model["name"]}]
        place = "the kelp up of this machine"
    if name is not None and not found:
        raise NotFound(f"no model '{name}' in {place}")
    return found


def _card(where: Where, name: str) -> dict[str, Any]:
    from kelp.deploy.cards import as_data

    if where.on_cluster:
        from kelp.deploy.cluster.deploying import deployed_card

        return as_data(deployed_card(where.cluster(), name))
    from kelp.cli.local_models import card_here

    return as_data(card_here(name))


def _print(found: list[dict[str, Any]], output: Format | None) -> None:
    if output in {Format.json, Format.yaml}:
        assert output is not None
        print_document(found, output)
        return
    columns = _WIDE if output is Format.wide else _COLUMNS
    print_columns([name.upper() for name in columns], [[model.get(name) for name in columns] for model in found])


def _projects(models: list[dict[str, Any]], name: str | None, output: Format | None) -> None:
    counted: dict[tuple[str, str], int] = {}
    for model in models:
        key = (model["namespace"], model["project"])
        counted[key] = counted.get(key, 0) + 1
    found = [
        {"namespace": space, "name": project, "models": count}
        for (space, project), count in sorted(counted.items())
        if name in {None, project}
    ]
    if output in {Format.json, Format.yaml}:
        assert output is not None
        print_document(found, output)
    else:
        print_columns(("NAMESPACE", "NAME", "MODELS"), [list(row.values()) for row in found])


def _runs(where: Where, name: str | None, output: Format | None) -> None:
    from kelp.cli.bridges import bridge_at
    from kelp.cli.following import print_runs

    with bridge_at(where) as bridge:
        found = [bridge.get(f"/api/v1/runs/{name}")] if name else bridge.get("/api/v1/runs", limit=50)["runs"]
    if output in {Format.json, Format.yaml}:
        assert output is not None
        print_document(found[0] if name else found, output)
    else:
        print_runs(found, wide=output is Format.wide)
