"""The cluster's verbs for the `kelp up` of this machine: cards go into its folder, which it looks at by itself."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kelp.card import Card
from kelp.cli.exits import UsageError
from kelp.cli.output import say
from kelp.errors import Conflict, NotFound, TooLate, Unreachable
from kelp.local.cards import read_folder
from kelp.local.settings import CallerSettings
from kelp.local.state import UpState, log_path, read_state

if TYPE_CHECKING:
    from kelp.cli.deploying import Plan

MARK = "# Put here by kelp deploy; kelp delete takes it away."
_READ_S = 15.0
_LOOK_S = 0.1
_REPLICAS = {"ready": "1/1", "starting": "0/1"}


@dataclass(frozen=True, slots=True)
class Home:
    """The running `kelp up`."""

    state: UpState
    cache: Path
    url: str

    @property
    def folder(self) -> Path:
        return Path(self.state.models)

    def now(self) -> UpState:
        """Its state as it is now. Unreachable where it has ended meanwhile."""
        state = read_state(self.cache, self.state.port)
        if state is None:
            raise Unreachable(f"the kelp up at {self.url} has ended")
        return state


def home() -> Home:
    """Unreachable where none runs here. UsageError where the one at KELP_V2_URL is not of this machine and cache."""
    from kelp.ports import is_loopback

    settings = CallerSettings.read()
    parts = urlsplit(settings.v2_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    state = read_state(settings.cache, port)
    if state is not None:
        return Home(state, settings.cache, settings.v2_url)
    if is_loopback(parts.hostname or ""):
        raise Unreachable(
            f"no kelp up of this machine is known at {settings.v2_url} (KELP_V2_URL): start it, or give KELP_CACHE the "
            "value that it has"
        )
    raise UsageError(f"the kelp up at {settings.v2_url} is another machine's: put the card into its folder there")


def list_here() -> list[dict[str, Any]]:
    """The models as `kelp get` shows them."""
    from kelp.cli.servers import v2_client

    found = []
    port = urlsplit(CallerSettings.read().v2_url).port or 80
    with v2_client(cold_start_s=0.0) as client:
        for entry in client.models():
            card = client.metadata(entry.name).get("parameters", {}).get("card", {})
            state = card.get("state") or entry.state.lower()
            found.append({
                "namespace": "local", "name": entry.name, "project": "cvat", "state": state, "port": port,
                "replicas": _REPLICAS.get(state, "0/0"), "runtime": card.get("runtime", ""),
                "task": card.get("task", ""), "protocol": "", "version": card.get("version") or "", "canary": None,
                "title": card.get("title", ""), "url": f"{CallerSettings.read().v2_url}/v2/models/{entry.name}",
                "reason": card.get("reason", ""),
            })  # fmt: skip
    return found


def card_here(name: str) -> Card:
    """The card that `kelp up` serves under this name."""
    found = read_folder(home().folder).cards.get(name)
    if found is None:
        raise NotFound(f"no model '{name}' in {home().folder}")
    return found.card


def deploy_here(cards: list[Card], plan: Plan) -> bool:
    """Whether all of them are served, and woke. Conflict where a card of that name stands in a file of somebody's."""
    from kelp.deploy.cluster.bundle import is_local

    if plan.owner or plan.storage:
        raise UsageError(f"--{'owner' if plan.owner else 'storage'} is for a cluster")
    prepared = [_with_sha256(card) if is_local(card) else card for card in cards]
    if plan.dry_run:
        for card in prepared:
            say(f"{card.model_name}: would go into {home().folder}")
            import sys

            sys.stdout.write(_text(card))
        return True
    place = home()
    for card in prepared:
        _put(place, card)
    woken = [_wake(card, plan) for card in prepared if plan.wake]  # all of them, whatever becomes of the first
    return all(woken)


def update_here(name: str, card: Card) -> None:
    """Replace the card of a model that was deployed. Conflict where its file is somebody's."""
    _put(home(), card)


