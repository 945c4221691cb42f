"""The drawing of a skeleton as CVAT's editor wants it: where its points lie to each other, and what joins them.

Format: CVAT's own skeleton configurator, as its server takes and returns it: an SVG fragment in a square of 100 x 100,
a `<line>` for each edge, a `<circle>` for each point. Points are numbered from 1 in the order of the sublabels; the
server puts the sublabels' ids in the place of their names.
"""

from __future__ import annotations

import math
from xml.sax.saxutils import quoteattr

from kelp.card.schema import Label

_MARGIN, _SIDE = 10.0, 80.0
_RADIUS = 0.75

Point = tuple[float, float]
Edge = tuple[int, int]


def svg_of(label: Label, grid_shape: tuple[int, int] | None = None) -> str:
    """The drawing of `label`; "" where it is no skeleton. A drawing of the card's own stays as it is.

    As many points as `grid_shape` (rows, columns) has: a grid, row by row. 4 points: a square, from its upper left
    corner clockwise. Any other number: on a circle, clockwise from the top, joined by nothing.
    """
    if label.svg or label.type != "skeleton":
        return label.svg
    count = len(label.sublabels)
    if grid_shape is not None and grid_shape[0] * grid_shape[1] == count:
        points, edges = _grid(*grid_shape)
    elif count == 4:
        points, edges = _square()
    else:
        points, edges = _circle(count), []
    lines = [_line(points[a], points[b], a + 1, b + 1) for a, b in edges]
    nodes = [_node(point, i + 1, label.sublabels[i].name) for i, point in enumerate(points)]
    return "".join(lines + nodes)


def _grid(rows: int, columns: int) -> tuple[list[Point], list[Edge]]:
    points = [
        (_MARGIN + _SIDE * column / max(columns - 1, 1), _MARGIN + _SIDE * row / max(rows - 1, 1))
        for row in range(rows)
        for column in range(columns)
    ]
    along = [(i, i + 1) for i in range(rows * columns) if (i + 1) % columns]
    across = [(i, i + columns) for i in range((rows - 1) * columns)]
    return points, along + across


def _square() -> tuple[list[Point], list[Edge]]:
    near, far = _MARGIN, _MARGIN + _SIDE
    return [(near, near), (far, near), (far, far), (near, far)], [(0, 1), (1, 2), (2, 3), (3, 0)]


def _circle(count: int) -> list[Point]:
    middle, radius = _MARGIN + _SIDE / 2, 0.0 if count == 1 else _SIDE / 2
    turns = [2 * math.pi * i / count for i in range(count)]
    return [(middle + radius * math.sin(turn), middle - radius * math.cos(turn)) for turn in turns]


def _line(start: Point, end: Point, from_node: int, to_node: int) -> str:
    return (
        f'<line x1="{start[0]:.3f}" y1="{start[1]:.3f}" x2="{end[0]:.3f}" y2="{end[1]:.3f}" '
        f'data-type="edge" data-node-from="{from_node}" data-node-to="{to_node}"></line>'
    )


def _node(point: Point, number: int, name: str) -> str:
    return (
        f'<circle r="{_RADIUS}" cx="{point[0]:.3f}" cy="{point[1]:.3f}" data-type="element node" '
        f'data-element-id="{number}" data-node-id="{number}" data-label-name={_quoted(name)}></circle>'
    )


def _quoted(name: str) -> str:
    text = quoteattr(name)
    # Always in double quotes: the server looks for the name in them.
    return text if text.startswith('"') else f'"{text[1:-1].replace(chr(34), "&quot;")}"'
