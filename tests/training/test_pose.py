"""Pose models of quadrats: what they are trained on is true, what is killed goes on, what is shipped is cut from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from demo.reef import render
from demo.training.offline import prepare
from demo.training.pose.views import sample
from demo.training.recipes import GRIDCORNERS, GRIDPOSE, QUADRAT

SIDE = 256


@pytest.fixture(scope="module", autouse=True)
def _offline(tmp_path_factory: pytest.TempPathFactory) -> None:
    prepare(tmp_path_factory.getbasetemp() / "ultralytics")


@pytest.fixture(scope="module")
def ground() -> np.ndarray:
    return render(10_000, 320, grid=False).image


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@pytest.mark.parametrize("seed", range(6))
def test_the_mark_is_at_the_first_corner_of_a_drawn_photograph(ground: np.ndarray, seed: int) -> None:
    drawn = sample(generator(seed), ground, SIDE, crops=0.0)
    corners = drawn.points[:4]
    middle = corners.mean(axis=0)
    outward = corners + 0.018 * (corners - middle) / np.linalg.norm(corners - middle, axis=1)[:, None]
    redness = []
    for x, y in (outward * SIDE).astype(int).clip(1, SIDE - 2):
        r, g, b = drawn.image[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3).mean(axis=0)
        redness.append(r / max(g + b, 1))
    assert int(np.argmax(redness)) == 0


@pytest.mark.parametrize("crops", [0.0, 1.0])
def test_strings_cross_at_the_points_of_a_drawn_quadrat(ground: np.ndarray, crops: float) -> None:
    """On black ground the crossings are the bright places, except where something lies over them."""
    drawn = sample(generator(3), np.zeros_like(ground), 768, crops)
    assert drawn.points.shape == (121, 2)
    seen, points = drawn.seen[4:], drawn.points[4:]
    assert seen.mean() > 0.8
    assert points.min() > 0
    assert points.max() < 1
    inside = np.rint(points * 768 - 0.5).astype(int).clip(1, 766)
    bright = np.array([drawn.image[y - 1 : y + 2, x - 1 : x + 2].min(axis=2).max() for x, y in inside])
    between = (inside[:-1] + inside[1:])[np.arange(116) % 13 != 12] // 2 + np.array([0, 20])
    dark = np.median([drawn.image[y, x].max() for x, y in between.clip(0, 767)])
    assert (bright[seen] > dark + 40).mean() > 0.9


def test_the_same_number_draws_the_same_quadrat(ground: np.ndarray) -> None:
    one, two = (sample(generator(8), ground, SIDE, 0.5) for _ in range(2))
    assert one.image.tobytes() == two.image.tobytes()
    np.testing.assert_array_equal(one.points, two.points)
    other = sample(generator(9), ground, SIDE, 0.5)
    assert one.image.tobytes() != other.image.tobytes()


def test_a_point_costs_by_its_distance_and_hidden_ones_too() -> None:
    from demo.training.pose.network import Distance, make_network

    network = make_network(QUADRAT)
    assert sum(value.numel() for value in network.parameters()) < 1_000_000
    criterion = Distance(network)
    true = torch.rand(1, 1, 121, 3) * 160 + 40
    true[..., 2] = 2
    true[0, 0, 50:60, 2] = 1
    boxes = torch.tensor([[[40.0, 40, 200, 200]]])
    mask, first, stride = (
        torch.ones(1, 1, dtype=torch.bool),
        torch.zeros(1, 1, dtype=torch.long),
        torch.tensor([[32.0]]),
    )

    def cost(off: float, point: int) -> float:
        found = true.clone()
        found[..., :2] /= 32
        found[0, 0, point, 0] += off / 32
        return float(criterion.calculate_keypoints_loss(mask, first, true, stride, boxes.clone(), found)[0])

    assert cost(0, 0) == pytest.approx(0, abs=1e-5)
    assert cost(60, 10) == pytest.approx(2 * cost(30, 10), rel=0.05)
    assert cost(60, 55) == pytest.approx(cost(60, 10), rel=1e-3)
    assert cost(60, 0) > 4 * cost(60, 10)


def test_a_network_cut_down_to_some_points_says_of_them_what_the_whole_says() -> None:
    from copy import deepcopy

    from demo.training.pose.network import make_network, only

    whole = make_network(QUADRAT).eval()
    images = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        everything = whole(images)[0]
        for recipe in (GRIDCORNERS, GRIDPOSE):
            part = only(deepcopy(whole), recipe)(images)[0]
            rows = 5 + 3 * recipe.first + np.arange(3 * recipe.points)
            torch.testing.assert_close(part[:, 5:], everything[:, rows])
            torch.testing.assert_close(part[:, :5], everything[:, :5])


@pytest.mark.slow
def test_a_killed_training_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from demo.training.pose import fit
    from demo.training.pose.batches import build_grounds

    monkeypatch.setattr(fit, "_KEEP_S", 0.0)
    small = replace(QUADRAT, grounds=1, steps=4, batch=2, imgsz=128)
    assert list(build_grounds(tmp_path / "grounds", 1, 1))[-1] == (1, 1)
    first = fit.fit(small, tmp_path / "grounds", tmp_path / "run")
    assert [next(first)[0], next(first)[0]] == [1, 2]
    first.close()
    assert not fit.checkpoint_of(tmp_path / "run").exists()
    assert [step for step, *_ in fit.fit(small, tmp_path / "grounds", tmp_path / "run")] == [3, 4]
    assert fit.checkpoint_of(tmp_path / "run").exists()
    assert [step for step, *_ in fit.fit(small, tmp_path / "grounds", tmp_path / "run")] == [4]


@pytest.mark.parametrize("recipe", [GRIDCORNERS, GRIDPOSE], ids=lambda recipe: recipe.name)
def test_shipped_weights_compute_the_same_when_they_are_made_trainable(recipe, ground: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    from demo.training.norms import trainable

    weights = recipe.into / f"{recipe.name}.pt"
    drawn = [sample(generator(seed), ground, 128, 0.3).image for seed in range(8)]
    images = torch.from_numpy(np.stack(drawn).transpose(0, 3, 1, 2).copy()).float() / 255
    shipped = torch.load(weights, map_location="cpu", weights_only=False)["model"].float().eval()
    revived = trainable(weights, images)
    with torch.no_grad():
        before, after = shipped(images)[0], revived(images)[0]
        np.testing.assert_allclose(after.numpy(), before.numpy(), atol=2e-2, rtol=1e-3)
        # In training each batch has norms of its own: about the same answers, not flattened ones.
        revived.train()
        spread = revived(images)["kpts"].std() / shipped(images)[1]["kpts"].std()
    assert 0.6 < float(spread) < 1.6