def delete_here(names: list[str], *, missing_ok: bool) -> None:
    """Take away the cards that were put there. NotFound, Conflict as above."""
    place = home()
    for name in names:
        found = read_folder(place.folder).cards.get(name)
        if found is None:
            if missing_ok:
                continue
            raise NotFound(f"no model '{name}' in {place.folder}")
        _check_ours(found.path)
        found.path.unlink()
        _until(place, found.path.name, None)
        say(f"{name}: deleted")


def lines_here(name: str, *, follow: bool, tail: int) -> Iterator[bytes]:
    """What its process, or the bridge's, has logged, oldest first."""
    place = home()
    path = log_path(place.cache, name)
    if not path.is_file():
        if name != "bridge" and name not in read_folder(place.folder).cards:
            raise NotFound(f"no model '{name}' in {place.folder}")
        say(f"kelp: {name} has logged nothing yet")
    position, inode = 0, None
    if path.is_file():
        data = path.read_bytes()
        position, inode = len(data), path.stat().st_ino
        yield from data.splitlines()[-tail:] if tail else ()
    while follow:
        time.sleep(_LOOK_S)
        if not path.is_file():
            continue
        stat = path.stat()
        if stat.st_ino != inode or stat.st_size < position:
            position, inode = 0, stat.st_ino
        if stat.st_size > position:
            with path.open("rb") as file:
                file.seek(position)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            position += len(whole)
            yield from whole.splitlines()


def _put(place: Home, card: Card) -> None:
    name = card.model_name
    there = read_folder(place.folder).cards.get(name)
    path = place.folder / f"{name}.yaml" if there is None else there.path
    if there is not None and there.card == card:
        say(f"{name}: unchanged")
        return
    if there is not None or path.exists():
        _check_ours(path)
    text = _text(card)
    temporary = place.folder / f".{name}.{os.getpid()}"
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    _until(place, path.name, hashlib.sha256(text.encode()).hexdigest())
    say(f"{name}: deployed to {path}")


def _until(place: Home, file: str, sha256: str | None) -> None:
    """Wait until `kelp up` has read the file, or has seen that it is gone. UsageError where it refuses it."""
    ends = time.monotonic() + _READ_S
    while (state := place.now()).read.get(file) != sha256:
        if time.monotonic() > ends:
            raise TooLate(f"kelp up has not looked at {place.folder} for {_READ_S:.0f} s")
        time.sleep(_LOOK_S)
    if sha256 is not None and file in state.faults:
        raise UsageError(state.faults[file])


def _check_ours(path: Path) -> None:
    if not path.read_text(encoding="utf-8").startswith(MARK):
        raise Conflict(
            f"{path} was not put there by kelp deploy, and is left alone: change or remove it yourself, kelp up looks "
            "at it every second"
        )


def _with_sha256(card: Card) -> Card:
    """With the weights' sha256: other weights of the same name are then another card."""
    from kelp.deploy.cluster.bundle import bundle_of

    bundle = bundle_of(card)
    if not card.weights.files and not Path(card.weights.uri).is_dir():
        weights = card.weights.model_copy(update={"sha256": bundle.files[0].sha256})
    else:
        weights = card.weights.model_copy(update={"files": bundle.roles, "sha256": None})
    return card.model_copy(update={"weights": weights})


def _text(card: Card) -> str:
    import yaml

    from kelp.deploy.cards import as_data

    return f"{MARK}\n" + yaml.safe_dump(as_data(card), sort_keys=False, allow_unicode=True, width=120)


def _wake(card: Card, plan: Plan) -> bool:
    from kelp.cli.progress import counting
    from kelp.cli.servers import v2_client
    from kelp.errors import KelpError

    begun = time.monotonic()
    patience = plan.timeout_s or card.start_timeout
    name = card.model_name
    try:
        with counting(f"{name}: starting", None) as bar, v2_client(cold_start_s=patience) as client:
            client.wait_ready(name, on_waiting=lambda seconds: bar.note(f"{name}: starting, {seconds:.0f} s"))
    except KelpError as error:
        say(f"kelp: {error.message}")
        return False
    say(f"{name}: ready, it woke in {time.monotonic() - begun:.1f} s")
    return True
