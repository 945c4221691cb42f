"""`--save` never costs anybody a photograph, and is refused before a model is called."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from kelp.cli.exits import UsageError
from kelp.cli.saving import places_for, write_picture
from tests.cli.conftest import run_kelp
from tests.cli.test_words import NOBODY

CALLS = {"infer": ["infer", "reef"], "invoke": ["invoke", "reef", "--platform", "local", "--image"]}


@pytest.fixture
def photos(tmp_path):
    """A picture as JPEG, one as TIFF."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.tif"):
        cv2.imwrite(str(folder / name), np.zeros((8, 8, 3), np.uint8))
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(command, *arguments):
    """What is said where nobody answers: a model that is called first is told by another code."""
    done = run_kelp(*CALLS[command], *arguments, KELP_V2_URL=NOBODY)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "internal error" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("command", CALLS)
def test_the_folder_of_the_images_is_no_place_to_save_to(photos, command):
    before = contents(photos)
    told = refused(command, photos / "a.jpg", "--save", photos)
    assert "a.jpg is one of the images" in told
    assert "name another folder" in told
    assert contents(photos) == before


def test_an_image_is_known_by_any_name(photos, tmp_path, monkeypatch):
    (tmp_path / "alias").symlink_to(photos)
    assert "is one of the images" in refused("infer", photos, "--save", tmp_path / "alias")
    monkeypatch.chdir(photos)
    assert "is one of the images" in refused("infer", "a.jpg", "--save", "../photos")
    for link in ("symlink_to", "hardlink_to"):
        out = tmp_path / link
        out.mkdir()
        getattr(out / "a.jpg", link)(photos / "a.jpg")
        assert "is one of the images" in refused("infer", photos / "a.jpg", "--save", out)
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "a.jpg").symlink_to(photos / "a.jpg")
    assert "is one of the images" in refused("infer", tmp_path / "given", "--save", photos)


def test_a_picture_beside_the_images_is_not_written_over_either(photos):
    (photos / "b.jpg").write_bytes(b"of another day")
    assert "b.jpg is there already, beside the images" in refused("infer", photos / "b.tif", "--save", photos)


@pytest.mark.parametrize("command", CALLS)
def test_a_place_that_is_none_is_told_before_a_model_is_called(photos, tmp_path, command):
    (tmp_path / "taken").write_text("a file")
    assert "taken: expected a folder, and a file is there" in refused(
        command, photos / "a.jpg", "--save", tmp_path / "taken"
    )
    assert "below: expected a folder, and a file is there" in refused(
        command, photos / "a.jpg", "--save", tmp_path / "taken" / "below"
    )
    assert "cannot be written to: " in refused(command, photos / "a.jpg", "--save", "/proc/kelp")
    (tmp_path / "out" / "a.jpg").mkdir(parents=True)
    assert "a.jpg is a folder" in refused(command, photos / "a.jpg", "--save", tmp_path / "out")


def test_a_request_of_ones_own_is_not_drawn(tmp_path):
    done = run_kelp("invoke", "reef", "--body", "{}", "--save", tmp_path / "out", KELP_V2_URL=NOBODY)
    assert done.returncode == 2
    assert "--save goes with --image" in done.stderr
    assert not (tmp_path / "out").exists()


def test_every_image_has_a_place_of_its_own(photos, tmp_path):
    (tmp_path / "more").mkdir()
    for name in ("a.png", "a-2.jpg"):
        (tmp_path / "more" / name).write_bytes(b"")
    files = [photos / "a.jpg", tmp_path / "more" / "a.png", tmp_path / "more" / "a-2.jpg", photos / "b.tif"]
    places = places_for(files, tmp_path / "out")
    assert places is not None
    assert [place.name for place in places] == ["a.jpg", "a-2.png", "a-2-2.jpg", "b.jpg"]
    assert list((tmp_path / "out").iterdir()) == []


def test_saving_again_takes_the_place_of_what_was_saved(photos, tmp_path):
    out = tmp_path / "out"
    for content in (b"first", b"second"):
        for place in places_for([photos / "a.jpg"], out) or ():
            write_picture(place, content)
    assert contents(out) == {"a.jpg": b"second"}


def test_a_link_that_appears_meanwhile_is_replaced_and_not_followed(photos, tmp_path):
    before = contents(photos)
    (place,) = places_for([photos / "a.jpg"], tmp_path / "out") or ()
    place.symlink_to(photos / "a.jpg")
    write_picture(place, b"drawn")
    assert contents(photos) == before
    assert contents(tmp_path / "out") == {"a.jpg": b"drawn"}


def test_without_save_nothing_is_made(photos):
    assert places_for([photos / "a.jpg"], None) is None
    with pytest.raises(UsageError):
        places_for([photos / "a.jpg"], photos)


def test_an_image_that_cannot_be_read_is_named_before_a_model_is_called(tmp_path):
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    done = run_kelp("infer", "reef", str(tmp_path), KELP_V2_URL=NOBODY)
    assert done.returncode == 2, done.stderr
    assert "gone.jpg: it cannot be read" in done.stderr
