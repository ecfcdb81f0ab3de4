"""The first bytes of model files: magic numbers, and lengths that must fit into the file.

Sources: the GGUF specification (ggml), the safetensors format description, onnx.proto (field 1
of ModelProto is the IR version), Marian's binary format version 1, and CTranslate2's model
serialisation (u32 version, then the specification's name as a u16-prefixed C string), and
OpenVINO's IR (a ``net`` element; the ``.bin`` beside it is bare numbers).
All integers are little-endian.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = 512
_ZIP = b"PK\x03\x04"
_PICKLE_PROTO = 0x80
_PICKLE_VERSIONS = range(2, 6)

_GGUF_HEADER = struct.Struct("<4sIQQ")  # magic, version, tensors, metadata pairs
_GGUF_VERSIONS = range(2, 4)
_GGUF_TENSOR_MIN = 8 + 4 + 8 + 4 + 8  # name length, dimensions, one dimension, type, offset
_GGUF_PAIR_MIN = 8 + 4 + 1  # key length, type, the smallest value

_SAFETENSORS_HEADER_MAX = 100_000_000

_ONNX_IR_TAG = 0x08  # field 1, varint
_ONNX_IR_VERSIONS = range(3, 64)

_MARIAN_MODEL = struct.Struct("<QQ")  # version, tensors
_MARIAN_TENSOR = 4 * 8
_MARIAN_SHORTLIST = struct.Struct("<6Q")  # magic, checksum, first, best, words, ids
_MARIAN_SHORTLIST_MAGIC = 0xF11A48D5013417F5

_CTRANSLATE2 = struct.Struct("<IH")  # version, length of the specification's name
_CTRANSLATE2_VERSIONS = range(1, 32)
_CTRANSLATE2_NAME_MAX = 128


def _head(path: Path) -> tuple[bytes, int]:
    """Read the first bytes of a file, and its size."""
    with path.open("rb") as file:
        return file.read(_HEAD), path.stat().st_size


def is_pickle(path: Path) -> bool:
    """Tell whether a file starts as a pickle (protocol 2 to 5) or as the zip torch wraps one in."""
    head, _ = _head(path)
    return head.startswith(_ZIP) or (
        len(head) > 1 and head[0] == _PICKLE_PROTO and head[1] in _PICKLE_VERSIONS
    )


def check_gguf(path: Path) -> None:
    """Raise ModelError unless the magic, the version and the counts can be true."""
    head, size = _head(path)
    if len(head) < _GGUF_HEADER.size or not head.startswith(b"GGUF"):
        raise ModelError(f"{path} is no GGUF file: it does not begin with 'GGUF'; fetch it again")
    _, version, tensors, pairs = _GGUF_HEADER.unpack_from(head)
    if version not in _GGUF_VERSIONS:
        raise ModelError(f"{path} is GGUF version {version}; versions 2 and 3 are read")
    if tensors * _GGUF_TENSOR_MIN + pairs * _GGUF_PAIR_MIN > size:
        raise ModelError(
            f"{path} declares {tensors} tensors and {pairs} metadata pairs, more than its {size} "
            "bytes can hold: it is damaged; fetch it again"
        )


def check_safetensors(path: Path) -> None:
    """Raise ModelError unless the JSON header fits into the file and into 100 MB."""
    head, size = _head(path)
    length = int.from_bytes(head[:8], "little")
    if length > _SAFETENSORS_HEADER_MAX or 8 + length > size or head[8:9] != b"{":
        raise ModelError(
            f"{path} declares a header of {length} bytes in a file of {size}, or no JSON header at "
            "all: it is no safetensors file, or damaged; fetch it again"
        )


def check_onnx(path: Path) -> None:
    """Raise ModelError unless the file begins with a known IR version."""
    head, _ = _head(path)
    if len(head) < 2 or head[0] != _ONNX_IR_TAG or head[1] not in _ONNX_IR_VERSIONS:  # noqa: PLR2004 - tag and value
        raise ModelError(f"{path} does not begin as an ONNX model does; fetch it again")


def check_openvino(path: Path) -> None:
    """Raise ModelError unless the file begins as a network of OpenVINO's and has its weights."""
    head, _ = _head(path)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<?xml"):
        start = start.partition(b"?>")[2].lstrip()
    if not start.startswith(b"<net "):
        raise ModelError(f"{path} does not begin as an OpenVINO model does; fetch it again")
    if not path.with_suffix(".bin").is_file():
        raise ModelError(
            f"{path.with_suffix('.bin')} is missing: it has the weights of {path.name}"
        )


def is_marian_model(path: Path) -> bool:
    """Tell whether a file is a Marian binary whose tensor table fits into it."""
    head, size = _head(path)
    if len(head) < _MARIAN_MODEL.size:
        return False
    version, tensors = _MARIAN_MODEL.unpack_from(head)
    return bool(version == 1 and 0 < tensors * _MARIAN_TENSOR <= size - _MARIAN_MODEL.size)


def is_marian_shortlist(path: Path) -> bool:
    """Tell whether a file is a lexical shortlist exactly as long as its counts say."""
    head, size = _head(path)
    if len(head) < _MARIAN_SHORTLIST.size:
        return False
    magic, _, _, _, words, ids = _MARIAN_SHORTLIST.unpack_from(head)
    return bool(
        magic == _MARIAN_SHORTLIST_MAGIC and size == _MARIAN_SHORTLIST.size + 8 * words + 4 * ids
    )


def is_ctranslate2_model(path: Path) -> bool:
    """Tell whether a file begins with a CTranslate2 version and a specification's name."""
    head, _ = _head(path)
    if len(head) < _CTRANSLATE2.size:
        return False
    version, length = _CTRANSLATE2.unpack_from(head)
    name = head[_CTRANSLATE2.size :][:length]
    return (
        version in _CTRANSLATE2_VERSIONS
        and 1 < length <= _CTRANSLATE2_NAME_MAX
        and name.endswith(b"\0")
        and name[:-1].isalnum()
    )
