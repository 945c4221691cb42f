"""A card is read, or refused with a line that says where and why."""

from pathlib import Path

import pytest

from kelp.card import Card, card_json_schema, load_card, load_cards, parse_card
from kelp.card.load import CardError

ROOT = Path(__file__).parents[2]
SMALL = """
name: corals
runtime: yolo
task: segment
weights: {uri: best.onnx}
"""


def with_line(line: str) -> str:
    return SMALL + line + "\n"


def test_defaults_are_the_documented_ones() -> None:
    card = parse_card(SMALL)
    assert (card.scale.min, card.scale.max, card.scale.retention) == (0, 1, 300)
    assert (card.limits.body, card.limits.image_pixels) == (64 * 2**20, 100_000_000)
    assert (card.limits.queue_requests, card.limits.queue_seconds, card.limits.request_seconds) == (64, 10, 30)
    assert (card.start_timeout, card.device, card.protocol) == (600, "auto", "rest")
    assert card.weights.by_role()["model"].file == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: corals\nruntime: yolo\ntask: segment", "x.yaml: weights: required, but not there"),
        (with_line("colour: red"), "x.yaml: colour: unknown field"),
        (with_line("limits: {body: 1Mi}"), "x.yaml: limits.body: expected at least 33554432 bytes"),
        (with_line("limits: {body: lots}"), "x.yaml: limits.body: expected a size such as 64Mi"),
        (with_line("scale: {min: 2, max: 1}"), "x.yaml: scale: scale.min is above scale.max"),
        (with_line("settings: {conf_threshold: 2}"), "'conf_threshold': expected a number from 0 to 1, got 2"),
        (
            with_line("labels: [{name: a}, {name: a}]"),
            "labels.1.name: two labels have the same name, 'a': labels.0 too",
        ),
        (with_line("grid_shape: [1, 9]"), "grid_shape: expected at least 2 rows and 2 columns"),
        (with_line("labels: [{name: a, type: skeleton}]"), "x.yaml: labels.0: a skeleton, and only a skeleton"),
        (with_line("resources: {limits: {cpu: many}}"), "x.yaml: resources.limits.cpu: expected a Kubernetes quantity"),
        (SMALL.replace("corals", "Corals!"), "x.yaml: name: "),
        (SMALL.replace("{uri: best.onnx}", "{uri: d, sha256: beef}"), "x.yaml: weights.sha256: "),
        (with_line("name: reef"), "x.yaml: not YAML: 'name' stands twice"),
        (with_line("settings: {conf_threshold: 0.2, conf_threshold: 0.3}"), "'conf_threshold' stands twice"),
        ("- a\n- b", "x.yaml: expected a mapping of fields, got list"),
        ("a: [", "x.yaml: not YAML: "),
        ("", "x.yaml: expected a mapping of fields"),
    ],
)
def test_a_wrong_card_says_where_and_what_was_expected(text: str, says: str) -> None:
    with pytest.raises(CardError) as refused:
        parse_card(text, source="x.yaml")
    assert says in str(refused.value)


def test_yaml_tags_build_nothing() -> None:
    with pytest.raises(CardError):
        parse_card("name: !!python/object/apply:os.getcwd []")


def test_relative_weights_are_seen_from_the_card(tmp_path: Path) -> None:
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "a.yaml").write_text(SMALL.replace("best.onnx", "../weights/best.onnx"))
    assert load_card(tmp_path / "cards" / "a.yaml").weights.uri == str(tmp_path / "weights" / "best.onnx")


def test_storage_uris_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SMALL.replace("best.onnx", "s3://bucket/best.onnx"))
    assert load_card(tmp_path / "a.yaml").weights.uri == "s3://bucket/best.onnx"


def test_two_cards_of_one_model_name_both_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SMALL)
    (tmp_path / "b.yaml").write_text(SMALL)
    with pytest.raises(CardError, match=r"b\.yaml: name: 'corals' is already described by .*a\.yaml"):
        load_cards(tmp_path)


def test_versions_stand_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SMALL)
    (tmp_path / "b.yaml").write_text(with_line("version: v2"))
    assert set(load_cards(tmp_path)) == {"corals", "corals-v2"}


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"nope\.yaml: cannot be read"):
        load_card(tmp_path / "nope.yaml")
    with pytest.raises(CardError, match="expected a folder of model cards"):
        load_cards(tmp_path / "nope")


def test_the_schema_knows_every_field_of_a_card() -> None:
    schema = card_json_schema()
    assert set(schema["properties"]) == set(Card.model_fields)
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"name", "runtime", "task", "weights"}


def test_the_shipped_cards_load() -> None:
    cards = load_cards(ROOT / "environments" / "models")
    assert "pth-yolo-coralsegv4" in cards
