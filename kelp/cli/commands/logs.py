"""`kelp logs NAME`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer

from kelp.cli.output import say
from kelp.cli.platforms import ContextOption, KubeconfigOption, NamespaceOption, Platform, PlatformOption, Where

app = typer.Typer(rich_markup_mode=None)


class Level(StrEnum):
    """`--level`, in whichever case."""

    debug = "DEBUG"
    info = "INFO"
    warning = "WARNING"
    error = "ERROR"


_ORDER = [level.value for level in Level]
_ALIASES = {"WARN": "WARNING", "CRITICAL": "ERROR", "FATAL": "ERROR"}


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="the model's name, or `bridge`")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on as lines come, over restarts too")] = False,
    tail: Annotated[int, typer.Option(min=0, help="the last so many lines of each pod")] = 100,
    level: Annotated[Level, typer.Option(case_sensitive=False, help="of this level and above")] = Level.debug,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    platform: PlatformOption = Platform.auto,
) -> None:
    """Print what a model or the bridge has logged. A model that sleeps has no pod, and so no log."""
    where = Where(platform, namespace, kubeconfig, context)
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        if where.on_cluster:
            _from_cluster(where, name, follow=follow, tail=tail, level=level)
        else:
            from kelp.cli.local_models import lines_here

            _show(((name, line) for line in lines_here(name, follow=follow, tail=tail)), level, named=False)


def _from_cluster(where: Where, name: str, *, follow: bool, tail: int, level: Level) -> None:
    from kelp.deploy.cluster import logs as source
    from kelp.deploy.cluster.api import SERVING
    from kelp.errors import NotFound

    cluster = where.cluster()
    bridge = name == "bridge"
    labels = source.BRIDGE_LABELS if bridge else source.model_labels(name)
    container = source.BRIDGE_CONTAINER if bridge else source.MODEL_CONTAINER
    pods = source.pods_with(cluster, labels)
    if not pods:
        if bridge:
            raise NotFound(f"namespace {cluster.namespace} has no pod of the bridge")
        if cluster.find(SERVING, "InferenceService", name) is None:
            raise NotFound(f"no model '{name}' in namespace {cluster.namespace}")
        say(f"kelp: {name} is asleep: it has no pod, and so no log")
    if follow:
        _show(source.followed(cluster, labels, container, tail), level, named=True)
    else:
        _show(source.held(cluster, pods, container, tail), level, named=len(pods) > 1)


def _show(lines: Iterable[tuple[str, bytes]], level: Level, *, named: bool) -> None:
    """What is no JSON, such as a traceback, has no level, and is shown with the line before it."""
    shown = True
    several: set[str] = set()
    for pod, line in lines:
        several.add(pod)
        found = _level(line)
        shown = shown if found is None else _ORDER.index(found) >= _ORDER.index(level.value)
        if shown:
            head = f"{pod}: " if named and len(several) > 1 else ""
            sys.stdout.write(head + line.decode("utf-8", "replace") + "\n")
            sys.stdout.flush()


def _level(line: bytes) -> str | None:
    import json

    if not line.startswith(b"{"):
        return None
    try:
        given = str(json.loads(line).get("level", "")).upper()
    except (ValueError, AttributeError):
        return None
    given = _ALIASES.get(given, given)
    return given if given in _ORDER else None
