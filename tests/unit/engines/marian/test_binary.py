from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hexkey.engines.marian.architecture import Architecture
from hexkey.engines.marian.binary import FLOAT32, INTGEMM8, MarianBinary

from .files import CONFIG_OF_TINY, Tensor, floats, int8, tiny_tensors, write_model

if TYPE_CHECKING:
    from pathlib import Path

VECTOR = np.array([[1.5, -2, 0.25]], np.float32)
MATRIX = np.arange(-3, 3, dtype=np.int8).reshape(2, 3)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    tensors = {"bias": floats(VECTOR), "W": int8(MATRIX, 40.0)}
    return write_model(tmp_path / "model.test.bin", tensors, {"dim-emb": 3})


def test_what_was_written_is_read(good: Path) -> None:
    binary = MarianBinary(good)
    assert binary.config == {"dim-emb": 3}
    assert "W" in binary
    assert "w" not in binary
    np.testing.assert_array_equal(binary.vector("bias", 3), VECTOR[0])
    values, multiplier = binary.matrix("W", (2, 3))
    np.testing.assert_array_equal(values, MATRIX)
    assert multiplier == 40


def test_weights_are_stored_transposed(good: Path) -> None:
    values, _ = MarianBinary(good).weights("W", (2, 3))
    np.testing.assert_array_equal(values, [[-3, -1, 1], [-2, 0, 2]])


def test_arrays_outlive_the_reader(good: Path) -> None:
    vector = MarianBinary(good).vector("bias", 3)
    assert vector.tolist() == [1.5, -2, 0.25]


def test_every_truncation_is_refused(good: Path) -> None:
    whole = good.read_bytes()
    for length in range(len(whole)):
        good.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"model\.test\.bin: not a readable Marian model"):
            MarianBinary(good)


def test_no_flipped_byte_crashes_the_reader(good: Path) -> None:
    whole = good.read_bytes()
    for at in range(len(whole)):
        for flip in (0x01, 0x80, 0xFF):
            good.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
            try:
                binary = MarianBinary(good)
                binary.vector("bias", 3)
                binary.weights("W", (2, 3))
            except ValueError as error:
                assert "model.test.bin" in str(error)  # noqa: PT017 - most flips are harmless


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (0, 2, "version is 2"),
        (8, 2**63, "would end at byte"),
        (16, 2**40, "a tensor name would end"),
        (32, 99, "has 99 axes"),
        (40, 2**50, "the data of 'bias' would end"),
    ],
)
def test_a_header_is_not_believed(good: Path, at: int, value: int, why: str) -> None:
    data = bytearray(good.read_bytes())
    struct.pack_into("<Q", data, at, value)
    good.write_bytes(data)
    with pytest.raises(ValueError, match=why):
        MarianBinary(good)


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (Tensor(FLOAT32, (1, 3), bytes(8)), "needs 12 bytes but has 8"),
        (Tensor(FLOAT32, (1, -3), bytes(12)), "has the shape"),
        (Tensor(FLOAT32, (1, 4), bytes(16)), "expected 3"),
        (Tensor(INTGEMM8, (1, 3), bytes(12)), "has type 0x4101, expected 0x404"),
        (floats(np.array([1, np.nan, 2], np.float32)), "not finite"),
    ],
)
def test_a_vector_is_checked(tmp_path: Path, tensor: Tensor, why: str) -> None:
    path = write_model(tmp_path / "model.test.bin", {"bias": tensor}, {})
    with pytest.raises(ValueError, match=why):
        MarianBinary(path).vector("bias", 3)


@pytest.mark.parametrize("value", [0, -1])
def test_a_scalar_is_positive(tmp_path: Path, value: float) -> None:
    tensors = {"alpha": floats(np.array([[value]], np.float32))}
    path = write_model(tmp_path / "model.test.bin", tensors, {})
    with pytest.raises(ValueError, match="expected a positive number"):
        MarianBinary(path).scalar("alpha")


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (int8(MATRIX, 0), "quantisation multiplier 0"),
        (int8(MATRIX, np.inf), "quantisation multiplier inf"),
        (int8(MATRIX.T, 1), r"has the shape \(3, 2\), expected \(2, 3\)"),
        (Tensor(INTGEMM8, (2, 3), bytes(9)), "needs 10 bytes but has 9"),
    ],
)
def test_a_matrix_is_checked(tmp_path: Path, tensor: Tensor, why: str) -> None:
    path = write_model(tmp_path / "model.test.bin", {"W": tensor}, {})
    with pytest.raises(ValueError, match=why):
        MarianBinary(path).matrix("W", (2, 3))


@pytest.mark.parametrize("config", [b"a: [", b"\xff", b"- 1\n", b"[" * 5000, b"2021-13-45"])
def test_a_configuration_that_is_no_mapping_is_refused(tmp_path: Path, config: bytes) -> None:
    path = write_model(tmp_path / "model.test.bin", {}, config)
    with pytest.raises(ValueError, match=r"model\.test\.bin.*special:model\.yml is not"):
        MarianBinary(path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"type": "s2s"}, "type is 's2s'; only 'transformer' is supported"),
        ({"transformer-decoder-autoreg": "self-attention"}, "only 'rnn' is supported"),
        ({"dim-emb": 0}, "dim-emb is 0"),
        ({"enc-depth": "six"}, "enc-depth is 'six'"),
        ({"transformer-heads": 3}, "3 heads"),
        ({"dim-vocabs": 32000}, "dim-vocabs is 32000"),
    ],
)
def test_an_unknown_architecture_is_refused(
    tmp_path: Path, change: dict[str, object], why: str
) -> None:
    config = CONFIG_OF_TINY | change
    path = write_model(tmp_path / "model.test.bin", tiny_tensors(), config)
    with pytest.raises(ValueError, match=why):
        Architecture.of(MarianBinary(path))
