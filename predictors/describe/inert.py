"""Pickles read with everything in them made inert: names and numbers are seen, nothing of the file is imported or run.

Whatever a pickle names becomes a bare class of this module that remembers what it was called with and filled with. So
no checkpoint is trusted here, whoever made it, and neither torch nor the training's own packages are needed.
"""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from predictors.common.errors import WeightsError

_ZIP = b"PK\x03\x04"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LARGEST_PICKLE = 256 << 20


class Inert:
    """Something that a pickle wanted to make. `name`: module and name; `arguments`: of its call; `state`: what it was
    filled with."""

    name = ""
    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *arguments: Any) -> Inert:
        made = super().__new__(cls)
        made.arguments = arguments
        return made

    def __init__(self, *arguments: Any) -> None:
        """Taken by `__new__`."""

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        """An item of a mapping of the pickle's own kind: dropped."""

    def append(self, value: Any) -> None:
        """Likewise of a list."""

    def extend(self, values: Any) -> None:
        """Likewise."""

    def add(self, value: Any) -> None:
        """Likewise of a set."""

    def field(self, name: str) -> Any:
        """An attribute of the object that this stands for; None where it has none."""
        return self.state.get(name) if isinstance(self.state, dict) else None

    def child(self, name: str) -> Any:
        """A layer of the layer that this stands for (torch's `_modules`)."""
        layers = self.field("_modules")
        return layers.get(name) if isinstance(layers, dict) else None


class _Mapping(dict[Any, Any]):
    """Of the pickle's OrderedDicts, which may carry a state besides their items."""

    def __setstate__(self, state: Any) -> None:
        """Dropped."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """content: the file's main object; pickles: each pickle of the file by name, for those who look closer (empty for
    the format of before torch 1.6)."""

    content: Any
    pickles: dict[str, bytes]


def read_inert(path: Path) -> Checkpoint:
    """A `torch.save` file of either format. WeightsError where it is none, or is cut short."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
            file.seek(0)
            return _read_zip(path) if head == _ZIP else Checkpoint(_read_legacy(file), {})
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"{path.name}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged file fails anywhere in the readers of zip and pickle
        raise WeightsError(f"{path.name}: not a whole PyTorch file ({type(error).__name__}: {error})") from None


def is_torchscript(path: Path) -> bool:
    """Whether the file is a TorchScript archive, as `torch.jit.save` writes it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def shape_of(value: Any) -> tuple[int, ...] | None:
    """The shape of a tensor or parameter; None for anything else."""
    if isinstance(value, Inert) and value.name == "torch._utils._rebuild_parameter" and value.arguments:
        value = value.arguments[0]
    if not (isinstance(value, Inert) and value.name.startswith("torch._utils._rebuild_tensor")):
        return None
    size = value.arguments[2] if len(value.arguments) > 2 else None
    whole = isinstance(size, tuple) and all(isinstance(side, int) for side in size)
    return size if whole else None


def _read_zip(path: Path) -> Checkpoint:
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        main = [name for name in entries if name.endswith("/data.pkl") or name == "data.pkl"]
        if len(main) != 1:
            raise WeightsError(f"{path.name}: a zip file, but not one of torch's: it holds no data.pkl")
        pickles = {}
        for name, entry in entries.items():
            if name.endswith(".pkl"):
                if entry.file_size > _LARGEST_PICKLE:
                    raise WeightsError(f"{path.name}: {name} is {entry.file_size >> 20} MiB, which no checkpoint needs")
                pickles[name.rpartition("/")[2]] = archive.read(entry)
        with archive.open(entries[main[0]]) as file:
            return Checkpoint(_Unpickler(file).load(), pickles)


def _read_legacy(file: IO[bytes]) -> Any:
    if file.read(1) != b"\x80":  # every pickle of torch's begins so; anything else would be read as old text
        raise WeightsError(f"{Path(file.name).name}: not a PyTorch file")
    file.seek(0)
    if _Unpickler(file).load() != _LEGACY_MAGIC:
        raise WeightsError(f"{Path(file.name).name}: a pickle, but not one of torch's")
    for _ in ("protocol", "system"):
        _Unpickler(file).load()
    return _Unpickler(file).load()


# The one in Python, not the one in C: that makes room for as many memos as a crafted pickle names.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return type("OrderedDict", (_Mapping,), {})
        return type(name.rpartition(".")[2] or "Inert", (Inert,), {"name": f"{module}.{name}"})

    def persistent_load(self, saved_id: Any) -> Any:
        if isinstance(saved_id, tuple) and saved_id[:1] == ("module",) and len(saved_id) > 1:
            return saved_id[1]  # a class, with its source beside it, of before torch 1.6
        return type("Storage", (Inert,), {"name": "storage"})(saved_id)
