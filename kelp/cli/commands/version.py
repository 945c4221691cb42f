"""`kelp version`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kelp import __version__
from kelp.cli.output import DocumentOption, print_document, print_fields, say

app = typer.Typer(rich_markup_mode=None)
_PATIENCE_S = 3.0


@app.command()
def version(
    output: DocumentOption = None,
    client: Annotated[bool, typer.Option("--client", help="do not ask the servers")] = False,
) -> None:
    """Print the versions of this program and of the servers it talks to; warns where they differ."""
    found: dict[str, Any] = {"client": __version__}
    if not client:
        found |= _servers()
    if output is not None:
        print_document(found, output)
    else:
        print_fields({name: value or "not reachable" for name, value in found.items()})
    for name, value in found.items():
        if value not in {None, __version__}:
            say(f"kelp: warning: {name} has version {value}, this program {__version__}")


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
