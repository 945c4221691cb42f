"""Training on the reef: measuring is fair, cards are renewed, and what was killed goes on."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from demo.reef import GENUS_NAMES, Scene, render
from demo.training.card import sha256, update_card, write_sums
from demo.training.dataset import build
from demo.training.evaluate import Tally, box_overlaps, mask_overlaps, match
from demo.training.recipes import BANGGAI, CORALSEG, TINY_DETECT, TINY_POSE


@pytest.fixture(scope="module")
def scene() -> Scene:
    return render(30_000, 320)


def tally_of(scene: Scene, kinds: np.ndarray, scores: np.ndarray, masks: np.ndarray) -> Tally:
    tally = Tally()
    match(tally, scene.genus_ids, kinds, scores, mask_overlaps(masks, scene.instances, len(scene)))
    return tally


def all_masks(scene: Scene) -> np.ndarray:
    return np.stack([scene.mask(colony) for colony in range(len(scene))])


def test_the_truth_itself_scores_one(scene: Scene) -> None:
    tally = tally_of(scene, scene.genus_ids, np.ones(len(scene), np.float32), all_masks(scene))
    assert (tally.f1, tally.precision, tally.recall, tally.mean_iou, tally.mean_iou_of_truth) == (1, 1, 1, 1, 1)


def test_the_wrong_genus_does_not_count(scene: Scene) -> None:
    tally = tally_of(scene, (scene.genus_ids + 1) % 16, np.ones(len(scene), np.float32), all_masks(scene))
    assert tally.f1 == 0


def test_finding_a_colony_twice_is_one_find_too_many(scene: Scene) -> None:
    kinds, masks = np.tile(scene.genus_ids, 2), np.concatenate([all_masks(scene)] * 2)
    tally = tally_of(scene, kinds, np.linspace(1, 0.3, len(kinds), dtype=np.float32), masks)
    assert tally.recall == 1
    assert tally.precision == pytest.approx(0.5)


def test_the_surer_find_comes_first(scene: Scene) -> None:
    """Of two finds on one colony the one with the higher score takes it, though the other lies better."""
    mask = scene.mask(0)
    half = mask & (np.cumsum(mask).reshape(mask.shape) > 0.4 * mask.sum())
    kinds = np.repeat(scene.genus_ids[:1], 2)
    tally = tally_of(scene, kinds, np.array([0.3, 0.9], np.float32), np.stack([mask, half]))
    assert tally.matched.sum() == 1
    assert tally.mean_iou == pytest.approx(half.sum() / mask.sum())


def test_no_finds_at_all(scene: Scene) -> None:
    none = np.zeros(0)
    tally = tally_of(scene, none.astype(np.int32), none.astype(np.float32), np.zeros((0, 320, 320), bool))
    assert tally.f1 == 0
    assert tally.true.sum() == len(scene)


def test_box_overlaps_of_half_open_boxes() -> None:
    found = np.array([[0, 0, 10, 10], [10, 0, 20, 10]], float)
    true = np.array([[0, 0, 10, 10], [5, 0, 15, 10]], float)
    np.testing.assert_allclose(box_overlaps(found, true), [[1, 1 / 3], [0, 1 / 3]])


def test_a_card_gets_its_sha256_and_quality_and_keeps_the_rest(tmp_path: Path) -> None:
    weights = tmp_path / "w.onnx"
    weights.write_bytes(b"weights")
    card = tmp_path / "card.yaml"
    card.write_text(f"# why\nname: a\nweights:\n  uri: w.onnx\n  sha256: {'0' * 64}\nquality: {{}}\n")
    for f1 in (0.6, 0.8):
        update_card(card, [weights], {"f1": f1})
    text = card.read_text()
    assert text.startswith("# why\nname: a\n")
    assert yaml.safe_load(text) == {
        "name": "a",
        "weights": {"uri": "w.onnx", "sha256": sha256(weights)},
        "quality": {"f1": 0.8},
    }
    write_sums(tmp_path)
    subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)


def test_a_card_of_several_files_gets_each_ones_sha256(tmp_path: Path) -> None:
    files = [tmp_path / "model.onnx", tmp_path / "template.npy"]
    for file in files:
        file.write_bytes(file.name.encode())
    card = tmp_path / "card.yaml"
    entries = "".join(f"    {file.stem}: {{file: {file.name}, sha256: {'f' * 64}}}\n" for file in files)
    card.write_text(f"weights:\n  uri: .\n  files:\n{entries}quality: {{}}\n")
    update_card(card, files, {"error": 1})
    told = yaml.safe_load(card.read_text())
    assert {entry["file"]: entry["sha256"] for entry in told["weights"]["files"].values()} == {
        file.name: sha256(file) for file in files
    }
    (tmp_path / "other.npy").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"expected one sha256 of other\.npy, found 0"):
        update_card(card, [files[0], tmp_path / "other.npy"], {})


def test_a_card_that_cannot_be_renewed_is_left_alone(tmp_path: Path) -> None:
    weights = tmp_path / "w.onnx"
    weights.write_bytes(b"weights")
    card = tmp_path / "card.yaml"
    text = f"weights:\n  sha256: {'0' * 64}\nquality: {{}}\nlabels: []\n"
    card.write_text(text)
    with pytest.raises(ValueError, match="quality as the last block"):
        update_card(card, [weights], {"f1": 1})
    assert card.read_text() == text


def test_pictures_are_borrowed_with_the_labels_that_are_wanted(tmp_path: Path) -> None:
    small = {"pictures": 2, "validation_pictures": 1, "photographed_px": (128,)}
    list(build(replace(CORALSEG, **small), tmp_path / "all", 1))
    list(build(replace(BANGGAI, **small), tmp_path / "ten", 1, tmp_path / "all"))
    list(build(replace(BANGGAI, **small), tmp_path / "rendered", 1))
    kept = 0
    for label in sorted((tmp_path / "all" / "labels").rglob("*.txt")):
        inner = label.relative_to(tmp_path / "all")
        borrowed = (tmp_path / "ten" / inner).read_text()
        assert borrowed == (tmp_path / "rendered" / inner).read_text()
        lines = [line.split(" ", 1) for line in label.read_text().splitlines()]
        wanted = [(GENUS_NAMES[int(kind)], rest) for kind, rest in lines if GENUS_NAMES[int(kind)] in BANGGAI.genera]
        found = [line.split(" ", 1) for line in borrowed.splitlines()]
        assert [(BANGGAI.genera[int(kind)], rest) for kind, rest in found] == wanted
        kept += len(wanted)
    assert kept
    names = yaml.safe_load((tmp_path / "ten" / "data.yaml").read_text())["names"]
    assert names == list(BANGGAI.genera)


@pytest.mark.parametrize(("recipe", "numbers"), [(CORALSEG, None), (TINY_DETECT, 4), (TINY_POSE, 4 + 4 * 3)])
def test_pictures_are_rendered_once_with_labels_inside_them(recipe, numbers: int | None, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    small = replace(recipe, pictures=4, validation_pictures=1, photographed_px=(96, 128))
    assert list(build(small, tmp_path, 1))[-1] == (5, 5)
    labels = sorted((tmp_path / "labels").rglob("*.txt"))
    assert len(labels) == len(list((tmp_path / "images").rglob("*.jpg"))) == 5
    for label in labels:
        for line in label.read_text().splitlines():
            kind, *values = line.split()
            assert 0 <= int(kind) < 16
            assert numbers is None or len(values) == numbers
            places = np.array(values[: 4 if recipe.task == "pose" else None], float)
            assert places.min() >= 0
            assert places.max() <= 1
    before = {label: label.stat().st_mtime_ns for label in labels}
    labels[0].unlink()
    assert list(build(small, tmp_path, 1)) == [(4, 5), (5, 5)]
    after = {label: label.stat().st_mtime_ns for label in labels}
    assert {label for label in labels if before[label] != after[label]} == {labels[0]}


RUN = """
import sys
from dataclasses import replace
from pathlib import Path
if __name__ == "__main__":
    from demo.training.offline import prepare
    folder = Path(sys.argv[1])
    prepare(folder / "ultralytics")
    from demo.training.dataset import build
    from demo.training.recipes import TINY_DETECT
    from demo.training.train import train
    small = {"pictures": 24, "validation_pictures": 2, "photographed_px": (96,), "imgsz": 64, "epochs": 4, "batch": 2}
    recipe = replace(TINY_DETECT, **small)
    list(build(recipe, folder / "data", 1))
    print(train(recipe, folder / "data" / "data.yaml", folder))
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_last_epoch(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    rows = tmp_path / "train" / "results.csv"
    first = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=Path.cwd()
    )
    deadline = time.monotonic() + 240
    while not (tmp_path / "train" / "weights" / "kept.pt").exists():
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not (tmp_path / "done.txt").exists()
    before = list(csv.DictReader(rows.open()))
    assert before

    second = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert second.returncode == 0, second.stderr[-2000:]
    after = list(csv.DictReader(rows.open()))
    assert {int(row["epoch"]) for row in after} == {1, 2, 3, 4}
    assert after[0] == before[0], "the first epoch was trained again: its losses and its time are others"
    assert (tmp_path / "done.txt").exists()
