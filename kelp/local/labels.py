"""Label names of models whose cards leave them to the weights: read without waking, or remembered from a start."""

from __future__ import annotations

import ast
import contextlib
import json
import mmap
import os
from pathlib import Path

from kelp.card import Card, Label
from kelp.codec.grpc_wire import fields_of
from kelp.errors import KelpError
from kelp.local.upstream import Broken, Pool, get
from kelp.weights.cache import folder_of_content

_METADATA_PROPS = 14  # of onnx.ModelProto; key 1 and value 2 of each entry
_KEY, _VALUE = 1, 2


class Labels:
    """Of each model; what a start taught is kept by the sha256 of the weights."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._known: dict[str, list[Label]] = {}

    def of(self, card: Card) -> list[Label]:
        """The card's own, else what is known of its weights; empty until those have been seen."""
        if card.labels:
            return card.labels
        name = card.model_name
        if name not in self._known:
            found = self._remembered(card) or self._read(card)
            if not found:
                return []
            self._known[name] = [Label(name=label) for label in found]
        return self._known[name]

    def forget(self, name: str) -> None:
        """The card of this model is another one now."""
        self._known.pop(name, None)

    async def learn(self, card: Card, pool: Pool) -> None:
        """Ask the process that has just become ready, through `pool`."""
        if self.of(card):
            return
        with contextlib.suppress(OSError, Broken, ValueError, KeyError, TypeError):
            _, body = await get(pool, f"/v2/models/{card.model_name}")
            labels = [Label.model_validate(label) for label in json.loads(body)["parameters"]["card"]["labels"]]
            self._known[card.model_name] = labels
            if (place := self._place(card)) is not None:
                place.parent.mkdir(parents=True, exist_ok=True)
                temporary = place.with_suffix(f".{os.getpid()}")
                temporary.write_text(json.dumps([label.name for label in labels]))
                os.replace(temporary, place)

    def _place(self, card: Card) -> Path | None:
        digest = card.weights.by_role().get("model")
        return self._cache / "labels" / f"{digest.sha256}.json" if digest and digest.sha256 else None

    def _remembered(self, card: Card) -> list[str]:
        place = self._place(card)
        if place is None:
            return []
        try:
            found = json.loads(place.read_bytes())
        except (OSError, ValueError):
            return []
        return found if isinstance(found, list) and all(isinstance(label, str) for label in found) else []

    def _read(self, card: Card) -> list[str]:
        """From an ONNX file that lies here already."""
        entry = card.weights.by_role().get("model")
        if entry is None:
            return []
        path = Path(card.weights.uri) / entry.file if entry.file else Path(card.weights.uri)
        if "://" in card.weights.uri:
            if entry.sha256 is None:
                return []
            path = folder_of_content(self._cache, entry.sha256) / path.name
        return onnx_names(path) if path.suffix == ".onnx" and path.is_file() else []


def onnx_names(path: Path) -> list[str]:
    """The class names that ultralytics writes into an ONNX file's metadata (`names`, a dict by number), by number.

    Only the lengths of the file's other fields are read. Empty where there are none.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            view = memoryview(content)
            try:
                text = _property(view, b"names")
            finally:
                view.release()
    except (OSError, ValueError, KelpError):
        return []
    try:
        names = ast.literal_eval(text) if text else {}
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return []
    if not isinstance(names, dict) or not all(isinstance(number, int) for number in names):
        return []
    return [str(names[number]) for number in sorted(names)]


def _property(model: memoryview, wanted: bytes) -> str:
    for number, _, _, content, end in fields_of(model):
        if number != _METADATA_PROPS:
            continue
        with model[content:end] as entry:
            parts = {field: bytes(entry[start:stop]) for field, _, _, start, stop in fields_of(entry)}
        if parts.get(_KEY) == wanted:
            return parts.get(_VALUE, b"").decode("utf-8", "replace")
    return ""
