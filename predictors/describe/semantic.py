"""What checkpoints of mmsegmentation and segment-anything say of themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from predictors.common.errors import WeightsError
from predictors.describe.found import Prompted, Semantic
from predictors.describe.inert import shape_of

_HEAD = "decode_head.conv_seg.weight"
_ENCODER = "image_encoder."


def semantic_of(file: Path, content: Any) -> Semantic | None:
    """A checkpoint as mmengine saves it, or a bare state with `dataset_meta` beside; None where it is neither."""
    if not isinstance(content, Mapping) or not isinstance(content.get("state_dict"), Mapping):
        return None
    state = content["state_dict"]
    heads = [name for name in state if isinstance(name, str) and name.startswith("decode_head.")]
    if not heads:
        return None
    about = _meta(content)
    names = _texts(about.get("classes", about.get("CLASSES")))
    head = shape_of(state.get(_HEAD))
    return Semantic(file, names, _colours(about.get("palette", about.get("PALETTE"))), head[0] if head else None)


def prompted_of(file: Path, content: Any) -> Prompted | None:
    """The state of a segment-anything model, bare or in `model`; None for anything else."""
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if isinstance(content, Mapping) and any(isinstance(name, str) and name.startswith(_ENCODER) for name in content):
        return Prompted(file)
    return None


def classes_in_config(config: Path) -> tuple[str, ...]:
    """Class names that stand in an mmsegmentation config as plain text (`classes = (…)`, `dict(classes=[…])`).

    The config is code, and is parsed here, never run; names that it computes are not seen. WeightsError where it is no
    Python.
    """
    try:
        tree = ast.parse(config.read_text(encoding="utf-8"), config.name)
    except OSError as error:
        raise WeightsError(f"{config.name}: cannot be read: {error.strerror or error}") from None
    except (SyntaxError, ValueError) as error:
        raise WeightsError(f"{config.name}: not a config of mmsegmentation: {error}") from None
    for node in ast.walk(tree):
        given: ast.expr | None = None
        match node:
            case ast.Assign(targets=[ast.Name(id="classes")], value=value) | ast.keyword(arg="classes", value=value):
                given = value
            case ast.Dict(keys=keys, values=values):
                given = next((v for k, v in zip(keys, values, strict=True) if _is(k, "classes")), None)
        try:
            names = _texts(ast.literal_eval(given)) if given is not None else ()
        except ValueError:
            continue
        if names:
            return names
    return ()


def _is(key: ast.expr | None, name: str) -> bool:
    return isinstance(key, ast.Constant) and key.value == name


def _meta(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """`dataset_meta`, where the Runner puts it or beside the state."""
    meta = content.get("meta")
    for place in (content, meta if isinstance(meta, Mapping) else {}):
        found = place.get("dataset_meta")
        if isinstance(found, Mapping):
            return found
    return meta if isinstance(meta, Mapping) else {}


def _texts(given: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in given) if isinstance(given, (list, tuple)) else ()


def _colours(given: Any) -> tuple[tuple[int, int, int], ...]:
    if not isinstance(given, Iterable) or isinstance(given, (str, bytes)):
        return ()
    colours = []
    for entry in given:
        if not (isinstance(entry, (list, tuple)) and len(entry) == 3 and all(isinstance(v, int) for v in entry)):
            return ()
        colours.append((entry[0] & 255, entry[1] & 255, entry[2] & 255))
    return tuple(colours)
