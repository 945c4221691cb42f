"""From what somebody points at to the files that matter there: a file, a training run's folder, a packed function's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from predictors.common.errors import WeightsError
from predictors.describe.found import Found, Inpainter, Prompted, Semantic, Yolo
from predictors.describe.look import SUFFIXES, look

_BEST = "weights/best.pt"
_DEEPEST = 4
_PACKED = ("model_weights.", "segformer_weights.", "sam_weights.")


@dataclass(frozen=True, slots=True)
class Place:
    """main: what is served; prompted: segment-anything beside a semantic main; config: of that; templates: arrays of
    points beside a pose, each with its number of points."""

    main: Found
    prompted: Prompted | None
    config: Path | None
    templates: tuple[tuple[Path, int], ...]


def place_of(path: Path, *, config: Path | None = None, sam: Path | None = None, template: Path | None = None) -> Place:
    """What lies at `path`; files that are named go before those that are found. WeightsError where nothing does, or
    more than one thing that may be meant."""
    if not path.exists():
        raise WeightsError(f"{path}: no such file or folder")
    beside = path if path.is_dir() else path.parent
    named = _prompted(sam) if sam else None
    if path.is_dir():
        file, folder = _in_folder(path)
        main, found = (look(file), None) if file else _of_several(path)
        beside = folder or beside
        prompted = named or found
    else:
        main, prompted = look(path), named
    if isinstance(main, Prompted):
        raise WeightsError(
            f"{main.file.name}: a segment-anything model alone names no classes: give the semantic checkpoint, and "
            "this one with --sam"
        )
    _check_named(main, config=config, sam=sam, template=template)
    if isinstance(main, Semantic):
        config = config or _config_in(beside)
        prompted = prompted or _sam_in(beside, main.file)
    found_here = sorted(path.glob("*.npy")) if path.is_dir() and isinstance(main, Yolo) and main.task == "pose" else []
    templates = [template] if template else found_here
    return Place(main, prompted, config, tuple((file, _points_in(file)) for file in templates))


def _check_named(main: Found, *, config: Path | None, sam: Path | None, template: Path | None) -> None:
    """WeightsError for files that were named for another kind of weights, or do not go with these."""
    name = main.file.name
    if template is not None:
        points = main.keypoints if isinstance(main, Yolo) and main.task == "pose" else None
        if points is None:
            raise WeightsError(f"{name}: finds no poses, and --template has ideal positions of a pose's points")
        if (count := _points_in(template)) != points:
            raise WeightsError(f"{template.name} has {count} points, {name} finds {points}: they do not go together")
    for option, given in (("--config", config), ("--sam", sam)):
        if given is not None and not isinstance(main, Semantic):
            raise WeightsError(f"{name}: no checkpoint of mmsegmentation, which {option} goes with")


def _in_folder(folder: Path) -> tuple[Path | None, Path | None]:
    """A training run's best checkpoint, and where else to look for what belongs to it; nothing for a packed folder."""
    for file in (folder / _BEST, folder / "best.pt"):
        if file.is_file():
            return file, folder
    if any(file.suffix in SUFFIXES for file in folder.iterdir() if file.is_file()):
        return None, None
    found = [file for depth in range(1, _DEEPEST) for file in folder.glob("*/" * depth + _BEST)]
    if len(found) > 1:
        newest = sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)
        runs = ", ".join(str(file.parent.parent) for file in newest[:8])
        raise WeightsError(f"{folder}: holds {len(found)} training runs; name one of them, the newest first: {runs}")
    if not found:
        raise WeightsError(
            f"{folder}: holds no weights: expected {_BEST} of a training run, or files such as model_weights.pt"
        )
    return found[0], found[0].parent.parent


def _of_several(folder: Path) -> tuple[Found, Prompted | None]:
    """The served one of a folder's weights, by content, and a segment-anything model beside."""
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.suffix in SUFFIXES]
    packed = [file for file in files if file.name.startswith(_PACKED)]
    # mmengine keeps every epoch, and says by the name which was the best.
    best = [file for file in files if file.name.startswith("best_")]
    kept = packed or [*best, *(f for f in files if f.suffix != ".pth" or f.name.startswith(("sam", "vit_")))] or files
    seen = [look(file) for file in dict.fromkeys(kept)]
    prompted = [found for found in seen if isinstance(found, Prompted)]
    served = [found for found in seen if not isinstance(found, Prompted)]
    _one_of(prompted, folder)
    if not served:
        return prompted[0], None
    _one_of(served, folder)
    return served[0], prompted[0] if prompted else None


def _one_of(found: Sequence[Found], folder: Path) -> None:
    if len(found) > 1:
        names = ", ".join(one.file.name for one in found)
        raise WeightsError(f"{folder}: holds several that may be meant: {names}; name the file")


def _config_in(folder: Path) -> Path | None:
    configs = sorted(folder.glob("*.py"))
    exact = [file for file in configs if file.name == "config.py"]
    if not exact and len(configs) > 1:
        names = ", ".join(file.name for file in configs[:8])
        raise WeightsError(f"{folder}: holds several configs: {names}; name one with --config")
    return next(iter(exact or configs), None)


def _sam_in(folder: Path, main: Path) -> Prompted | None:
    likely = (f for f in sorted(folder.glob("*.pth")) if f != main and f.name.startswith(("sam", "vit_")))
    return next((found for found in _looks(likely) if isinstance(found, Prompted)), None)


def _looks(files: Iterable[Path]) -> Iterable[Found]:
    for file in files:
        yield look(file)


def _prompted(file: Path) -> Prompted:
    found = look(file)
    if not isinstance(found, Prompted):
        kind = {Yolo: "a YOLO", Inpainter: "an inpainter", Semantic: "a semantic checkpoint"}[type(found)]
        raise WeightsError(f"{file.name}: {kind}, and --sam expects a segment-anything model")
    return found


def _points_in(file: Path) -> int:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise WeightsError(f"{file.name}: not a NumPy file with the template's points ({error})") from None
    shape = array.shape[1:] if array.ndim == 3 and array.shape[0] == 1 else array.shape
    if len(shape) != 2 or shape[1] != 2:
        raise WeightsError(f"{file.name}: expected the template's points [K, 2], got {list(array.shape)}")
    return int(shape[0])
