"""File names of new frames: the own ones, all different."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.tasks.names import new_names


def test_the_ending_changes_only_where_the_form_does() -> None:
    names = {0: "a.jpg", 1: "b.JPEG", 2: "c.tif", 3: "noending", 4: ".hidden", 5: "two.dots.png"}
    assert list(new_names(names, "jpeg").values()) == [
        "a.jpg", "b.JPEG", "c.jpg", "noending.jpg", ".hidden.jpg", "two.dots.jpg",
    ]  # fmt: skip
    assert new_names({0: "a.jpg", 1: "b.PNG"}, "png") == {0: "a.png", 1: "b.PNG"}


def test_names_that_would_collide_get_their_frame() -> None:
    assert new_names({0: "x/a.jpg", 3: "y\\a.jpg", 5: "a.png", 7: "b.jpg"}, "jpeg") == {
        0: "a-0.jpg", 3: "a-3.jpg", 5: "a-5.jpg", 7: "b.jpg",
    }  # fmt: skip
    assert new_names({0: "a.jpg", 1: "a.png", 2: "a-0.jpg"}, "jpeg") == {0: "a-0-0.jpg", 1: "a-1.jpg", 2: "a-0.jpg"}
    assert new_names({4: "film.mp4", 9: "film.mp4"}, "png") == {4: "film-4.png", 9: "film-9.png"}


PARTS = st.lists(st.sampled_from(["a", "b", "-0", "-1", ".jpg", ".png", "/", "\\", "."]), min_size=1, max_size=5)


@given(st.lists(PARTS.map("".join), max_size=12), st.sampled_from(["jpeg", "png"]))
def test_they_are_all_different_and_base_names(names: list[str], form: str) -> None:
    found = list(new_names(dict(enumerate(names)), form).values())
    assert len(set(found)) == len(names)
    assert not any(set(name) & {"/", "\\"} for name in found)
    endings = (".jpg", ".jpeg") if form == "jpeg" else (".png",)
    assert all(name.lower().endswith(endings) for name in found)
