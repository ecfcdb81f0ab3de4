from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest

from hexkey.models.errors import ModelError
from hexkey.models.formats import Format, detect

from .conftest import CTRANSLATE2, GGUF, MARIAN, ONNX, OPENVINO, SAFETENSORS, SHORTLIST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Make = Callable[[Mapping[str, bytes]], Path]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"m.gguf": GGUF}, Format.GGUF),
        ({"model.safetensors": SAFETENSORS, "config.json": b"{}"}, Format.SAFETENSORS),
        ({"onnx/model.onnx": ONNX}, Format.ONNX),
        ({"model.bin": CTRANSLATE2, "config.json": b"{}"}, Format.CTRANSLATE2),
        ({"model.enpt.bin": MARIAN, "lex.bin": SHORTLIST, "vocab.spm": b"x"}, Format.MARIAN),
        ({"model.safetensors": SAFETENSORS, "model.onnx": ONNX}, Format.SAFETENSORS),
        ({"m.xml": OPENVINO, "m.bin": b"\x00\x3c", "config.json": b"{}"}, Format.OPENVINO),
        ({"m.xml": OPENVINO.partition(b"\n")[2], "m.bin": b""}, Format.OPENVINO),
    ],
)
def test_each_format_is_known_by_its_header(
    folder: Make, files: dict[str, bytes], expected: Format
) -> None:
    assert detect(folder(files), files) is expected


@pytest.mark.parametrize("data", [b"PK\x03\x04" + bytes(60), b"\x80\x02}q\x00."])
def test_a_network_beside_it_makes_no_pickle_good(folder: Make, data: bytes) -> None:
    files = {"m.xml": OPENVINO, "m.bin": data}
    with pytest.raises(ModelError, match="pickle"):
        detect(folder(files), files)


TORCH_ZIP = b"PK\x03\x04" + bytes(60)
PICKLE = b"\x80\x02}q\x00."
AUTO_MAP = json.dumps({"text_config": [{"auto_map": {"AutoModel": "m.M"}}]}).encode()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("model.pt", b"anything", "pickle"),
        ("model.PKL", b"anything", "pickle"),
        ("pytorch_model.bin", TORCH_ZIP, "pickle"),
        ("model.bin", PICKLE, "pickle"),
        ("vocab.txt", PICKLE, "pickle"),
        ("modeling_x.py", b"", "code"),
        ("lib.so", b"", "code"),
        ("config.json", AUTO_MAP, "auto_map"),
        ("tokenizer_config.json", AUTO_MAP, "auto_map"),
        ("config.json", b"{", "not JSON"),
        ("config.json", b"[" * 200_000, "not JSON"),
        ("weights.bin", b"some bytes", "no Marian and no CTranslate2"),
        ("weights.bin", b"", "no Marian and no CTranslate2"),
        ("lex.bin", SHORTLIST[:-1], "no Marian and no CTranslate2"),
        ("m.xml", OPENVINO, "is missing"),
        ("m.xml", b"<html><net /></html>", "does not begin as an OpenVINO model"),
    ],
)
def test_a_forbidden_file_beside_a_good_model_is_refused_by_name(
    folder: Make, name: str, data: bytes, message: str
) -> None:
    files = {"m.gguf": GGUF, name: data}
    with pytest.raises(ModelError, match=message) as raised:
        detect(folder(files), files)
    assert name.partition(".")[0] in str(raised.value)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("m.gguf", b""),
        ("m.gguf", GGUF[:10]),
        ("m.gguf", b"X" + GGUF[1:]),
        ("m.gguf", struct.pack("<4sIQQ", b"GGUF", 1, 1, 1) + bytes(64)),
        ("m.gguf", struct.pack(">4sIQQ", b"GGUF", 3, 1, 1) + bytes(64)),
        ("m.gguf", struct.pack("<4sIQQ", b"GGUF", 3, 2**63, 1) + bytes(64)),
        ("m.gguf", struct.pack("<4sIQQ", b"GGUF", 3, 1, 2**63) + bytes(64)),
        ("m.safetensors", b""),
        ("m.safetensors", (200_000_000).to_bytes(8, "little") + b"{}"),
        ("m.safetensors", (3).to_bytes(8, "little") + b"{}"),
        ("m.safetensors", (2).to_bytes(8, "little") + b"[]"),
        ("m.onnx", b""),
        ("m.onnx", b"\x00\x00"),
        ("model.m.bin", struct.pack("<QQ", 1, 2**40) + bytes(64)),
        ("model.m.bin", struct.pack("<QQ", 1, 0) + bytes(64)),
        ("model.bin", struct.pack("<IH", 6, 60_000) + bytes(64)),
    ],
)
def test_a_header_that_cannot_be_true_is_refused(folder: Make, name: str, data: bytes) -> None:
    with pytest.raises(ModelError, match=name):
        detect(folder({name: data}), [name])


def test_no_model_at_all_says_what_was_found(folder: Make) -> None:
    with pytest.raises(ModelError, match=r"holds no model.*found README.md"):
        detect(folder({"README.md": b"x"}), ["README.md"])
