"""The queries of the two task webhooks: what is refused, by name, and what means the same."""

from __future__ import annotations

import pytest

from bridge.events.task_parameters import TaskParameters, parse_task_parameters, parse_task_query
from kelp.errors import InvalidRequest


def test_the_defaults_are_those_of_the_docs() -> None:
    crop = parse_task_query("crop", b"target_proj_id=7")
    assert crop.settings == {"size": 1920, "format": "jpeg", "quality": 95}
    assert (crop.target, crop.label, crop.skip_invalid, crop.model) == (7, None, False, "")
    assert crop.on == {"task_completed", "jobs_completed"}
    grid = parse_task_query("remove-grid", b"target_proj_id=7")
    # The model's card says what is not given.
    assert (grid.model, grid.settings) == ("pth-lama", {})


def test_equal_wishes_are_equal_however_they_are_spelled() -> None:
    one = parse_task_query("crop", "target_proj_id=7&size=1920&skip_invalid=TRUE&on=jobs_completed,task_completed")
    other = parse_task_query("crop", "skip_invalid=1&target_proj_id=07&format=JPEG")
    assert one.canonical == other.canonical
    assert parse_task_parameters("crop", [("target_proj_id", 7), ("skip_invalid", True)]) == one
    assert TaskParameters.from_json(one.to_json()) == one
    assert parse_task_parameters("crop", [("target_proj_id", 7)], "x").canonical != one.canonical


@pytest.mark.parametrize(
    ("kind", "query", "names"),
    [
        ("crop", "", "target_proj_id"),
        ("crop", "target_proj_id=", "target_proj_id"),
        ("crop", "target_proj_id=x", "target_proj_id"),
        ("crop", "target_proj_id=0", "target_proj_id"),
        ("crop", "target_proj_id=9223372036854775808", "target_proj_id"),
        ("crop", "target_proj_id=%C2%B2", "target_proj_id"),
        ("crop", "target_proj_id=7&target_proj_id=8", "target_proj_id"),
        ("crop", "target_proj_id=7&model_name=m", "model_name"),
        ("crop", "target_proj_id=7&grid_line_width=8", "grid_line_width"),
        ("crop", "target_proj_id=7&colour=red", "colour"),
        ("crop", "target_proj_id=7&on=started", "on"),
        ("crop", "target_proj_id=7&size=31", "size"),
        ("crop", "target_proj_id=7&size=12.5", "size"),
        ("crop", "target_proj_id=7&quality=101", "quality"),
        ("crop", "target_proj_id=7&format=webp", "format"),
        ("crop", "target_proj_id=7&skip_invalid=perhaps", "skip_invalid"),
        ("crop", "target_proj_id=7&label=", "label"),
        ("remove-grid", "target_proj_id=7&label=grid", "label"),
        ("remove-grid", "target_proj_id=7&size=1920", "size"),
        ("remove-grid", "target_proj_id=7&model_name=", "model_name"),
        ("remove-grid", "target_proj_id=7&grid_line_width=0", "grid_line_width"),
    ],
)
def test_what_cannot_be_meant_is_named(kind: str, query: str, names: str) -> None:
    with pytest.raises(InvalidRequest, match=f"'{names}'"):
        parse_task_query(kind, query)  # type: ignore[arg-type]
