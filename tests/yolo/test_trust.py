"""A crafted checkpoint runs nothing: it is refused before a byte of it is unpickled. Honest ones of any age load."""

from __future__ import annotations

import importlib
import inspect
import io
import os
import pickle
import pickletools
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ultralytics.nn.modules import block, conv, head, transformer
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import IterableSimpleNamespace
from ultralytics.utils.loss import v8SegmentationLoss

from predictors.common.errors import UntrustedWeights, WeightsError
from predictors.yolo.checkpoint.names import ALLOWED
from predictors.yolo.checkpoint.read import read_checkpoint
from predictors.yolo.checkpoint.resolve import resolve
from predictors.yolo.checkpoint.scan import scan_pickle
from tests.yolo.models import REEF, ask, load

GOOD = REEF / "pth-yolo-coralsegv4.pt"
# Python's own name for os.system's module.
SYSTEM = f"{os.system.__module__} system"


class Runs:
    """Unpickling this calls `function(*arguments)`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> Any:
        return self._reduced


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that the attacks try to make."""
    return tmp_path / "was-run"


def touching(marker: Path) -> Runs:
    return Runs(os.system, f"touch {marker}")


def zipped(path: Path, data: bytes, **others: bytes) -> Path:
    """A checkpoint in torch's zip format whose data.pkl is `data`."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        for name, content in others.items():
            archive.writestr(f"archive/{name.replace('__', '.')}", content)
        archive.writestr("archive/version", "3\n")
    return path


def assert_refused(path: Path, marker: Path, match: str = "refused unread") -> None:
    with pytest.raises(UntrustedWeights, match=match):
        read_checkpoint(path)
    assert not marker.exists()


def test_the_attack_is_real(tmp_path: Path, marker: Path) -> None:
    """What the other tests refuse does run where nobody looks."""
    torch.save({"model": touching(marker)}, tmp_path / "evil.pt")
    torch.load(tmp_path / "evil.pt", weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_command_is_never_run(tmp_path: Path, marker: Path, new_format: bool, protocol: int) -> None:
    content = {"model": None, "train_args": {"imgsz": 640}, "epoch": touching(marker)}
    torch.save(content, tmp_path / "evil.pt", _use_new_zipfile_serialization=new_format, pickle_protocol=protocol)
    assert_refused(tmp_path / "evil.pt", marker, "system")


@pytest.mark.parametrize("part", range(5))
def test_no_pickle_of_the_legacy_format_is_trusted(tmp_path: Path, marker: Path, part: int) -> None:
    """Magic number, protocol, system, content and keys are five pickles, read one after the other."""
    honest = io.BytesIO()
    torch.save({"epoch": 1}, honest, _use_new_zipfile_serialization=False)
    pickles, data = [], honest.getvalue()
    for _ in range(5):
        end = scan_pickle(data, "honest")
        pickles.append(data[:end])
        data = data[end:]
    pickles[part] = pickle.dumps(touching(marker), 2)
    (tmp_path / "evil.pt").write_bytes(b"".join(pickles) + data)
    assert_refused(tmp_path / "evil.pt", marker)


def command(marker: Path) -> bytes:
    return f"touch {marker}".encode()


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


EVASIONS: dict[str, Callable[[bytes], bytes]] = {
    # A name put together while unpickling, so that it stands nowhere in the file.
    "computed name": lambda c: (
        b"\x80\x04cbuiltins\ngetattr\n(" + text(b"posix") + b"cbuiltins\nstr\n\x86R" + text(b"system") + b"\x93." + c
    ),
    "name from a list": lambda c: (
        b"\x80\x04](" + text(b"posix") + b"e" + text(b"system") + b"\x93" + text(c) + b"\x85R."
    ),
    "name through the memo": lambda c: (
        b"\x80\x04" + text(b"posix") + b"q\x05" + text(b"system") + b"q\x06" + b"h\x05h\x06\x93" + text(c) + b"\x85R."
    ),
    "name through a memo that was overwritten": lambda c: (
        b"\x80\x04"
        + text(b"torch")
        + b"q\x05"
        + text(b"posix")
        + b"q\x05"
        + b"h\x05"
        + text(b"system")
        + b"\x93"
        + text(c)
        + b"\x85R."
    ),
    "INST": lambda c: b"(S'" + c + b"'\niposix\nsystem\n.",
    "OBJ": lambda c: b"(cposix\nsystem\n" + text(c) + b"o.",
    "extension registry": lambda c: b"\x80\x02\x82\x01" + text(c) + b"\x85R.",
    "text opcodes": lambda c: b"cos\nsystem\n(S'" + c + b"'\ntR.",
    "escaped name": lambda c: b"\x80\x02cbuiltins\neval\n" + text(b"__import__('os').system('" + c + b"')") + b"\x85R.",
    "dotted name": lambda c: b"\x80\x04" + text(b"torch") + text(b"os.system") + b"\x93" + text(c) + b"\x85R.",
    "after the end of the first pickle": lambda c: b"\x80\x02}" + b"cposix\nsystem\n" + text(c) + b"\x85R.",
    "attribute of an allowed class": lambda c: (
        b"\x80\x02c__builtin__\ngetattr\nctorch.nn.modules.linear\nLinear\n"
        + text(b"__init__")
        + b"\x86R"
        + text(c)
        + b"\x85R."
    ),
    "attribute of a module": lambda c: (
        b"\x80\x02cbuiltins\ngetattr\ncbuiltins\ngetattr\n" + text(b"forward") + b"\x86R" + text(c) + b"\x85R."
    ),
    "state for a function": lambda c: (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}" + text(b"__code__") + text(c) + b"s\x86b."
    ),
    "items for an object": lambda c: b"\x80\x02ctorch.nn.modules.container\nModuleList\n)\x81" + text(c) + b"a.",
    "persistent id of a class": lambda c: (
        b"\x80\x02" + text(b"module") + b"cposix\nsystem\nNN(t\x85Q" + text(c) + b"\x85R."
    ),
    "numpy's loader": lambda c: b"\x80\x02cnumpy\nload\n" + text(c) + b"\x85R.",
    "torch's hub": lambda c: b"\x80\x02ctorch.hub\nload\n" + text(c) + b"\x85R.",
    "a function of ultralytics": lambda c: (
        b"\x80\x02cultralytics.utils.checks\ncheck_requirements\n" + text(c) + b"\x85R."
    ),
}


@pytest.mark.parametrize("evasion", EVASIONS)
def test_evasions(tmp_path: Path, marker: Path, evasion: str) -> None:
    assert_refused(zipped(tmp_path / "evil.pt", EVASIONS[evasion](command(marker))), marker)


def test_the_constructor_of_a_model_is_not_called(tmp_path: Path, marker: Path) -> None:
    """It evaluates the text `activation` of its plan: the class must be allowed, calling it must not."""
    plan = {"nc": 1, "activation": f"__import__('os').system('touch {marker}')", "backbone": [], "head": []}
    torch.save({"model": Runs(DetectionModel, plan)}, tmp_path / "evil.pt")
    assert_refused(tmp_path / "evil.pt", marker, "a call of ultralytics.nn.tasks.DetectionModel")


def test_classes_are_no_data(tmp_path: Path, marker: Path) -> None:
    """A class as a layer's activation would be called with what the layer before it answers."""
    layer = conv.Conv(3, 3)
    layer.__dict__["act"] = DetectionModel
    torch.save({"model": layer}, tmp_path / "evil.pt")
    assert_refused(tmp_path / "evil.pt", marker, "DetectionModel where only data belongs")


