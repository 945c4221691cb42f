"""Files that cannot or must not be loaded: each is named, with what is wrong, and nothing of it has run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kelp.card import Card, parse_card
from kelp.errors import KelpError
from predictors.common.errors import UntrustedWeights, WeightsError
from predictors.coralscop.checkpoint import read_checkpoint
from predictors.registry import make_model
from tests.coralscop import tiny


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The files once more, to be spoilt."""
    shutil.copytree(folder, tmp_path / "weights")
    return tmp_path / "weights"


def load(card: Card, cache: Path) -> None:
    """The whole way of a start: fetch, verify, read."""
    make_model(card, cache).load()


def test_what_trainings_leave_is_loaded(copy: Path, tmp_path: Path) -> None:
    """Under the names of a work_dir, with log buffers and optimizers beside the weights."""
    from mmengine.logging import MessageHub

    checkpoint = torch.load(copy / "best_mIoU.pth", weights_only=True)
    hub = MessageHub.get_instance("trained")
    hub.update_scalar("train/loss", np.float64(0.5))
    checkpoint["message_hub"] = hub.state_dict()
    checkpoint["optimizer"] = {"lr": np.float32(0.1), "rng": np.arange(3), "state": {0: {"step": 4}}}
    checkpoint["meta"] |= {"epoch": 140, "palette": np.zeros((4, 3)), "cfg": "model = dict()"}
    torch.save(checkpoint, copy / "best_mIoU.pth")
    torch.save(
        {"model": {f"module.{k}": v for k, v in tiny.small_sam().state_dict().items()}}, copy / "vit_coralscop.pth"
    )
    load(tiny.card_of(copy), tmp_path)


def test_what_a_checkpoint_says_is_never_run(copy: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'was-run'}",)

    for name in ("best_mIoU.pth", "vit_coralscop.pth"):
        content = torch.load(copy / name, weights_only=True)
        torch.save({"state_dict": content.get("state_dict", content), "extra": Evil()}, tmp_path / name)
        with pytest.raises(UntrustedWeights, match=f"{name}: cannot be read without running what it says"):
            read_checkpoint(tmp_path / name)
    assert not (tmp_path / "was-run").exists()


def test_names_that_are_not_trusted_get_a_stand_in(tmp_path: Path) -> None:
    """Evil under a name that torch does not block by itself: it is not called, and the tensors are read."""
    torch.save({"state_dict": {"a": torch.ones(2)}, "extra": _Noted(tmp_path / "was-run")}, tmp_path / "best.pth")
    assert read_checkpoint(tmp_path / "best.pth").tensors["a"].tolist() == [1, 1]
    assert not (tmp_path / "was-run").exists()


def _note(path: str) -> None:
    Path(path).touch()


class _Noted:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return _note, (str(self.path),)


@pytest.mark.parametrize("name", ["best_mIoU.pth", "vit_coralscop.pth"])
@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda data: data[: len(data) // 2], "not a whole PyTorch checkpoint"),
        (lambda data: b"", "not a whole PyTorch checkpoint"),
        (lambda data: b"<html>not found</html>", "cannot be read without running|not a whole PyTorch checkpoint"),
    ],
    ids=["half", "empty", "html"],
)
def test_a_corrupt_checkpoint(copy: Path, tmp_path: Path, name: str, spoil: Any, complaint: str) -> None:
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(spoil(data))
    with pytest.raises(WeightsError, match=f"{name}: ({complaint})"):
        load(tiny.card_of(copy), tmp_path)


@pytest.mark.parametrize("role", ["segformer_config", "segformer", "sam"])
def test_another_file_than_the_cards_sha256_names(copy: Path, tmp_path: Path, role: str) -> None:
    card = tiny.card_of(copy)
    file = copy / card.weights.files[role].file
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(KelpError, match=rf"{file.name}: wrong content: expected sha256 [0-9a-f]{{64}}"):
        load(card, tmp_path)


def test_a_config_is_loaded_only_with_its_sha256_in_the_card(folder: Path, tmp_path: Path) -> None:
    card = tiny.card_of(folder).model_dump(by_alias=True, exclude_defaults=True)
    del card["weights"]["files"]["segformer_config"]["sha256"]
    with pytest.raises(UntrustedWeights, match="the sha256 of segformer_config must stand in the card"):
        load(Card.model_validate(card), tmp_path)


@pytest.mark.parametrize("name", ["../config.py", "/etc/config.py", "sub/../../config.py"])
def test_a_config_outside_the_cards_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    card = tiny.card_of(folder).model_dump(by_alias=True, exclude_defaults=True)
    card["weights"]["files"]["segformer_config"]["file"] = name
    with pytest.raises(KelpError, match="expected a file name below the folder of the weights"):
        load(Card.model_validate(card), tmp_path)


