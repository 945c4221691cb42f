"""The surface of a colony: relief and colour by genus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from demo.reef.noise import Cells, Plane, cells, fractal_noise, labyrinth, scatter, smoothstep
from demo.reef.outline import Patch


@dataclass(frozen=True)
class Surface:
    """Float32 [H, W] each. relief: height in grains; tone: 0 shaded..1 lit colour; accent: 0..1 of that colour."""

    relief: Plane
    tone: Plane
    accent: Plane


def surface(rng: np.random.Generator, kind: str, area: Patch, grain: float) -> Surface:
    """The surface called `kind` over a patch; grain in pixels (at least 2: finer is aliasing)."""
    drawn = _SURFACES[kind](rng, area, max(grain, 2.0))
    mottle = fractal_noise(rng, *area.shape, 6, 3)
    tone = np.clip(drawn.tone + np.float32(0.16) * mottle, 0, 1)
    return Surface(drawn.relief, tone, np.clip(drawn.accent, 0, 1))


def _scattered(rng: np.random.Generator, area: Patch, grain: float, jitter: float = 0.25) -> Cells:
    height, width = area.shape
    return cells(height, width, scatter(rng, height, width, grain, jitter))


def _each(rng: np.random.Generator, of: Cells, low: float, high: float) -> Plane:
    """One random number a cell, spread over its pixels."""
    return np.asarray(rng.uniform(low, high, len(of.seeds)).astype(np.float32)[of.index])


def _dome(of: Cells, radius: float) -> Plane:
    return np.asarray(np.sqrt(np.clip(1 - (of.distance / np.float32(radius)) ** 2, 0, 1)))


def _branches(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Acropora: branch tips, each with a pale axial corallite, over dark gaps."""
    of = _scattered(rng, area, grain, 0.3)
    dome = _dome(of, 0.62 * grain) * _each(rng, of, 0.75, 1.0)
    tip = 1 - smoothstep(0.10, 0.28, of.distance / np.float32(grain))
    return Surface(0.9 * dome, 0.15 + 0.75 * dome, tip)


