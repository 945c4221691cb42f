"""Reading cards from files; every error names the file, the field and what was expected there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from kelp.card.schema import SAME_NAME, Card
from kelp.errors import InvalidRequest
from kelp.settings.model import ModelSetting, parse_settings, settings_of

# libyaml's loader is ten times faster; a YAML without it is still read.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):  # type: ignore[misc]
    """The safe loader, but a key that stands twice is an error: YAML forbids it, PyYAML lets the last one win."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                raise yaml.MarkedYAMLError(problem=f"'{key}' stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


class CardError(InvalidRequest):
    """A card that cannot be used: `FILE: FIELD: what is wrong`, one line a fault."""

    default_code = "invalid_card"


def parse_card(
    text: str,
    *,
    source: str = "card",
    unknown: Literal["forbid", "ignore"] = "forbid",
    check_settings: bool = True,
) -> Card:
    """The card in `text` (YAML or JSON). CardError names `source`, the field and what was expected.

    unknown: what becomes of fields that this version does not know; check_settings: whether a setting that all runtimes
    share must have a value that it can have.
    """
    data = read_mapping(text, source=source)
    try:
        card = Card.model_validate(data, extra=unknown)
    except ValidationError as error:
        raise CardError("\n".join(f"{source}: {line}" for line in _faults(error))) from None
    if check_settings and (faults := shared_settings_faults(card)):
        raise CardError("\n".join(f"{source}: {fault}" for fault in faults))
    return card


def read_mapping(text: str, *, source: str) -> dict[Any, Any]:
    """The fields in `text` (YAML or JSON), not looked at yet. CardError where it is no mapping."""
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - both loaders are the safe one
    except yaml.YAMLError as error:
        raise CardError(f"{source}: not YAML: {_one_line(error)}") from None
    if not isinstance(data, dict):
        raise CardError(f"{source}: expected a mapping of fields, got {type(data).__name__}")
    return data


def load_card(path: str | Path, *, check_settings: bool = True) -> Card:
    """The card in the file at `path`; a relative `weights.uri` becomes absolute, seen from that file."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CardError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CardError(f"{path}: not UTF-8 text") from None
    return seen_from(path, parse_card(text, source=str(path), check_settings=check_settings))


def seen_from(path: Path, card: Card) -> Card:
    """`card` of the file at `path`: a relative `weights.uri` becomes absolute."""
    uri = card.weights.uri
    if "://" in uri:
        return card
    absolute = (path.resolve().parent / Path(uri).expanduser()).resolve()
    return card.model_copy(update={"weights": card.weights.model_copy(update={"uri": str(absolute)})})


def load_cards(folder: str | Path) -> dict[str, Card]:
    """All cards of a folder (`*.yaml`, `*.yml`), by the model's name. Two with one name are an error."""
    folder = Path(folder)
    if not folder.is_dir():
        raise CardError(f"{folder}: expected a folder of model cards")
    cards: dict[str, Card] = {}
    origin: dict[str, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix in {".yaml", ".yml"} and not p.name.startswith(".")):
        card = load_card(path)
        if card.model_name in cards:
            raise CardError(f"{path}: name: '{card.model_name}' is already described by {origin[card.model_name]}")
        cards[card.model_name], origin[card.model_name] = card, path
    return cards


def card_json_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of a card, for editors and charts."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Kelp model card",
        **{k: v for k, v in Card.model_json_schema(by_alias=True).items() if k != "title"},
    }


def settings_faults(given: Mapping[str, Any], known: Mapping[str, ModelSetting]) -> list[str]:
    """A line for each of a card's settings that `known` does not have, or whose value it cannot have."""
    faults = []
    for name, value in given.items():
        try:
            parse_settings({name: value}, known, where="setting")
        except InvalidRequest as error:
            faults.append(f"settings.{name}: {error.message}")
    return faults


def shared_settings_faults(card: Card) -> list[str]:
    """The same for the settings that all runtimes of its task share; what a runtime declares for itself it checks."""
    known = settings_of(card.task)
    return settings_faults({name: value for name, value in card.settings.items() if name in known}, known)


def _faults(error: ValidationError) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False):
        field = ".".join(str(part) for part in fault["loc"]) or "card"
        if fault["type"] == "extra_forbidden":
            lines.append(f"{field}: unknown field")
        elif fault["type"] == SAME_NAME:
            for index, first, name in fault["ctx"]["again"]:
                lines.append(f"{field}.{index}.name: two labels have the same name, '{name}': {field}.{first} too")
        elif fault["type"] == "missing":
            lines.append(f"{field}: required, but not there")
        else:
            given = f", got {fault['input']!r}" if isinstance(fault["input"], (str, int, float, bool)) else ""
            told = fault["msg"].removeprefix("Value error, ")
            lines.append(f"{field}: {told.removesuffix(given)}{given}")
    return lines


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