def test_a_config_that_is_not_in_the_folder(copy: Path, tmp_path: Path) -> None:
    card = tiny.card_of(copy)
    (copy / "config.py").unlink()
    with pytest.raises(KelpError, match=r"config\.py: no such file \(weights of the role 'segformer_config'\)"):
        load(card, tmp_path)


def test_a_config_that_changes_after_it_was_verified_is_not_run(copy: Path, tmp_path: Path) -> None:
    card = tiny.card_of(copy)
    made = make_model(card, tmp_path)
    (copy / "config.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')\n" + tiny.CONFIG)
    with pytest.raises(UntrustedWeights, match=r"config\.py: has changed since its sha256 was checked"):
        made.load()
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("line", ["_base_ = ['./base.py']", "with read_base():\n    from .base import *"])
def test_a_config_that_builds_on_others_is_refused_unrun(copy: Path, tmp_path: Path, line: str) -> None:
    (copy / "base.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')\n")
    (copy / "config.py").write_text(f"{line}\n{tiny.CONFIG}")
    with pytest.raises(UntrustedWeights, match=r"config\.py: builds on other files"):
        load(tiny.card_of(copy), tmp_path)
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ("model = dict(", "not Python"),
        ("raise RuntimeError('mine')", "RuntimeError: mine"),
        ("raise RuntimeError", r"config\.py: its code fails: RuntimeError, and does not say why"),
        ("numbers = [1, 2]", r"expected an mmsegmentation config with `model = dict\(type=…\)`"),
        (tiny.CONFIG.replace("'SegformerHead'", "'OtherHead'"), "OtherHead"),
        (tiny.CONFIG.replace("type='Resize'", "type='Rescale2'"), "test_pipeline: .*Rescale2"),
        ("custom_imports = dict(imports=['not_installed_here'])\n" + tiny.CONFIG, "not_installed_here"),
        (tiny.CONFIG.replace("num_classes=4", "num_classes=7"), r"best_mIoU\.pth: does not fit config\.py"),
        (tiny.CONFIG.replace("depth=5", "depth=6"), r"does not fit config\.py: \d+ tensors are missing"),
    ],
)
def test_a_config_that_cannot_be_used(copy: Path, tmp_path: Path, config: str, complaint: str) -> None:
    (copy / "config.py").write_text(config)
    with pytest.raises(WeightsError, match=complaint):
        load(tiny.card_of(copy), tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: {k: v for k, v in t.items() if "neck" not in k}, "no Segment Anything checkpoint: it lacks"),
        (lambda t: {"weight": torch.ones(3)}, "no Segment Anything checkpoint: it lacks"),
        (lambda t: t | {"image_encoder.neck.2.weight": torch.ones(3)}, "do not fit together"),
        (lambda t: t | {"another.weight": torch.ones(3)}, "do not fit together"),
        (lambda t: {"weight": 3}, "expected a state dict, names with a tensor each"),
        (lambda t: {}, "expected a state dict, names with a tensor each"),
    ],
)
def test_weights_that_are_no_sam(copy: Path, tmp_path: Path, change: Any, complaint: str) -> None:
    torch.save(change(dict(tiny.small_sam().state_dict())), copy / "vit_coralscop.pth")
    with pytest.raises(WeightsError, match=f"vit_coralscop.pth: .*{complaint}"):
        load(tiny.card_of(copy), tmp_path)


@pytest.mark.parametrize("role", ["segformer_config", "segformer", "sam"])
def test_a_missing_role_is_named(folder: Path, tmp_path: Path, role: str) -> None:
    card = tiny.card_of(folder).model_dump(by_alias=True, exclude_defaults=True)
    del card["weights"]["files"][role]
    with pytest.raises(WeightsError, match=f"missing: {role}"):
        load(Card.model_validate(card), tmp_path)


def test_another_task_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="runtime 'coralscop' has the task segment, not 'detect'"):
        load(tiny.card_of(folder, task="detect"), tmp_path)


def test_labels_that_the_weights_lack(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="labels Favites are none of the weights' classes"):
        load(tiny.card_of(folder, labels=("Favites",)), tmp_path)


def test_cuda_that_is_not_there(folder: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(WeightsError, match="the card demands device 'cuda'"):
        load(tiny.card_of(folder, device="cuda"), tmp_path)


def test_a_manifest_vouches_for_its_files(copy: Path, tmp_path: Path) -> None:
    """A card that pins a folder's manifest need not list the folder's files."""
    import json

    files = {role: entry.model_dump() for role, entry in tiny.card_of(copy).weights.files.items()}
    (copy / "kelp-weights.json").write_text(json.dumps(files))
    text = "name: corals\nruntime: coralscop\ntask: segment\nweights: {uri: " + str(copy)
    card = parse_card(text + ", sha256: " + tiny.sha256(copy / "kelp-weights.json") + "}")
    load(card, tmp_path)
    with pytest.raises(UntrustedWeights, match="sha256 of segformer_config"):
        load(parse_card(text + "}"), tmp_path)
