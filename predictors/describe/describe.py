"""From what was found to what a card says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from predictors.common.errors import WeightsError
from predictors.describe.found import Inpainter, Semantic, Yolo
from predictors.describe.place import Place
from predictors.describe.semantic import classes_in_config

GRID_SHAPE = (9, 13)
"""Rows and columns of the grid that an inpainter removes where nothing says otherwise."""
_LABEL_TYPES = {"segment": "any", "detect": "rectangle"}
_LONGEST_NAME = 64
_SLOW_S = 600
"""Without a GPU such a request takes minutes."""


def describe(place: Place) -> dict[str, Any]:
    """The card's fields that follow from the weights, and `notes` for the one who asked.

    runtime, task; files: role → path; labels in CVAT's form; input_hw, keypoints, grid_shape where they are known;
    device: what the file demands, memory: what a start should be given, request_s: how long a request may take.
    """
    if isinstance(place.main, Yolo):
        return _yolo(place.main, place)
    if isinstance(place.main, Semantic):
        return _semantic(place.main, place)
    assert isinstance(place.main, Inpainter)
    slow: dict[str, Any] = {"grid_shape": list(GRID_SHAPE), "request_s": _SLOW_S}
    return _fields("lama", "inpaint", {"model": place.main.file}, **slow)


def _yolo(found: Yolo, place: Place) -> dict[str, Any]:
    names, notes = _names(found)
    more: dict[str, Any] = {"input_hw": list(found.input_hw)}
    if found.file.suffix == ".engine":
        more["device"] = "cuda"
    if found.task != "pose":
        labels = [{"name": name, "type": _LABEL_TYPES[found.task]} for name in names]
        return _fields("yolo", found.task, {"model": found.file}, labels=labels, notes=notes, **more)
    points = found.keypoints
    if points is None:
        raise WeightsError(f"{found.file.name}: a pose model that does not say how many points it finds")
    sublabels = [{"name": str(number)} for number in range(1, points + 1)]
    skeletons: list[dict[str, Any]] = [{"name": name, "type": "skeleton", "sublabels": sublabels} for name in names]
    more["keypoints"] = points
    fitting = [file for file, count in place.templates if count == points]
    if not fitting:
        for file, count in place.templates:
            notes.append(f"{file.name} has {count} points, the model {points}: it is left out")
        return _fields("yolo", "pose", {"model": found.file}, labels=skeletons, notes=notes, **more)
    if len(fitting) > 1:
        raise WeightsError(
            f"{', '.join(file.name for file in fitting)}: each has {points} points; name one with --template"
        )
    shape = grid_shape_of(fitting[0])
    files = {"model": found.file, "template": fitting[0]}
    return _fields("grid", "pose", files, labels=skeletons, notes=notes, grid_shape=shape, **more)


def _semantic(found: Semantic, place: Place) -> dict[str, Any]:
    from predictors.coralscop.config import check_file
    from predictors.coralscop.labels import BACKGROUND

    if place.config is None:
        raise WeightsError(
            f"{found.file.name}: a checkpoint of mmsegmentation needs its config (.py) beside it, or --config"
        )
    if place.prompted is None:
        raise WeightsError(
            f"{found.file.name}: a semantic segmenter alone finds no colonies: give CoralSCoP's segment-anything "
            "weights beside it (sam_weights.pth), or --sam"
        )
    check_file(place.config)
    names = found.names or classes_in_config(place.config)
    if not names:
        raise WeightsError(
            f"{found.file.name}: neither its metadata nor {place.config.name} name the classes: write them into the "
            "checkpoint's dataset_meta, or into the config as text"
        )
    if found.classes is not None and found.classes != len(names):
        raise WeightsError(f"{found.file.name}: tells {found.classes} classes apart, and {len(names)} are named")
    labels: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        if name.lower() in BACKGROUND:
            continue
        colour = found.colours[number] if number < len(found.colours) else None
        labels.append(
            {"name": name, "type": "any"} | ({"color": "#{:02x}{:02x}{:02x}".format(*colour)} if colour else {})
        )
    files = {"segformer_config": place.config, "segformer": found.file, "sam": place.prompted.file}
    notes = [f"{place.config.name} is code, and runs when the model is served: look at it first"]
    return _fields("coralscop", "segment", files, labels=labels, notes=notes, memory="16Gi", request_s=_SLOW_S)


def _fields(runtime: str, task: str, files: dict[str, Path], **more: Any) -> dict[str, Any]:
    unknown: dict[str, Any] = {"labels": [], "notes": [], "input_hw": None, "keypoints": None, "grid_shape": None}
    paths = {role: str(file.resolve()) for role, file in files.items()}
    usual = {"runtime": runtime, "task": task, "files": paths, "device": None, "memory": "8Gi", "request_s": None}
    return usual | unknown | more


def _names(found: Yolo) -> tuple[list[str], list[str]]:
    """Names that CVAT takes, in the weights' order, and what had to be changed."""
    if not found.names:
        raise WeightsError(f"{found.file.name}: names no labels")
    names: list[str] = []
    notes = []
    for number, given in enumerate(found.names):
        name = given.strip()[:_LONGEST_NAME] or f"label {number}"
        while name in names:
            name = f"{name[: _LONGEST_NAME - 5]} {number}"
        if name != given:
            notes.append(f"label {number} is '{given}' in the weights, and '{name}' in the card")
        names.append(name)
    return names, notes


def grid_shape_of(template: Path) -> list[int] | None:
    """Rows and columns where the points lie row by row on a regular grid of more than four; else None."""
    points = np.asarray(np.load(template, allow_pickle=False), np.float64).reshape(-1, 2)
    if len(points) <= 4:
        return None
    apart = 1e-3 * float(np.ptp(points, axis=0).max())
    rows = 1 + int((np.diff(np.sort(points[:, 1])) > apart).sum())
    columns = 1 + int((np.diff(np.sort(points[:, 0])) > apart).sum())
    return [rows, columns] if rows * columns == len(points) and min(rows, columns) > 1 else None
