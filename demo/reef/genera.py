"""The sixteen coral genera of the reef: what each looks like from above."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Genus:
    """How colonies of one genus are drawn.

    colours: pairs of (shaded, lit) RGB, one pair is drawn for each colony; accent: RGB of tips, pits or rims.
    radius_mm: smallest and largest colony. outline: how the edge runs (see `outline`); texture: the surface (see
    `texture`); grain_mm: distance between two corallites, branches or ridges; dome: its height over its radius.
    """

    name: str
    colours: tuple[tuple[Colour, Colour], ...]
    accent: Colour
    radius_mm: tuple[float, float]
    outline: str
    texture: str
    grain_mm: float
    dome: float


GENERA: tuple[Genus, ...] = (
    Genus(
        "Acropora",
        (((92, 66, 40), (196, 156, 104)), ((84, 62, 92), (172, 140, 190)), ((60, 74, 92), (138, 164, 190))),
        (246, 240, 226),
        (75, 150),
        "knobbly",
        "branches",
        25,
        0.25,
    ),
    Genus(
        "Porites",
        (((128, 104, 46), (214, 188, 104)), ((122, 102, 66), (206, 184, 134))),
        (226, 206, 140),
        (70, 165),
        "lobed",
        "lumps",
        58,
        0.7,
    ),
    Genus(
        "Pocillopora",
        (((112, 54, 60), (216, 136, 138)), ((118, 66, 76), (206, 148, 156))),
        (244, 206, 200),
        (55, 105),
        "knobbly",
        "warts",
        30,
        0.6,
    ),
    Genus(
        "Montipora",
        (((88, 54, 106), (160, 112, 178)), ((74, 58, 96), (142, 122, 172))),
        (226, 200, 236),
        (75, 160),
        "ragged",
        "papillae",
        17,
        0.12,
    ),
    Genus(
        "Favites",
        (((48, 88, 52), (122, 168, 92)), ((66, 92, 48), (150, 172, 88))),
        (198, 214, 142),
        (60, 120),
        "round",
        "honeycomb",
        25,
        0.6,
    ),
    Genus(
        "Goniastrea",
        (((104, 76, 52), (196, 164, 124)), ((96, 82, 64), (188, 172, 142))),
        (58, 40, 28),
        (55, 115),
        "round",
        "pits",
        17,
        0.6,
    ),
    Genus(
        "Platygyra",
        (((54, 96, 66), (176, 150, 110)), ((62, 104, 58), (190, 160, 104))),
        (112, 190, 110),
        (65, 135),
        "round",
        "meanders",
        21,
        0.6,
    ),
    Genus(
        "Lobophyllia",
        (((96, 36, 34), (186, 84, 70)), ((84, 42, 46), (172, 92, 92))),
        (222, 150, 120),
        (70, 130),
        "knobbly",
        "fleshy",
        46,
        0.4,
    ),
    Genus(
        "Fungia",
        (((118, 84, 52), (216, 176, 126)), ((104, 88, 64), (196, 178, 142)), ((108, 70, 84), (200, 156, 168))),
        (88, 56, 40),
        (40, 66),
        "disc",
        "septa",
        40,
        0.35,
    ),
    Genus(
        "Galaxea",
        (((32, 70, 48), (92, 150, 96)), ((40, 64, 60), (98, 140, 128))),
        (210, 244, 190),
        (55, 115),
        "lobed",
        "stars",
        22,
        0.35,
    ),
    Genus(
        "Pavona",
        (((74, 50, 30), (158, 116, 72)), ((80, 58, 40), (150, 120, 84))),
        (214, 184, 134),
        (65, 130),
        "lobed",
        "leaves",
        22,
        0.3,
    ),
    Genus(
        "Turbinaria",
        (((124, 116, 40), (222, 212, 92)), ((116, 118, 58), (206, 210, 118))),
        (250, 246, 170),
        (60, 120),
        "ragged",
        "whorls",
        34,
        -0.35,
    ),
    Genus(
        "Echinopora",
        (((58, 62, 34), (122, 126, 72)), ((66, 58, 40), (128, 118, 78))),
        (196, 158, 96),
        (70, 140),
        "ragged",
        "spines",
        22,
        0.15,
    ),
    Genus(
        "Stylophora",
        (((140, 96, 96), (240, 196, 186)), ((150, 122, 96), (242, 220, 186))),
        (252, 236, 226),
        (50, 95),
        "knobbly",
        "fingers",
        36,
        0.5,
    ),
    Genus(
        "Heliopora",
        (((40, 68, 96), (96, 138, 176)), ((48, 80, 98), (108, 150, 172))),
        (186, 214, 230),
        (60, 125),
        "lobed",
        "blades",
        25,
        0.35,
    ),
    Genus(
        "Millepora",
        (((128, 82, 24), (208, 146, 50)), ((132, 92, 34), (214, 160, 70))),
        (248, 234, 196),
        (60, 130),
        "knobbly",
        "plates",
        36,
        0.25,
    ),
)

BOULDER = Genus(
    "",
    (((70, 64, 54), (140, 128, 108)), ((70, 76, 54), (120, 122, 88)), ((92, 72, 74), (160, 126, 122))),
    (190, 176, 156),
    (35, 110),
    "lobed",
    "rock",
    40,
    0.6,
)
"""Bare rock: no coral, but rounded and shaded like one."""

GENUS_NAMES: tuple[str, ...] = tuple(genus.name for genus in GENERA)