def test_every_pickle_in_the_archive_is_looked_at(tmp_path: Path, marker: Path) -> None:
    evil = pickle.dumps(touching(marker), 2)
    assert_refused(zipped(tmp_path / "evil.pt", pickle.dumps({}, 2), other__pkl=evil), marker)


def test_the_entry_that_is_scanned_is_the_one_that_is_read(tmp_path: Path, marker: Path) -> None:
    """Two entries of one name, or of one name in another case: readers of zip files differ in which they take."""
    evil, good = pickle.dumps(touching(marker), 2), pickle.dumps({"epoch": 1}, 2)
    for number, entries in enumerate(
        ([("data.pkl", evil), ("data.pkl", good)], [("data.pkl", good), ("DATA.PKL", evil)])
    ):
        for turn, ordered in enumerate((entries, entries[::-1])):
            path = tmp_path / f"{number}{turn}.pt"
            with zipfile.ZipFile(path, "w") as archive, pytest.MonkeyPatch.context() as patch:
                patch.setattr("warnings.warn", lambda *a, **k: None)
                for name, data in ordered:
                    archive.writestr(f"archive/{name}", data)
            with suppress(WeightsError):
                read_checkpoint(path)
            assert not marker.exists()


def test_files_that_are_two_things_at_once(tmp_path: Path, marker: Path) -> None:
    evil = pickle.dumps(touching(marker), 2)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            entry = tarfile.TarInfo(name)
            entry.size = len(evil)
            archive.addfile(entry, io.BytesIO(evil))
    (tmp_path / "tar.pt").write_bytes(tar.getvalue())
    assert_refused(tmp_path / "tar.pt", marker, "tar")
    # A pickle with a whole zip behind it: a zip to those who look for its directory at the end.
    zipped(tmp_path / "inner.pt", pickle.dumps({"epoch": 1}, 2))
    (tmp_path / "both.pt").write_bytes(evil + (tmp_path / "inner.pt").read_bytes())
    assert_refused(tmp_path / "both.pt", marker)


