"""`kelp export CARD --format onnx|engine`."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from kelp.cli.exits import USAGE, UsageError
from kelp.cli.output import DocumentOption, print_document, say

app = typer.Typer(rich_markup_mode=None)
_EXPORTED = frozenset({"yolo", "grid"})
_CHECKPOINTS = frozenset({".pt", ".pth"})


class Format(StrEnum):
    """What a file is made for: onnxruntime, or TensorRT on a GPU."""

    onnx = "onnx"
    engine = "engine"


@app.command()
def export(
    card: Annotated[Path, typer.Argument(help="the card of a YOLO checkpoint (.pt)")],
    form: Annotated[Format, typer.Option("--format", help="onnx, or engine: TensorRT, on the GPU that will run it")],
    images: Annotated[
        Path | None, typer.Option(help="pictures, as many as 16, in which both files must find the same")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="the file; left out: beside the checkpoint")] = None,
    update: Annotated[bool, typer.Option("--update", help="change the card itself, instead of one beside it")] = False,
    image_size: Annotated[
        int | None, typer.Option(min=32, help="side in pixels, a multiple of 32; left out: trained at")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="of an engine: half precision")] = False,
    force: Annotated[bool, typer.Option("--force", help="replace a file or card that is there")] = False,
    output: DocumentOption = None,
) -> None:
    """Make an ONNX file or a TensorRT engine of a checkpoint, keep it if it finds the same, and write its card.

    What lies there already is replaced at the end, by a file that was checked, or not at all. Exits 1 where it finds
    something else (the file is then not kept), 2 where this machine lacks what it needs.
    """
    from kelp.card import load_card
    from kelp.cli.card_editing import with_weights, write_card
    from kelp.weights.cache import sha256_of

    described = load_card(card)
    if described.runtime not in _EXPORTED:
        raise UsageError(f"{card}: only YOLO models are exported (runtime yolo or grid), not '{described.runtime}'")
    checkpoint = _checkpoint(described, card)
    if half and form is not Format.engine:
        raise UsageError("--half goes with --format engine: an ONNX file has single precision")
    target = (out or checkpoint.with_suffix(f".{form.value}")).resolve()
    if target.suffix != f".{form.value}":
        raise UsageError(f"--out {out}: expected a name that ends in .{form.value}")
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent}: no such folder")
    if target.is_dir():
        raise UsageError(f"{target}: a folder, and a file's name was expected")
    if target.exists() and not force:
        raise UsageError(f"{target} is there already: --force replaces it, --out names another")
    version = None if update else _version(described.version, form)
    place = card if update else card.with_name(f"{described.name}-{version}.yaml")
    if place != card and place.exists() and not force:
        raise UsageError(f"{place} is there already: --force replaces it, --update changes {card.name} instead")
    more: dict[str, Any] = {} if update else {"version": version}
    if form is Format.engine:
        more["device"] = "cuda"
    with_weights(card, target, "0" * 64, more)  # what cannot be said in the card is said before an hour's work
    with _aside(target) as made:
        found = _made(card, form, made, images, image_size, half) | {"file": str(target)}
        text = with_weights(card, target, sha256_of(made), more)
        write_card(place, text, first=lambda: made.replace(target))
    if output is not None:
        print_document({**found, "card": str(place)}, output)
        return
    agreement = found["agreement"]
    say(
        f"{target.name} finds what {checkpoint.name} finds: {agreement['instances']} instances in "
        f"{agreement['pictures']} pictures, boxes moved by {agreement['largest_move_of_a_box_px']} px at most"
    )
    typer.echo(str(place))


@contextlib.contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A name on the target's own disk for what may come to nothing; whatever is left there goes."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=".kelp-export-", dir=target.parent)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror or error}") from None
    with folder:
        yield Path(folder.name) / target.name


def _made(
    card: Path, form: Format, target: Path, images: Path | None, image_size: int | None, half: bool
) -> dict[str, Any]:
    from kelp.cli.describing import ask
    from kelp.errors import KelpError

    arguments = [str(card), "--format", form.value, "--out", str(target)]
    arguments += ["--images", str(images)] if images else []
    arguments += ["--image-size", str(image_size)] if image_size else []
    arguments += ["--half"] if half else []
    try:
        return ask("predictors.yolo.export", arguments, timeout_s=3 * 3600)  # TensorRT tries every kernel
    except KelpError as error:
        if error.code != "not_possible_here":
            raise
        say(f"kelp: {error.message}")
        raise typer.Exit(USAGE) from None


def _checkpoint(described: Any, card: Path) -> Path:
    weights = described.weights
    if "://" in weights.uri:
        raise UsageError(
            f"{card}: its weights lie at {weights.uri}: fetch the checkpoint, and write its path there first"
        )
    entry = weights.by_role().get("model")
    if entry is None:
        raise UsageError(f"{card}: has no weights of the role 'model'")
    file = Path(weights.uri) / entry.file if entry.file else Path(weights.uri)
    if file.suffix not in _CHECKPOINTS:
        raise UsageError(f"{card}: its weights are {file.name}: an export begins with a checkpoint (.pt)")
    return file


def _version(version: str | None, form: Format) -> str:
    found = f"{version}-{form.value}" if version else form.value
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?", found):
        raise UsageError(f"version {found}: longer than 16 characters; --update changes the card itself")
    return found
