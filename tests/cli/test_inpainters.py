"""`infer`, `invoke`, `verify` and `bench` of an inpainter: what is removed is said by a mask or by a grid's points."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from kelp.cli.exits import UsageError
from kelp.cli.painting import Painted, faults_of
from kelp.cli.removals import Removal, even_grid, removals_of
from tests.cli.conftest import Kelp


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two light pictures, one JPEG turned by EXIF, one PNG."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.jpg", "b.png"):
        cv2.imwrite(str(folder / name), np.full((40, 60, 3), 200, np.uint8))
    from PIL import Image

    with Image.open(folder / "a.jpg") as picture:
        exif = picture.getexif()
        exif[0x0112] = 6
        picture.save(folder / "a.jpg", exif=exif)
    return folder


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """One for each picture, a bar of it to be filled."""
    folder = tmp_path / "masks"
    folder.mkdir()
    for name, (height, width) in {"a.png": (60, 40), "b.png": (40, 60)}.items():
        mask = np.zeros((height, width), np.uint8)
        mask[10:20] = 255
        cv2.imwrite(str(folder / name), mask)
    return folder


@pytest.mark.parametrize("command", ["infer", "invoke"])
def test_pictures_come_back_filled(kelp: Kelp, images: Path, masks: Path, tmp_path: Path, command: str) -> None:
    how = ["infer", "painter", images] if command == "infer" else ["invoke", "painter", "--image", images / "b.png"]
    done = kelp(*how, "--mask", masks, "--save", tmp_path / "out", "-o", "json")
    assert done.returncode == 0, done.stderr
    results = {Path(result["image"]).name: result for result in json.loads(done.stdout)}
    assert results["b.png"]["filled_percent"] == 25.0
    assert Path(results["b.png"]["saved"]).name == "b.png"
    saved = cv2.imread(results["b.png"]["saved"])
    assert (saved[10:20] == 0).all()
    assert (saved[20:] == 200).all()
    if command == "infer":
        assert (results["a.jpg"]["width"], results["a.jpg"]["height"]) == (40, 60)
        assert Path(results["a.jpg"]["saved"]).name == "a.png"  # as the model made it: without loss


def test_of_a_lossy_answer_only_the_mask_tells_what_was_filled(
    kelp: Kelp, images: Path, masks: Path, tmp_path: Path
) -> None:
    lossy = ("infer", "painter", images / "b.png", "--set", "format=jpeg")
    done = kelp(*lossy, "--mask", masks, "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["filled_percent"] == 25.0
    grid = even_grid((60, 40), (9, 13)).points
    assert grid is not None
    (tmp_path / "points.json").write_text(json.dumps(grid.tolist()))
    done = kelp(*lossy, "--points", tmp_path / "points.json")
    assert (done.returncode, done.stdout.splitlines()[1].split()[1]) == (0, "-")


def test_points_by_name_or_as_a_pose_was_answered(kelp: Kelp, images: Path, tmp_path: Path) -> None:
    grid = even_grid((60, 40), (9, 13)).points
    assert grid is not None
    named = tmp_path / "named.json"
    named.write_text(json.dumps({"b.png": grid.tolist()}))
    posed = tmp_path / "posed.json"
    poses = [{"score": 0.2, "keypoints": [[1, 1, 1]]}, {"score": 0.9, "keypoints": [[*p, 1.0] for p in grid.tolist()]}]
    posed.write_text(json.dumps([{"image": "elsewhere/b.png", "detections": poses}]))
    for points in (named, posed):
        done = kelp("infer", "painter", images / "b.png", "--points", points, "-o", "json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)[0]["filled_percent"] > 1
    done = kelp("infer", "painter", images / "a.jpg", "--points", named)
    assert done.returncode == 2
    assert "holds no points for a.jpg" in done.stderr


def test_what_is_missing_is_said(kelp: Kelp, images: Path, masks: Path, tmp_path: Path) -> None:
    done = kelp("infer", "painter", images)
    assert done.returncode == 2
    assert "'painter' fills what it is told to, its task is inpaint: expected --mask or --points" in done.stderr
    done = kelp("infer", "reef", images, "--mask", masks)
    assert done.returncode == 2
    assert "--mask and --points are for inpainters; the task of 'reef' is segment" in done.stderr
    (masks / "a.png").unlink()
    done = kelp("infer", "painter", images, "--mask", masks)
    assert done.returncode == 2
    assert "holds no mask for a.jpg" in done.stderr
    (tmp_path / "points.json").write_text("[1, 2, 3]")
    done = kelp("infer", "painter", images, "--points", tmp_path / "points.json")
    assert done.returncode == 2
    assert "expected a list of [x, y]" in done.stderr


def test_a_mask_of_another_size_is_the_images_own_fault(kelp: Kelp, images: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((7, 7), 255, np.uint8))
    done = kelp("infer", "painter", images / "b.png", "--mask", tmp_path / "mask.png")
    assert done.returncode == 1
    assert "b.png" in done.stderr


def test_verify_and_bench_need_no_mask(kelp: Kelp, platform, images: Path, masks: Path) -> None:
    url = f"{platform.url}/v2/models/painter"
    done = kelp("verify", "--function-url", url, "--test-images", images)
    assert done.returncode == 0, done.stderr
    assert "2 images: every image is answered, in its own size" in done.stdout
    assert kelp("verify", "--function-url", url, "--test-images", images, "--mask", masks).returncode == 0
    done = kelp("bench", "--function-url", url, "--test-images", images, "--num-runs", "4", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["num_runs"] == 4


def test_a_change_outside_of_the_mask_is_seen() -> None:
    before = np.full((8, 8, 3), 100, np.uint8)
    mask = np.zeros((8, 8), np.uint8)
    mask[2:4] = 255
    after = before.copy()
    after[3] = 0

    def png(picture: np.ndarray) -> bytes:
        return cv2.imencode(".png", picture)[1].tobytes()

    removal = Removal(mask=png(mask))
    assert faults_of(png(before), removal, Painted(png(after), 0.1)) == []
    after[6, :3] = 0
    assert faults_of(png(before), removal, Painted(png(after), 0.1)) == ["3 pixels have changed that were not masked"]
    assert faults_of(png(before), removal, Painted(png(after[:4]), 0.1)) == ["answered 8x4, and was asked about 8x8"]


def test_one_list_of_points_is_for_all(tmp_path: Path) -> None:
    file = tmp_path / "points.json"
    file.write_text("[[1, 2], [3, 4]]")
    given = removals_of([Path("a.jpg"), Path("b.jpg")], None, file)
    assert given is not None
    assert [removal.points.tolist() for removal in given if removal.points is not None] == [[[1, 2], [3, 4]]] * 2
    with pytest.raises(UsageError, match="either --mask or --points"):
        removals_of([Path("a.jpg")], file, file)
