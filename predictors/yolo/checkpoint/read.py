"""A checkpoint's two file formats: torch's zip (since 1.6), and the pickles one behind the other of before.

What is scanned is, byte for byte, what is unpickled: both come out of one buffer.
"""

from __future__ import annotations

import io
import pickle
import sys
import tarfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from predictors.common.errors import UntrustedWeights, WeightsError
from predictors.yolo.checkpoint.resolve import resolve
from predictors.yolo.checkpoint.scan import scan_pickle

_ZIP = b"PK\x03\x04"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_LEGACY_PICKLES = ("magic number", "protocol", "system", "content", "storage keys")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The checkpoint's content, its tensors on the CPU.

    UntrustedWeights before anything is unpickled, if a pickle asks for more than YOLO's checkpoints need; WeightsError
    if the file is no checkpoint, is cut short, or is a TorchScript archive.
    """
    try:
        with path.open("rb") as file:
            is_zip = file.read(4) == _ZIP
        content = _read_zip(path) if is_zip else _read_legacy(path)
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"{path.name}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged file fails anywhere in the readers of torch, pickle and numpy
        raise WeightsError(f"{path.name}: not a whole PyTorch checkpoint ({type(error).__name__}: {error})") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path.name}: expected ultralytics' dict of a checkpoint, got {type(content).__name__}")
    return content


def _read_zip(path: Path) -> Any:
    # torch's own reader, so that nobody sees another entry under the same name than is used here.
    reader = torch._C.PyTorchFileReader(str(path))
    records: list[str] = reader.get_all_records()
    if "constants.pkl" in records:
        raise WeightsError(
            f"{path.name}: a TorchScript archive, expected ultralytics' own checkpoint (`best.pt` of a training)"
        )
    pickles = {name: bytes(reader.get_record(name)) for name in records if name.endswith(".pkl")}
    for name, data in pickles.items():
        scan_pickle(data, f"{path.name}: {name}")
    foreign = reader.has_record("byteorder") and bytes(reader.get_record("byteorder")).decode() != sys.byteorder

    def stored(dtype: torch.dtype, key: str, size: int) -> torch.UntypedStorage:
        storage = _storage_of(bytes(reader.get_record(f"data/{key}")), size)
        if foreign:
            storage.byteswap(dtype)
        return storage

    return _Unpickler(io.BytesIO(pickles["data.pkl"]), stored).load()


def _read_legacy(path: Path) -> Any:
    data = path.read_bytes()
    _refuse_tar(data, path.name)
    ends = [0]
    for part in _LEGACY_PICKLES:
        ends.append(scan_pickle(data, f"{path.name}: {part}", ends[-1]))
    magic, protocol, _, content, keys = (io.BytesIO(data[start:end]) for start, end in pairwise(ends))
    if (_Unpickler(magic).load(), _Unpickler(protocol).load()) != (_LEGACY_MAGIC, _LEGACY_PROTOCOL):
        raise WeightsError(f"{path.name}: not a PyTorch checkpoint")
    storages: dict[str, torch.UntypedStorage] = {}
    item_bytes: dict[str, int] = {}

    def stored(dtype: torch.dtype, key: str, size: int) -> torch.UntypedStorage:
        item_bytes[key] = dtype.itemsize
        return storages.setdefault(key, torch.UntypedStorage(size))

    result = _Unpickler(content, stored).load()
    # The numbers stand behind the pickles: of each storage its length in items, then the items.
    at = ends[-1]
    for key in _Unpickler(keys).load():
        size = int.from_bytes(data[at : at + 8], "little") * item_bytes[key]
        storages[key].copy_(_storage_of(data[at + 8 : at + 8 + size], storages[key].nbytes()))
        at += 8 + size
    return result


def _refuse_tar(data: bytes, name: str) -> None:
    try:
        tarfile.open(fileobj=io.BytesIO(data), mode="r:").close()
    except tarfile.TarError:
        return
    raise UntrustedWeights(f"{name}: refused unread: a tar archive, which no YOLO checkpoint is")


def _storage_of(data: bytes, size: int) -> torch.UntypedStorage:
    """The first `size` bytes; a file that promises more than it holds would have memory beside it read."""
    if size < 0 or len(data) < size:
        raise ValueError(f"a tensor of {size} bytes, of which {len(data)} are there")
    if size == 0:
        return torch.UntypedStorage(0)
    return torch.frombuffer(bytearray(data[:size]), dtype=torch.uint8).untyped_storage()


class _Unpickler(pickle.Unpickler):
    """Unpickles what has been scanned. Its own list is the second line of defence."""

    def __init__(
        self, file: io.BytesIO, stored: Callable[[torch.dtype, str, int], torch.UntypedStorage] | None = None
    ) -> None:
        super().__init__(file)
        self._stored = stored
        self._typed: dict[str, torch.storage.TypedStorage] = {}

    def find_class(self, module: str, name: str) -> Any:
        return resolve(module, name)

    def persistent_load(self, saved_id: Any) -> Any:
        if saved_id[0] == "module":
            return saved_id[1]
        _, dtype, key, _, items, *view = saved_id
        if self._stored is None or any(view):
            raise ValueError("a tensor's storage where none belongs")
        if key not in self._typed:
            storage = self._stored(dtype, key, items * dtype.itemsize)
            self._typed[key] = torch.storage.TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)
        return self._typed[key]