def test_torchscript_is_refused_with_a_word_for_people(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / "script.pt")
    with pytest.raises(WeightsError, match="TorchScript archive, expected ultralytics' own checkpoint"):
        read_checkpoint(tmp_path / "script.pt")


def test_a_tensor_larger_than_its_bytes_reads_no_memory_beside_it(tmp_path: Path) -> None:
    torch.save({"model": torch.zeros(4)}, tmp_path / "short.pt")
    with zipfile.ZipFile(tmp_path / "short.pt") as archive:
        data = archive.read("short/data.pkl")
    # Four items become 200.
    assert data.count(b"K\x04") >= 2
    zipped(tmp_path / "evil.pt", data.replace(b"K\x04", b"K\xc8"), **{"data/0": bytes(16)})
    with pytest.raises(WeightsError, match="a tensor of 800 bytes, of which 16 are there"):
        read_checkpoint(tmp_path / "evil.pt")


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "no pickle"])
def test_damaged_files_are_clear_errors(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "damaged.pt"
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
        case "cut":
            path.write_bytes(GOOD.read_bytes()[:-1000])
        case _:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/version", "3\n")
    with pytest.raises(WeightsError, match=r"damaged\.pt"):
        read_checkpoint(path)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner) | st.sets(st.integers())
    ),
)


@given(value=PLAIN, protocol=st.sampled_from([2, 3, 4, 5]))
def test_plain_data_passes_and_ends_where_the_pickle_ends(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    # Python's own reader says which instructions there are: long integers as text belong to none of torch's files.
    assert scan_pickle(data + b"rest", "plain") == len(data)


@given(value=PLAIN, protocol=st.sampled_from([2, 4]), data=st.data())
def test_a_foreign_name_anywhere_is_refused(value: Any, protocol: int, data: st.DataObject) -> None:
    good = pickle.dumps([value, "end"], protocol)
    places = [position for _, _, position in pickletools.genops(good) if position is not None]
    at = data.draw(st.sampled_from(places[1:]))
    with pytest.raises(UntrustedWeights):
        scan_pickle(good[:at] + b"cposix\nsystem\n" + good[at:], "evil")


@cache
def small_checkpoint() -> bytes:
    """A pickle with all that checkpoints are made of, few bytes long."""
    saved = io.BytesIO()
    content = {"model": torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1)), "names": {0: "coral"}, "rate": np.float64(0.5)}
    torch.save(content, saved)
    with zipfile.ZipFile(saved) as archive:
        return archive.read("archive/data.pkl")


class Witness(pickle.Unpickler):
    """Python's own unpickler: what names does it come across?"""

    def find_class(self, module: str, name: str) -> Any:
        self.seen = [*getattr(self, "seen", []), (module, name)]
        return resolve(module, name)

    def persistent_load(self, saved_id: Any) -> Any:
        return torch.storage.TypedStorage(4, dtype=torch.float32)


