"""`kelp invoke NAME --image FILE | --body FILE`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kelp.cli.exits import UsageError
from kelp.cli.output import DocumentOption
from kelp.cli.parameters import MaskOption, PointsOption, SetOption, parse_set
from kelp.cli.platforms import ContextOption, KubeconfigOption, NamespaceOption, Platform, PlatformOption, Where

if TYPE_CHECKING:
    from kelp.card import Card

app = typer.Typer(rich_markup_mode=None)
_REQUEST_S = 600.0


@app.command()
def invoke(
    name: Annotated[str, typer.Argument(help="the model's name")],
    images: Annotated[list[Path] | None, typer.Option("--image", "-i", help="image file; may be given again")] = None,
    body: Annotated[
        str | None, typer.Option("--body", "-b", help="a V2 request as JSON, or @FILE, or -; its answer is printed")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="folder for pictures with the results drawn on them")] = None,
    settings: SetOption = None,
    mask: MaskOption = None,
    points: PointsOption = None,
    cold_start: Annotated[float, typer.Option(help="seconds to wait for a model to start")] = 600.0,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    platform: PlatformOption = Platform.auto,
    output: DocumentOption = None,
) -> None:
    """Call a model once, wherever it runs: with images, or with a V2 request of your own. It wakes if it sleeps."""
    if bool(images) == (body is not None):
        raise UsageError("expected --image or --body")
    if body is not None and save is not None:
        raise UsageError("--save goes with --image: what --body is answered is printed")
    from kelp.cli.images import image_files
    from kelp.cli.removals import removals_of
    from kelp.cli.saving import places_for

    where = Where(platform, namespace, kubeconfig, context)
    parameters = parse_set(settings)
    files = image_files(images) if images else []
    places = places_for(files, save)
    removals = removals_of(files, mask, points)
    with _client(where, name, cold_start) as (client, card):
        if body is not None:
            _raw(client, name, _text(body), parameters)
            return
        from kelp.cli.inferring import send_files

        send_files(
            client, name, card, files, removals, parameters=parameters, batch=4, cold_start_s=cold_start,
            places=places, output=output,
        )  # fmt: skip


@contextmanager
def _client(where: Where, name: str, cold_start_s: float) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A client that reaches the model, and the public part of its card."""
    if not where.on_cluster:
        from kelp.cli.servers import v2_client

        with v2_client(timeout_s=_REQUEST_S + cold_start_s, cold_start_s=0.0) as client:
            yield client, client.metadata(name).get("parameters", {}).get("card", {})
        return
    from kelp.card.metadata import public_part
    from kelp.cli.progress import counting
    from kelp.deploy.cluster.deploying import deployed_card
    from kelp.deploy.cluster.door import is_ready
    from kelp.deploy.cluster.waking import client_of, wake
    from kelp.deploy.cluster.watching import pods_of

    cluster = where.cluster()
    card: Card = deployed_card(cluster, name)
    if not any(is_ready(pod) for pod in pods_of(cluster, name)):
        # First awake: one whose pod cannot start is told at once, and not when the patience ends.
        with counting(f"{name}: starting", None) as bar:
            wake(cluster, card, bar.note, cold_start_s)
    with client_of(cluster, card, timeout_s=_REQUEST_S, cold_start_s=cold_start_s) as client:
        yield client, public_part(card, "ready")


def _raw(client: Any, name: str, text: str, parameters: dict[str, Any]) -> None:
    """A V2 request as it is, and its answer as JSON, whichever protocol the model speaks."""
    from kelp.codec import decode_request, encode_response

    request = decode_request(text.encode(), model_name=name)
    request = replace(request, parameters={**request.parameters, **parameters})
    body, _ = encode_response(client.infer(request), replace(request, answer="json"))
    typer.echo(b"".join(bytes(part) for part in body).decode())


def _text(body: str) -> str:
    if body == "-":
        return sys.stdin.read()
    if not body.startswith("@"):
        return body
    try:
        return Path(body[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--body {body}: {error.strerror}") from None