def _lumps(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Porites: smooth swellings under a fine grain."""
    of = _scattered(rng, area, grain, 0.3)
    swelling = np.asarray(cv2.GaussianBlur(_dome(of, 0.75 * grain), (0, 0), 0.16 * grain), np.float32)
    fine = fractal_noise(rng, *area.shape, 70, 1)
    return Surface(
        0.34 * swelling + 0.012 * fine, 0.25 + 0.6 * swelling + 0.1 * fine, 0.25 * smoothstep(0.7, 0.95, swelling)
    )


def _warts(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Pocillopora: a cauliflower of knobs that carry small warts."""
    of = _scattered(rng, area, grain, 0.25)
    small = _scattered(rng, area, 0.36 * grain, 0.25)
    knob = _dome(of, 0.62 * grain)
    wart = _dome(small, 0.2 * grain)
    return Surface(0.6 * knob + 0.1 * wart, 0.1 + 0.6 * knob + 0.2 * wart, 0.6 * wart * smoothstep(0.5, 0.9, knob))


def _papillae(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Montipora: a thin crust with small papillae and a pale growing rim."""
    of = _scattered(rng, area, grain, 0.3)
    bump = _dome(of, 0.36 * grain) * _each(rng, of, 0.3, 1.0)
    rim = 1 - smoothstep(0.3, 1.0, area.inside / np.float32(0.4 * grain))
    swell = fractal_noise(rng, *area.shape, 5, 2)
    return Surface(0.35 * bump + 1.6 * swell, 0.4 + 0.5 * bump, np.maximum(0.85 * rim, 0.4 * bump))


def _honeycomb(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Favites: polygons that share thick pale walls around dark centres."""
    of = _scattered(rng, area, grain, 0.2)
    wall = np.exp(-((of.wall / np.float32(0.17 * grain)) ** 2))
    pit = 1 - smoothstep(0.12, 0.42, of.distance / np.float32(grain))
    return Surface(0.45 * wall - 0.2 * pit, 0.45 - 0.4 * pit + 0.4 * wall, 0.75 * wall)


def _pits(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Goniastrea: small even polygons with dark centres and thin walls."""
    of = _scattered(rng, area, grain, 0.12)
    pit = 1 - smoothstep(0.18, 0.4, of.distance / np.float32(grain))
    return Surface(-0.4 * pit, 0.85 - 0.5 * pit, 0.8 * pit)


def _meanders(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Platygyra: winding ridges between coloured valleys."""
    ridge = smoothstep(-0.45, 0.45, labyrinth(rng, *area.shape, grain))
    return Surface(0.4 * ridge, 0.15 + 0.8 * ridge, 0.9 * (1 - smoothstep(0.05, 0.4, ridge)))


def _fleshy(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Lobophyllia: large separate lobes with thick pale rims."""
    of = _scattered(rng, area, grain, 0.3)
    depth = of.wall / np.float32(grain)
    lobe = smoothstep(0.0, 0.14, depth)
    hollow = smoothstep(0.2, 0.45, depth)
    teeth = 0.5 + 0.5 * np.cos(14 * cv2.phase(of.dx, of.dy))
    rim = lobe * (1 - hollow)
    tone = (0.1 + 0.55 * lobe + 0.1 * rim * teeth) * _each(rng, of, 0.8, 1.1)
    return Surface(0.3 * lobe - 0.12 * hollow, tone, 0.5 * rim * (0.5 + 0.5 * teeth))


def _septa(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Fungia: one polyp, septa running out from a slit-like mouth."""
    slit = np.hypot(np.maximum(np.abs(area.x) - np.float32(0.22 * area.radius), 0), area.y) / np.float32(area.radius)
    count = int(rng.integers(34, 46))
    wobble = fractal_noise(rng, *area.shape, 5, 2)
    septum = 0.5 + 0.5 * np.cos(count * area.phi + 1.2 * wobble)
    fade = smoothstep(0.05, 0.3, slit)
    mouth = 1 - smoothstep(0.03, 0.11, slit)
    return Surface(
        0.10 * septum * fade - 0.12 * mouth, 0.3 + 0.65 * septum * fade, np.maximum(mouth, 0.35 * (1 - septum) * fade)
    )


def _stars(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Galaxea: crystal-like polyps, pale rays around a dark centre, over dark ground."""
    of = _scattered(rng, area, grain, 0.25)
    near = of.distance / np.float32(grain)
    turn = _each(rng, of, 0.0, 6.28)
    rays = 0.5 + 0.5 * np.cos(7 * cv2.phase(of.dx, of.dy) + turn)
    ring = smoothstep(0.08, 0.2, near) * (1 - smoothstep(0.3, 0.5, near))
    polyp = 1 - smoothstep(0.36, 0.52, near)
    return Surface(0.4 * polyp + 0.3 * ring * rays, 0.1 + 0.6 * polyp, ring * (0.25 + 0.75 * rays))


def _leaves(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Pavona: short sharp ridges that run around the colony and break off."""
    bend = fractal_noise(rng, *area.shape, 5, 3)
    breaks = smoothstep(-0.25, 0.1, fractal_noise(rng, *area.shape, 9, 2))
    wave = np.cos(2 * np.pi * (area.radial * area.radius / grain + 1.5 * bend))
    ridge = smoothstep(0.1, 1.0, wave) * (0.25 + 0.75 * breaks)
    crest = smoothstep(0.6, 1.0, wave) * breaks
    return Surface(0.5 * ridge, 0.2 + 0.6 * ridge, 0.6 * crest)


def _whorls(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Turbinaria: a twisted bowl of overlapping plates with raised polyps."""
    bend = fractal_noise(rng, *area.shape, 4, 2)
    turns = area.radial * area.radius / (2.0 * grain) + area.phi / np.float32(2 * np.pi) + 0.35 * bend
    step = turns - np.floor(turns)
    lip = smoothstep(0.82, 0.97, step)
    of = _scattered(rng, area, 0.5 * grain, 0.25)
    polyp = _dome(of, 0.14 * grain)
    return Surface(
        0.9 * step * (1 - lip) + 0.12 * polyp,
        0.35 + 0.5 * step * (1 - lip) - 0.25 * polyp,
        lip * (1 - lip) * 3 + 0.3 * polyp,
    )


def _spines(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Echinopora: a plate with coarse prickly corallites in rows and a furrowed edge."""
    of = _scattered(rng, area, grain, 0.3)
    near = of.distance / np.float32(grain)
    bump = _dome(of, 0.42 * grain)
    mouth = 1 - smoothstep(0.06, 0.2, near)
    furrow = 0.5 + 0.5 * np.cos(26 * area.phi)
    outer = smoothstep(0.6, 0.95, area.radial)
    return Surface(
        0.5 * bump - 0.25 * mouth + 0.2 * furrow * outer,
        0.25 + 0.55 * bump,
        np.maximum(0.9 * mouth, 0.5 * furrow * outer),
    )


def _fingers(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Stylophora: blunt thick fingers with pale rounded ends."""
    of = _scattered(rng, area, grain, 0.3)
    near = of.distance / np.float32(grain)
    finger = 1 - smoothstep(0.22, 0.58, near)
    return Surface(0.8 * finger, 0.05 + 0.85 * finger, 0.55 * (1 - smoothstep(0.1, 0.34, near)))


def _blades(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Heliopora: upright blades in rows, grey-blue with pale tops."""
    wave = labyrinth(rng, *area.shape, grain, 2.2)
    blade = smoothstep(-0.5, 0.5, wave)
    return Surface(0.5 * blade, 0.1 + 0.75 * blade, 0.8 * smoothstep(0.55, 1.0, wave))


def _plates(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """Millepora: a lattice of thin smooth plates with white edges over deep gaps."""
    wave = np.abs(labyrinth(rng, *area.shape, 1.5 * grain))
    plate = 1 - smoothstep(0.16, 0.62, wave)
    return Surface(0.6 * plate, 0.15 + 0.75 * plate, 1 - smoothstep(0.0, 0.12, wave))


def _rock(rng: np.random.Generator, area: Patch, grain: float) -> Surface:
    """A boulder: broken relief, blotches of crust."""
    rough = fractal_noise(rng, *area.shape, 8, 5)
    blotch = smoothstep(0.1, 0.3, fractal_noise(rng, *area.shape, 6, 4))
    return Surface(0.7 * rough, 0.5 + 0.6 * rough, 0.45 * blotch)


_SURFACES: dict[str, Callable[[np.random.Generator, Patch, float], Surface]] = {
    "branches": _branches,
    "lumps": _lumps,
    "warts": _warts,
    "papillae": _papillae,
    "honeycomb": _honeycomb,
    "pits": _pits,
    "meanders": _meanders,
    "fleshy": _fleshy,
    "septa": _septa,
    "stars": _stars,
    "leaves": _leaves,
    "whorls": _whorls,
    "spines": _spines,
    "fingers": _fingers,
    "blades": _blades,
    "plates": _plates,
    "rock": _rock,
}
