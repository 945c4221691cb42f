"""The one table of a model's settings."""

from typing import Any

import pytest

from kelp.errors import InvalidRequest
from kelp.settings.model import MODEL_SETTINGS, effective_settings, parse_settings, settings_of

SEGMENT = settings_of("segment")


def test_the_documented_defaults() -> None:
    assert {s.name: s.default for s in MODEL_SETTINGS} == {
        "conf_threshold": 0.25,
        "iou_threshold": 0.5,
        "conv_mask_to_poly": None,
        "shape": "auto",
        "use_template_matching": True,
        "grid_line_width": 8.0,
        "simplify_px": 1.0,
        "max_detections": 300,
        "format": "png",
        "quality": 95,
    }


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("conf_threshold", "0.4", 0.4),
        ("conf_threshold", 1, 1.0),
        ("max_detections", "12", 12),
        ("max_detections", 12.0, 12),
        ("conv_mask_to_poly", "True", True),
        ("conv_mask_to_poly", "0", False),
        ("conv_mask_to_poly", False, False),
        ("shape", " Polyline ", "polyline"),
    ],
)
def test_values_are_also_taken_as_text(name: str, given: Any, value: Any) -> None:
    parsed = parse_settings({name: given}, SEGMENT)[name]
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("conf_threshold", 1.01, "'conf_threshold': expected a number from 0 to 1, got 1.01"),
        ("conf_threshold", "nan", "expected a number from 0 to 1"),
        ("conf_threshold", True, "expected a number from 0 to 1"),
        ("conf_threshold", "1e999", "expected a number from 0 to 1"),
        ("max_detections", 2.5, "'max_detections': expected an integer from 1 to 10000"),
        ("max_detections", 0, "expected an integer from 1 to 10000"),
        ("conv_mask_to_poly", "yes", "'conv_mask_to_poly': expected true or false"),
        ("conv_mask_to_poly", None, "expected true or false"),
        ("shape", "circle", "'shape': expected one of auto, polygon"),
        ("shape", [1], "'shape': expected one of auto, polygon"),
        ("conf_treshold", 0.5, "unknown parameter 'conf_treshold'; this model has: conf_threshold"),
        ("grid_line_width", 8, "unknown parameter 'grid_line_width'"),
    ],
)
def test_wrong_values_are_named(name: str, given: Any, says: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_settings({name: given}, SEGMENT)
    assert says in str(refused.value)
    assert refused.value.status == 400


def test_a_request_wins_over_the_card_and_the_card_over_the_default() -> None:
    values = effective_settings(SEGMENT, {"conf_threshold": 0.4, "iou_threshold": 0.6}, {"conf_threshold": "0.7"})
    assert (values["conf_threshold"], values["iou_threshold"], values["max_detections"]) == (0.7, 0.6, 300)


def test_a_long_wrong_value_is_not_echoed_whole() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_settings({"shape": "x" * 10_000}, SEGMENT)
    assert len(str(refused.value)) < 300
