"""Labels that only the weights carry are known before the model has ever run, where the file tells them."""

from __future__ import annotations

import pytest

from kelp.card import Card
from kelp.local.labels import Labels, onnx_names

onnx = pytest.importorskip("onnx")


@pytest.fixture
def weights(tmp_path):
    """An ONNX file of some size with these metadata."""

    def make(**metadata: str):
        value = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [1000], [0.5] * 1000)
        node = onnx.helper.make_node("Identity", ["w"], ["y"])
        output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1000])
        model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [output], [value]))
        onnx.helper.set_model_props(model, metadata)
        path = tmp_path / "best.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return make


def test_names_are_read_from_an_onnx_file_in_their_order(weights):
    path = weights(stride="32", names="{1: 'Porites', 0: 'Acropora', 10: \"d'Urville\"}")
    assert onnx_names(path) == ["Acropora", "Porites", "d'Urville"]


@pytest.mark.parametrize("names", ["", "['a', 'b']", "{'a': 1}", "__import__('os').getcwd()", "{0: 'a'", "(" * 5000])
def test_what_is_no_table_of_names_is_none(weights, names):
    assert onnx_names(weights(names=names)) == []


def test_a_file_that_is_no_onnx_has_no_names(tmp_path):
    path = tmp_path / "best.onnx"
    for content in (b"", b"not protobuf at all", bytes(1000)):
        path.write_bytes(content)
        assert onnx_names(path) == []


def test_a_card_without_labels_gets_those_of_its_weights(weights, tmp_path):
    uri = str(weights(names="{0: 'Acropora'}"))
    fields = {"name": "reef", "runtime": "yolo", "task": "segment", "weights": {"uri": uri}}
    labels = Labels(tmp_path / "cache")
    assert [label.name for label in labels.of(Card.model_validate(fields))] == ["Acropora"]
    own = Card.model_validate({**fields, "labels": [{"name": "coral", "type": "mask"}]})
    assert [label.name for label in labels.of(own)] == ["coral"]
