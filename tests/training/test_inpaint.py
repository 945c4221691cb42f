"""The small inpainter: what it is trained on, its interface, and that both its files compute the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from demo.reef import render
from demo.training.inpaint import fit
from demo.training.inpaint.network import Inpainter, push_pull
from demo.training.inpaint.pairs import pair_of, points_of
from demo.training.inpaint.patches import Patches
from demo.training.recipes import LAMA


def test_a_hole_in_an_even_colour_is_filled_with_it() -> None:
    image = torch.full((1, 3, 64, 96), 0.37)
    mask = torch.zeros(1, 1, 64, 96)
    mask[..., 20:31, :] = 1
    mask[..., 50:58] = 1
    known = 1 - mask
    torch.testing.assert_close(push_pull(image * known, known), image, atol=1e-5, rtol=0)
    # Untrained, the network is that interpolation.
    torch.testing.assert_close(Inpainter(16)(image, mask), image, atol=1e-5, rtol=0)


def test_without_anything_known_there_is_still_an_answer() -> None:
    answer = Inpainter(16)(torch.rand(1, 3, 16, 16), torch.ones(1, 1, 16, 16))
    assert torch.isfinite(answer).all()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    scene = render(10_000, 480, keep_frame=True)
    np.save(folder / "10000.npy", np.stack(pair_of(scene, 480)))
    return folder


def test_patches_differ_where_the_strings_are_and_hardly_elsewhere(pairs: Path) -> None:
    recipe = replace(LAMA, pictures=1, patch=64, steps=8, batch=4)
    patches = Patches(recipe, pairs)
    inside, outside = [], []
    for number in range(len(patches)):
        given, wanted, mask = patches[number]
        assert given.shape == wanted.shape == (64, 64, 3)
        assert mask.shape == (64, 64)
        assert set(np.unique(mask)) <= {0, 1}
        apart = np.abs(given.astype(int) - wanted).max(axis=2)
        if apart.max() > 40:
            inside.append(apart[mask == 1].mean())
            outside.append(apart[mask == 0].mean())
    assert len(inside) > 10
    assert np.mean(inside) > 3 * np.mean(outside)


def test_the_frame_stays_and_the_strings_go_in_the_wanted_picture() -> None:
    scene = render(10_001, 640, keep_frame=True)
    given, wanted = pair_of(scene, 640)
    column, row = np.rint(points_of(640) - 0.5).astype(int).T
    assert np.abs(given[row, column].astype(int) - wanted[row, column]).max(axis=1).mean() > 40
    whole = np.abs(scene.image.astype(int) - scene.image_without_grid).max(axis=2)
    x, y = np.rint(scene.corners.mean(axis=0) + 1.04 * (scene.corners - scene.corners.mean(axis=0))).astype(int).T
    assert whole[y, x].max() <= 2


def test_a_killed_training_goes_on_where_it_was(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "_KEEP_S", 0.0)
    small = replace(LAMA, pictures=1, patch=32, width=8, steps=4, batch=2)
    first = fit.fit(small, pairs, tmp_path)
    assert [next(first)[0], next(first)[0]] == [1, 2]
    first.close()
    assert [step for step, *_ in fit.fit(small, pairs, tmp_path)] == [3, 4]
    assert fit.weights_of(tmp_path).exists()


def test_both_files_are_equal_take_any_size_and_name_no_path(tmp_path: Path) -> None:
    import onnxruntime

    from demo.training.inpaint.export import export

    torch.manual_seed(1)
    network = Inpainter(8)
    torch.nn.init.normal_(network.out.weight, std=0.05)
    torch.save(network.state_dict(), tmp_path / "trained.pt")
    script, graph = export(replace(LAMA, width=8), tmp_path / "trained.pt", tmp_path)
    loaded = torch.jit.load(str(script))
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for size in ((64, 64), (40, 136)):
        image, mask = torch.rand(2, 3, *size), (torch.rand(2, 1, *size) < 0.2).float()
        expected = network(image, mask).detach().numpy()
        np.testing.assert_allclose(loaded(image, mask).numpy(), expected, atol=1e-5)
        (filled,) = session.run(None, {"image": image.numpy(), "mask": mask.numpy()})
        np.testing.assert_allclose(filled, expected, atol=1e-4)
    for file in (script, graph):
        assert str(Path(__file__).parents[2]).encode() not in file.read_bytes()
        assert str(tmp_path).encode() not in file.read_bytes()
