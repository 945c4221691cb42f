"""A whole quadrat from a seed, with everything that is true about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.reef import quadrat
from demo.reef.camera import exposure, photograph
from demo.reef.colony import Place, draw
from demo.reef.genera import BOULDER, GENERA, GENUS_NAMES
from demo.reef.hide import hide
from demo.reef.light import light_from
from demo.reef.seabed import seabed

SMALLEST_VISIBLE = 1.5e-4
"""A colony of which less than this part of the picture can be seen is not drawn at all."""


_STONE = len(GENERA)


@dataclass(frozen=True)
class Scene:
    """One photograph and its truth.

    image: uint8 [size, size, 3], RGB; image_without_grid: the same photograph without frame and strings (or, where that
    was asked for, without strings only);
    instances: int32 [size, size], 0 background, i + 1 where colony i is seen (frame and strings do not cut it);
    genus_ids: int32 [N], index into GENUS_NAMES of each colony; corners: float64 [4, 2], the opening's corners, the
    marked one first, then clockwise; grid_points: float64 [117, 2], row by row; homography: float64 [3, 3], template →
    picture; hidden: bool [117], where something lies over a grid point. Points are x, y in pixels, a pixel's centre at
    whole numbers.
    """

    seed: int
    image: NDArray[np.uint8]
    image_without_grid: NDArray[np.uint8]
    instances: NDArray[np.int32]
    genus_ids: NDArray[np.int32]
    corners: NDArray[np.float64]
    grid_points: NDArray[np.float64]
    homography: NDArray[np.float64]
    hidden: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.genus_ids)

    @property
    def genera(self) -> list[str]:
        """The genus of each colony."""
        return [GENUS_NAMES[genus] for genus in self.genus_ids]

    def mask(self, colony: int) -> NDArray[np.bool_]:
        """bool [size, size]: where colony `colony` (0..N-1) is seen."""
        return np.asarray(self.instances == colony + 1)

    def box(self, colony: int) -> NDArray[np.int64]:
        """int64 [4]: x1 y1 x2 y2 of what is seen of a colony, x2 and y2 exclusive."""
        rows = np.flatnonzero((self.instances == colony + 1).any(axis=1))
        columns = np.flatnonzero((self.instances == colony + 1).any(axis=0))
        return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.int64)


def render(
    seed: int,
    size: int = 1920,
    *,
    grid: bool = True,
    turn: float | None = None,
    colonies: tuple[int, int] = (20, 38),
    hidden: float = 0.0,
    keep_frame: bool = False,
) -> Scene:
    """Renders the quadrat of a seed.

    size: pixels of each side, at least 64; grid: whether `image` shows frame and strings; turn: degrees the quadrat is
    turned (None: a few, by the seed); colonies: fewest and most that are tried; hidden: part of the grid's points that
    fish and overgrown colonies cover (in `image` only); keep_frame: `image_without_grid` lacks the strings only. The
    same arguments give the same bytes; another size gives the same scene, up to details of its textures. Raises
    ValueError for a size under 64.
    """
    if size < 64:
        raise ValueError(f"size must be at least 64 pixels, got {size}")
    where, ground, growth, frame, lens, bodies, passers_by = np.random.SeedSequence(seed).spawn(7)
    homography = quadrat.view(_generator(where), size, turn)
    side_px = float(np.sqrt(abs(_area(quadrat.project(homography, quadrat.TEMPLATE_CORNERS)))))
    px_per_mm = side_px / quadrat.SIDE_MM

    sky = _generator(ground)
    light = light_from(sky)
    canvas = seabed(sky, size, px_per_mm, light)
    owner = np.zeros((size, size), np.int32)
    kinds: list[int] = []
    grown = _grow(_generator(growth), size, px_per_mm, colonies)
    for (kind, place), seed_of_body in zip(grown, bodies.spawn(len(grown)), strict=True):
        if kind == _STONE:
            draw(canvas, owner, 0, BOULDER, place, light, seed_of_body)
            continue
        kinds.append(kind)
        draw(canvas, owner, len(kinds), GENERA[kind], place, light, seed_of_body)
    instances, genus_ids = _visible(owner, kinds)

    taken = exposure(_generator(lens), size)
    framed = canvas.copy() if keep_frame else canvas
    if keep_frame:
        quadrat.draw_grid(_generator(frame), framed, homography, px_per_mm, strings=False)
    bare = photograph(framed, taken)
    image = bare
    grid_points = quadrat.project(homography, quadrat.TEMPLATE_GRID)
    unseen = np.zeros(len(grid_points), bool)
    if grid:
        quadrat.draw_grid(_generator(frame), canvas, homography, px_per_mm)
        if hidden:
            unseen = hide(_generator(passers_by), canvas, grid_points, hidden, px_per_mm, light)
        image = photograph(canvas, taken)
    return Scene(
        seed,
        image,
        bare,
        instances,
        genus_ids,
        quadrat.project(homography, quadrat.TEMPLATE_CORNERS),
        grid_points,
        homography,
        unseen,
    )


def _generator(seed: np.random.SeedSequence) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _area(corners: NDArray[np.float64]) -> float:
    x, y = corners.T
    return float(0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def _grow(rng: np.random.Generator, size: int, px_per_mm: float, colonies: tuple[int, int]) -> list[tuple[int, Place]]:
    """Kind and place of each colony and boulder, small overlaps allowed, large ones first: small ones lie on top."""
    wanted = int(rng.integers(colonies[0], colonies[1] + 1))
    # A reef has a few common genera and several rare ones.
    share = np.append(rng.dirichlet(np.full(len(GENERA), 0.8)), rng.uniform(0.04, 0.16))
    share /= share.sum()
    every = (*GENERA, BOULDER)
    found: list[tuple[int, Place]] = []
    for _ in range(wanted * 6):
        kind = int(rng.choice(len(every), p=share))
        low, high = every[kind].radius_mm
        radius = float(low + (high - low) * rng.beta(1.3, 1.8)) * px_per_mm
        x, y = (float(value) for value in rng.uniform(0.02, 0.98, 2) * size)
        near = (np.hypot(x - p.x, y - p.y) - (radius + p.radius) + 0.25 * min(radius, p.radius) for _, p in found)
        if all(gap > 0 for gap in near):
            found.append((kind, Place(x, y, radius, px_per_mm)))
        if len(found) == wanted:
            break
    return sorted(found, key=lambda item: -item[1].radius)


def _visible(owner: NDArray[np.int32], kinds: list[int]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Renumbers the colonies of which enough is seen, in drawing order."""
    seen = np.bincount(owner.ravel(), minlength=len(kinds) + 1)[1:]
    kept = np.flatnonzero(seen >= max(SMALLEST_VISIBLE * owner.size, 1))
    number = np.zeros(len(kinds) + 1, np.int32)
    number[kept + 1] = np.arange(1, len(kept) + 1, dtype=np.int32)
    return number[owner], np.asarray(kinds, np.int32)[kept]
