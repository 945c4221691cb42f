"""The webhook's query: what is meant is understood however it is spelled, what cannot be meant is named."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.events.parameters import DetectParameters, parse_parameters, parse_query
from kelp.errors import InvalidRequest


def test_only_the_model_must_be_given() -> None:
    assert parse_query(b"model_name=pth-yolo-coralsegv4") == DetectParameters("pth-yolo-coralsegv4")


def test_all_of_them() -> None:
    query = (
        "model_name=m&on=started,completed&label_map=coral:Acropora%20sp.,rock:,a%3Ab:c&labels=coral,rock"
        "&existing=add&conv_mask_to_poly=true&shape=polyline&conf_threshold=0.4&iou_threshold=.6&simplify_px=0"
        "&max_detections=10&use_template_matching=0"
    )
    # A percent-encoded colon is a colon once decoded: the first one separates.
    parameters = parse_query(query.replace("a%3Ab:c", "c:D"))
    assert parameters.on == {"started", "completed"}
    assert parameters.label_map == {"coral": "Acropora sp.", "rock": None, "c": "D"}
    assert parameters.labels == {"coral", "rock"}
    assert parameters.existing == "add"
    assert parameters.settings == {
        "conv_mask_to_poly": True, "shape": "polyline", "conf_threshold": 0.4, "iou_threshold": 0.6, "simplify_px": 0.0,
        "max_detections": 10, "use_template_matching": False,
    }  # fmt: skip


@pytest.mark.parametrize("spelled", ["NAME@v2", "NAME-v2", " NAME@v2 "])
def test_a_version_may_stand_behind_an_at(spelled: str) -> None:
    assert parse_query(f"model_name={quote(spelled)}").model == "NAME-v2"


# query, what the message must name
REFUSED = [
    ("", "model_name"),
    ("model_name=", "model_name"),
    ("model_name=m&model_name=n", "model_name"),
    ("model_name=m&confthreshold=0.5", "confthreshold"),
    ("model_name=m&conf_threshold=1.5", "conf_threshold"),
    ("model_name=m&conf_threshold=nan", "conf_threshold"),
    ("model_name=m&conf_threshold=", "conf_threshold"),
    ("model_name=m&conv_mask_to_poly=yes", "conv_mask_to_poly"),
    ("model_name=m&shape=cuboid", "shape"),
    ("model_name=m&on=opened", "opened"),
    ("model_name=m&on=", "on"),
    ("model_name=m&existing=keep", "existing"),
    ("model_name=m&label_map=coral", "label_map"),
    ("model_name=m&label_map=a:b,a:c", "label_map"),
    ("model_name=m&label_map=:b", "label_map"),
    ("model_name=m&labels=", "labels"),
    ("model_name=m&target_proj_id=5", "target_proj_id"),
    ("model_name=m&grid_line_width=8", "grid_line_width"),  # an inpainter's
    ("model_name=%ff", "query"),
    ("model_name=m&x", "query"),
    ("model_name=m&labels=" + "x" * 9000, "query"),
]


@pytest.mark.parametrize(("query", "named"), REFUSED)
def test_a_fault_is_named(query: str, named: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_query(query.encode())
    assert named in refused.value.message


def test_the_parameters_there_are_are_named_once_each() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_query("model_name=m&colour=red", {"conf_threshold", "points_per_side"})
    names = refused.value.message.partition("there are: ")[2].split(", ")
    assert "points_per_side" in names
    assert len(names) == len(set(names))


def test_what_a_runtime_declares_itself_passes_with_its_type() -> None:
    parameters = parse_query("model_name=m&points_per_side=32&fine=true&mode=slow", {"points_per_side", "fine", "mode"})
    assert parameters.settings == {"points_per_side": 32, "fine": True, "mode": "slow"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("model_name=m&conf_threshold=0.5&labels=b,a", "labels=a,b&conf_threshold=0.50&model_name=m"),
        ("model_name=m&on=completed,started", "model_name=m&on=started,completed,started"),
        ("model_name=m&label_map=a:b,c:", "model_name=m&label_map=c:,a:b"),
        ("model_name=m", "model_name=m&existing=replace&on=started"),
        ("model_name=m&conv_mask_to_poly=1", "model_name=m&conv_mask_to_poly=True"),
    ],
)
def test_the_same_wish_has_one_normal_form(one: str, other: str) -> None:
    assert parse_query(one).canonical == parse_query(other).canonical


@given(
    st.sets(st.sampled_from(["started", "created", "completed"]), min_size=1),
    st.dictionaries(st.text("abc é", min_size=1).map(str.strip).filter(bool), st.sampled_from(["x", ""]), max_size=3),
    st.none() | st.sets(st.sampled_from(["coral", "rock"]), min_size=1),
    st.floats(0, 1),
)
def test_the_stored_form_says_the_same(
    on: set[str], labels: dict[str, str], keep: set[str] | None, conf: float
) -> None:
    pairs = [("model_name", "m"), ("on", sorted(on)), ("label_map", labels), ("conf_threshold", conf)]
    parameters = parse_parameters([*pairs, ("labels", sorted(keep))] if keep else pairs)
    assert DetectParameters.from_json(parameters.to_json()) == parameters
