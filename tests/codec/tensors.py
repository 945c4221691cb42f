"""Tensors of every datatype for the codec's tests, and how to compare two of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kelp.codec import InferRequest, InferResponse, Tensor
from kelp.codec.datatypes import DATATYPES

NUMERIC = [kind for kind in DATATYPES.values() if kind.kind != "bytes"]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@st.composite
def numeric_tensors(draw: Any, *, finite: bool = False, names: Any = NAMES) -> Tensor:
    kind = draw(st.sampled_from([k for k in NUMERIC if k.contents] if finite else NUMERIC))
    shape = draw(SHAPES)
    if kind.name == "BF16":  # what has 8 bits of mantissa comes back as it was
        bits = draw(hnp.arrays(np.uint16, shape))
        array = np.asarray(bits.astype(np.uint32) << 16).view(np.float32)
    elif kind.kind == "float":
        elements = hnp.from_dtype(kind.dtype, allow_nan=not finite, allow_infinity=not finite)
        array = draw(hnp.arrays(kind.dtype, shape, elements=elements))
    else:
        array = draw(hnp.arrays(kind.dtype, shape))
    return Tensor(draw(names), kind.name, shape, array)


@st.composite
def bytes_tensors(draw: Any, *, elements: Any = None, names: Any = NAMES) -> Tensor:
    shape = draw(SHAPES)
    count = math.prod(shape)
    values = draw(st.lists(st.binary(max_size=20) if elements is None else elements, min_size=count, max_size=count))
    return Tensor.from_bytes(draw(names), values, shape)


PARAMETERS = st.dictionaries(
    NAMES.filter(lambda n: not n.startswith("shared_memory_") and n not in ("binary_data_output", "binary_data_size")),
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    max_size=3,
)


def assert_same_tensor(given: Tensor, wanted: Tensor) -> None:
    assert (given.name, given.datatype, tuple(given.shape)) == (wanted.name, wanted.datatype, tuple(wanted.shape))
    assert dict(given.parameters) == dict(wanted.parameters)
    if isinstance(wanted.data, np.ndarray):
        assert isinstance(given.data, np.ndarray)
        assert given.data.dtype == wanted.data.dtype
        np.testing.assert_array_equal(given.data, wanted.data)
    else:
        assert [bytes(e) for e in given.data] == [bytes(e) for e in wanted.data]


def assert_same_request(given: InferRequest, wanted: InferRequest) -> None:
    for field in ("model_name", "model_version", "id", "answer", "outputs"):
        assert getattr(given, field) == getattr(wanted, field)
    assert dict(given.parameters) == dict(wanted.parameters)
    for one, other in zip(given.inputs, wanted.inputs, strict=True):
        assert_same_tensor(one, other)


def assert_same_response(given: InferResponse, wanted: InferResponse) -> None:
    for field in ("model_name", "model_version", "id"):
        assert getattr(given, field) == getattr(wanted, field)
    assert dict(given.parameters) == dict(wanted.parameters)
    for one, other in zip(given.outputs, wanted.outputs, strict=True):
        assert_same_tensor(one, other)
