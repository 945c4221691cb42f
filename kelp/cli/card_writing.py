"""A new card as text, from what the weights say and what the card that it stands beside says."""

from __future__ import annotations

import colorsys
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kelp.cli.describing import Described
from kelp.cli.exits import UsageError

_OTHERS = frozenset({"name", "version", "runtime", "task", "weights", "labels", "quality"})
"""Fields of the card beside that say what is true of its own weights only."""
_PLAIN_NAMES = frozenset(
    {"best", "last", "model", "model-weights", "segformer-weights", "sam-weights", "weights", "nuclio", "work-dirs"}
    | {"segment", "detect", "pose", "obb", "classify"}
)
"""What files and folders are called whatever lies in them: by ultralytics, mmengine and the Nuclio functions."""
_NUMBERED = re.compile(r"(train|val|exp|epoch|iter)-?\d*|best-miou.*")
_RUNS = "runs"
"""ultralytics' own folder: those above it are where somebody works, and name no model."""
_OURS = re.compile(r"; trained at \d+ x \d+ pixels\.$")
"""How a description of ours ends: it tells of the weights it was made for."""
_MOST_STEPS_UP = 3
_GOLDEN = 0.61803398875


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller says: name and version of the model, its title, where up is; source: what was pointed at."""

    name: str
    version: str | None
    title: str | None
    orientation: str | None
    source: Path


def card_text(
    asked: Asked, found: Described, sha256: Mapping[str, str], place: Path | None, beside: Mapping[str, Any]
) -> str:
    """YAML. place: the folder that paths are seen from, none for full ones; sha256: of each role; beside: the fields of
    a card of the same name, whose title, settings, scale and so on are taken over, and its labels where they are the
    weights' own."""
    fields: dict[str, Any] = {"name": asked.name}
    if asked.version:
        fields["version"] = asked.version
    if title := asked.title or beside.get("title"):
        fields["title"] = title
    own = str(beside.get("description") or "")
    fields["description"] = own if own and not _OURS.search(own) else _description(found)
    fields |= {"runtime": found.runtime, "task": found.task, "weights": _weights(found, sha256, place)}
    if labels := _labels(found, beside):
        fields["labels"] = labels
    fields |= {name: value for name, value in beside.items() if name not in _OTHERS and name not in fields}
    if found.grid_shape:
        fields["grid_shape"] = found.grid_shape
    if asked.orientation:
        fields["orientation"] = asked.orientation
    if found.device:
        fields["device"] = found.device
    if found.request_s:
        fields.setdefault("limits", {"request_seconds": found.request_s})
    fields.setdefault("resources", _resources(found))
    head = f"# Written by `kelp card new` from {asked.source.name}.\n"
    tail = "# quality: what you measured, on what (docs/cards.md); `kelp card check --deploy` asks for it.\n"
    return head + "".join(_field(name, value) for name, value in fields.items()) + tail


def name_from(source: Path) -> str:
    """A model's name from a path: the first part, from its end, that says more than `best` or `weights` does.

    UsageError where none does, up to ultralytics' `runs`.
    """
    parts = [source.stem if source.is_file() else source.resolve().name]
    parts += [parent.name for parent in source.resolve().parents]
    for part in parts:
        slug = re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")[:63].strip("-")
        if slug == _RUNS:
            break
        if slug and slug not in _PLAIN_NAMES and not _NUMBERED.fullmatch(slug):
            return slug
    raise UsageError(f"{source}: its path has no name for the model: give one with --name")


def uri_from(file: Path, place: Path | None) -> str:
    """`file` seen from the folder `place`, or in full where that would lead far up."""
    if place is None:
        return str(file)
    relative = Path(os.path.relpath(file, place))
    return str(file) if relative.parts.count("..") > _MOST_STEPS_UP else relative.as_posix()


def _description(found: Described) -> str:
    if found.task == "inpaint":
        return "Fills what a mask covers, or the lines of a grid through its points."
    what = f"{len(found.labels)} labels" if len(found.labels) != 1 else found.labels[0]["name"]
    size = f"; trained at {found.input_hw[1]} x {found.input_hw[0]} pixels" if found.input_hw else ""
    if found.task == "pose":
        return f"Finds the {found.keypoints} points of {what}{size}."
    return f"{'Outlines' if found.task == 'segment' else 'Finds boxes of'} {what}{size}."


def _weights(found: Described, sha256: Mapping[str, str], place: Path | None) -> dict[str, Any]:
    if set(found.files) == {"model"}:
        return {"uri": uri_from(found.files["model"], place), "sha256": sha256["model"]}
    folder = Path(os.path.commonpath([file.parent for file in found.files.values()]))
    if folder == folder.parent:
        there = ", ".join(str(file) for file in found.files.values())
        raise UsageError(
            f"{there}: only {folder} holds them all, and a card's weights need a folder of their own: put them in one"
        )
    files = {
        role: {"file": file.relative_to(folder).as_posix(), "sha256": sha256[role]}
        for role, file in found.files.items()
    }
    return {"uri": uri_from(folder, place), "files": files}


def _labels(found: Described, beside: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = beside.get("labels")
    if isinstance(given, list) and [_of(label) for label in given] == [_of(label) for label in found.labels]:
        return given
    if any("color" in label or "sublabels" in label for label in found.labels):
        return found.labels
    return [{**label, "color": _colour(index)} for index, label in enumerate(found.labels)]


def _of(label: Any) -> tuple[Any, int]:
    return (label.get("name"), len(label.get("sublabels") or ())) if isinstance(label, dict) else (None, 0)


def _colour(index: int) -> str:
    """Far from those of its neighbours in the list, whatever their number."""
    parts = colorsys.hsv_to_rgb(index * _GOLDEN % 1, (0.85, 0.6)[index % 2], (0.95, 0.8)[index // 2 % 2])
    return "#{:02x}{:02x}{:02x}".format(*(round(255 * part) for part in parts))


def _resources(found: Described) -> dict[str, Any]:
    limits: dict[str, Any] = {"cpu": "4", "memory": "16Gi"}
    if not any(file.suffix == ".onnx" for file in found.files.values()):
        limits["nvidia.com/gpu"] = "1"
    return {"requests": {"cpu": "2", "memory": found.memory}, "limits": limits}


def _field(name: str, value: Any) -> str:
    """A field in the form people write it: one label, one file a line."""
    if name in {"labels", "weights", "resources"}:
        rows = value.items() if isinstance(value, dict) else ((None, row) for row in value)
        return f"{name}:\n" + "".join(_row(key, row) for key, row in rows)
    import yaml

    flow = isinstance(value, (dict, list))
    return yaml.safe_dump({name: value}, allow_unicode=True, width=110, default_flow_style=None if flow else False)


def _row(key: str | None, value: Any) -> str:
    import yaml

    if key == "files":
        return "  files:\n" + "".join(f"    {role}: {_flow(entry)}\n" for role, entry in value.items())
    if key is not None:
        return f"  {key}: {_flow(value)}\n"
    if isinstance(value, dict) and value.get("sublabels"):
        text = yaml.safe_dump([value], allow_unicode=True, width=110, default_flow_style=None, sort_keys=False)
        return "".join(f"  {line}\n" for line in text.splitlines())
    return f"  - {_flow(value)}\n"


def _flow(value: Any) -> str:
    import yaml

    text = yaml.safe_dump(value, allow_unicode=True, width=10**6, default_flow_style=True, sort_keys=False)
    return text.removesuffix("...\n").strip()
