"""`kelp card new --from PATH`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kelp.cli.exits import UsageError
from kelp.cli.output import say


def new(
    source: Annotated[
        Path,
        typer.Option("--from", help="a weights file, a training run's folder, or a folder as a function packed it"),
    ],
    out: Annotated[
        str | None,
        typer.Option("-o", "--out", help="the card's file or folder, - for stdout; left out: KELP_MODELS, as kelp up"),
    ] = None,
    name: Annotated[str | None, typer.Option(help="the model's name; left out: from the path")] = None,
    version: Annotated[str | None, typer.Option(help="such as v2: the model is then NAME-v2, beside NAME")] = None,
    title: Annotated[str | None, typer.Option(help="for people")] = None,
    config: Annotated[Path | None, typer.Option(help="mmsegmentation's config (.py) of a .pth")] = None,
    sam: Annotated[Path | None, typer.Option(help="segment-anything weights that go with a .pth")] = None,
    template: Annotated[Path | None, typer.Option(help="ideal positions of a pose's points (.npy)")] = None,
    orientation: Annotated[str | None, typer.Option(help="of a pose: image or mark says where up is")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace a card that is there")] = False,
) -> None:
    """Write a card for weights: runtime, task, labels, points and sha256 are read from them; nothing of them is run."""
    from kelp.card import parse_card
    from kelp.cli.card_editing import write_card
    from kelp.cli.card_writing import Asked, card_text, name_from
    from kelp.cli.describing import describe_weights
    from kelp.weights.cache import sha256_of

    found = describe_weights(source, config=config, sam=sam, template=template)
    asked = Asked(name or name_from(source), version, title, orientation, source)
    full = f"{asked.name}-{version}" if version else asked.name
    place, target = _target(out, full)
    beside = _cards_named(asked.name, place) if target else {}
    if target is not None and not force:
        _spare(target, full, place)
    sha256 = {role: sha256_of(file) for role, file in found.files.items()}
    text = card_text(asked, found, sha256, place, beside)
    if target is not None:
        write_card(target, text)
    else:
        parse_card(text, source="card")
    for note in found.notes:
        say(f"kelp: {note}")
    if target is None:
        typer.echo(text, nl=False)
        return
    size = f", trained at {found.input_hw[1]} x {found.input_hw[0]}" if found.input_hw else ""
    points = f", {found.keypoints} points" if found.keypoints else ""
    labels = f", {len(found.labels)} {'label' if len(found.labels) == 1 else 'labels'}" if found.labels else ""
    say(f"{full}: runtime {found.runtime}, task {found.task}{labels}{points}{size}")
    if beside:
        say(f"{full}: what else it says is taken over from the card of {asked.name} that is there")
    typer.echo(str(target))


def _target(out: str | None, model: str) -> tuple[Path | None, Path | None]:
    """The folder that paths are seen from, and the file; none for stdout."""
    from kelp.local.settings import UpSettings

    if out == "-":
        return None, None
    if out is None:
        given = _setting()
        folder = Path(given or UpSettings.model_fields["models"].get_default()).expanduser()
        if not given and not folder.is_dir():
            folder = Path()
    elif Path(out).is_dir() or out.endswith("/"):
        folder = Path(out)
    else:
        return Path(out).resolve().parent, Path(out)
    if not folder.is_dir():
        named = " (KELP_MODELS)" if out is None else ""
        raise UsageError(f"{folder}{named}: no such folder: make it, or say another with -o")
    return folder.resolve(), folder / f"{model}.yaml"


def _setting() -> str:
    import os

    return os.environ.get("KELP_MODELS", "")


def _cards_named(name: str, folder: Path | None) -> Mapping[str, Any]:
    """The fields of a card of that name in `folder`: the unversioned one, else the last; none where there is none."""
    from kelp.card.load import CardError, read_mapping

    found: dict[str, Mapping[str, Any]] = {}
    for path in sorted(folder.glob("*.yaml")) if folder else ():
        try:
            fields = read_mapping(path.read_text(encoding="utf-8"), source=str(path))
        except (OSError, UnicodeDecodeError, CardError):
            continue
        if fields.get("name") == name:
            found[str(fields.get("version") or "")] = fields
    return found.get("") or (found[max(found)] if found else {})


def _spare(target: Path, model: str, folder: Path | None) -> None:
    """UsageError where the file is there, or another card in its folder has the model's name already."""
    advice = "--version v2 puts a second one beside it, --force replaces it"
    if target.exists():
        raise UsageError(f"{target} is there already: {advice}")
    from kelp.local.cards import read_folder

    taken = read_folder(folder).cards.get(model) if folder else None
    if taken is not None:
        raise UsageError(f"{taken.path} describes the model '{model}' already: {advice}")