@settings(max_examples=400)
@given(changes=st.lists(st.tuples(st.integers(0), st.integers(0, 2), st.binary(min_size=1, max_size=3)), max_size=4))
def test_what_passes_means_the_same_to_pythons_own_reader(changes: list[tuple[int, int, bytes]]) -> None:
    """Damage of any kind: a pickle that is let through names nothing that was not looked at."""
    data = small_checkpoint()
    for place, removed, inserted in changes:
        at = place % len(data)
        data = data[:at] + inserted + data[at + removed :]
    try:
        scan_pickle(data, "damaged")
    except UntrustedWeights:
        return
    witness = Witness(io.BytesIO(data))
    with suppress(Exception):  # damaged, and so not to be read to its end
        witness.load()
    assert set(getattr(witness, "seen", [])) <= set(ALLOWED)


def test_the_list_holds_layers_only_and_all_that_yolo_is_made_of() -> None:
    for (module, name), role in ALLOWED.items():
        if role == "layer" and (module, name) != ("ultralytics.nn.modules", name):
            assert issubclass(resolve(module, name), torch.nn.Module)
        elif role == "stand-in" and name != "v10DetectLoss":
            assert inspect.isclass(getattr(importlib.import_module(module), name))
    for module in (block, conv, transformer, head):
        made_of = {
            name
            for name, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, torch.nn.Module) and value.__module__ == module.__name__
        }
        listed = {name for where, name in ALLOWED if where == module.__name__}
        # Of other tasks, of models that read text, or with a constructor that loads from the network.
        others = {
            "Classify", "DeformableTransformerDecoder", "DeformableTransformerDecoderLayer", "Depth", "LRPCHead",
            "MSDeformAttn", "OBB", "OBB26", "RTDETRDecoder", "SemanticSegment", "TorchVision", "WorldDetect",
            "YOLOEDetect", "YOLOESegment", "YOLOESegment26",
        }  # fmt: skip
        assert made_of - listed <= others


@pytest.mark.parametrize(
    "how", [{}, {"pickle_protocol": 4}, {"_use_new_zipfile_serialization": False}], ids=["zip", "protocol 4", "legacy"]
)
def test_honest_checkpoints_load_in_every_format(tmp_path: Path, how: dict[str, Any]) -> None:
    # Trusted here: the project's own file.
    original = torch.load(GOOD, map_location="cpu", weights_only=False)
    torch.save(original, tmp_path / "again.pt", **how)
    read = read_checkpoint(tmp_path / "again.pt")
    assert read["train_args"] == original["train_args"]
    ours, theirs = read["model"].state_dict(), original["model"].state_dict()
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype
        assert torch.equal(ours[name], tensor)
    image = np.full((384, 384, 3), 90, np.uint8)
    (a,), (b,) = ask(load(tmp_path / "again.pt"), [image], conf=0.01), ask(load(GOOD), [image], conf=0.01)
    np.testing.assert_array_equal(a.box, b.box)


def test_what_unfinished_and_early_trainings_leave_in_a_checkpoint(tmp_path: Path) -> None:
    original = torch.load(GOOD, map_location="cpu", weights_only=False)
    model = original["model"].float()
    model.args = IterableSimpleNamespace(box=7.5, cls=0.5, dfl=1.5, overlap_mask=True)
    model.criterion = v8SegmentationLoss(model)
    model.model[-1].detect = head.Detect.forward
    optimizer = torch.optim.AdamW(model.parameters())
    torch.save(
        original
        | {
            "ema": model.half(),
            "model": None,
            "best_fitness": np.float64(0.5),
            "train_metrics": {"map": np.float32(0.25), "curve": np.arange(3.0)},
            "optimizer": optimizer.state_dict(),
            "train_args": {"imgsz": 384, "data": Path("data.yaml")},
            "more": OrderedDict(a=torch.float16, b=torch.device("cpu"), c=frozenset({1}), d=b"bytes"),
        },
        tmp_path / "last.pt",
    )
    read = read_checkpoint(tmp_path / "last.pt")
    assert read["train_metrics"].keys() == {"map", "curve"}
    assert str(read["train_args"]["data"]) == "data.yaml"
    assert dict(read["more"]) == {"a": torch.float16, "b": torch.device("cpu"), "c": frozenset({1}), "d": b"bytes"}
    assert load(tmp_path / "last.pt").engine.facts.task == "segment"
