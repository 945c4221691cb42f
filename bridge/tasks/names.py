"""File names of the new frames: the frames' own, with the ending of the new form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

_ENDINGS = {"jpeg": (".jpg", ".jpeg"), "png": (".png",)}


def new_names(names: Mapping[int, str], form: str) -> dict[int, str]:
    """A file name for each frame, by its number, all different: those that would collide get `-<frame>`.

    Folders are left out: CVAT takes base names only, which is how frames of two folders come to have one name.
    """
    plain = {frame: _renamed(name, form) for frame, name in names.items()}
    counted = Counter(plain.values())
    taken = {name for name, count in counted.items() if count == 1}
    found = {}
    for frame, name in plain.items():
        if counted[name] > 1:
            stem, _, ending = name.rpartition(".")
            name = f"{stem}-{frame}.{ending}"
            while name in taken:
                stem = f"{stem}-{frame}"
                name = f"{stem}-{frame}.{ending}"
            taken.add(name)
        found[frame] = name
    return found


def _renamed(name: str, form: str) -> str:
    base = name.replace("\\", "/").rsplit("/", 1)[-1] or "frame"
    stem, _, ending = base.rpartition(".")
    if not stem:
        return base + _ENDINGS[form][0]
    return base if f".{ending.lower()}" in _ENDINGS[form] else stem + _ENDINGS[form][0]
