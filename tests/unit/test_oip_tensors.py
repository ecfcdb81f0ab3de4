"""Tensors of the Open Inference Protocol as bytes: what is packed is what is unpacked."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.errors import ServeError
from hexkey.wire.oip.tensors import BYTES, FP32, Tensor, numbers, pack, read, texts, unpack


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_elements_survive_the_journey(elements: list[bytes]) -> None:
    tensor = Tensor("t", BYTES, (len(elements),), elements)
    packed = pack(tensor)
    assert unpack("t", packed) == elements
    assert read("t", BYTES, (len(elements), 1), packed).data == elements


@given(st.binary(max_size=40))
def test_any_bytes_are_elements_or_refused(raw: bytes) -> None:
    try:
        elements = unpack("t", raw)
    except ServeError as error:
        assert error.param == "t"  # noqa: PT017 - a refusal is as good an outcome
    else:
        assert pack(Tensor("t", BYTES, (len(elements),), elements)) == raw


def test_numbers_are_little_endian_floats_row_by_row() -> None:
    tensor = numbers("v", [(1.0, 2.0), (3.0, -0.5)])
    assert (tensor.datatype, tensor.shape) == (FP32, (2, 2))
    assert pack(tensor) == struct.pack("<4f", 1, 2, 3, -0.5)
    assert texts("t", ["é"]).data == ["é".encode()]


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "message"),
    [
        (FP32, (1,), [b"a"], "text is taken as BYTES"),
        (BYTES, (2,), [b"a"], "1 elements, not as its shape says"),
        (BYTES, (-1,), [b"a"], "not as its shape says"),
        (BYTES, (1,), b"\x05\0\0\0a", "ends within an element"),
        (BYTES, (1,), b"\x05\0\0", "ends within an element"),
        (BYTES, (1 << 21,), bytes(8 << 20), "more than 2048 elements"),
        (BYTES, (2049,), [b""] * 2049, "more than 2048 elements"),
    ],
)
def test_an_input_that_lies_is_refused(
    datatype: str, shape: tuple[int, ...], data: bytes | list[bytes], message: str
) -> None:
    with pytest.raises(ServeError, match=message):
        read("t", datatype, shape, data)
