"""The quicker tokenizer of a GGUF file makes the tokens that OpenVINO's own makes."""

from __future__ import annotations

import json
import random
import struct
from itertools import islice
from pathlib import Path

import pytest
import tokenizers
from openvino_genai import Tokenizer
from tokenizers.models import Unigram
from tokenizers.normalizers import Strip

from hexkey.engines.openvino.gguf import CONTROL, Value, read_metadata
from hexkey.engines.openvino.tokenizer import PROBE, Encode, of_folder, of_gguf, quickest
from tests.unit.engines.test_fim_tokenizers import qwen

ROOT = Path(__file__).parents[4]
PIECES = [
    *"abc XYZ 019'\"\n\t\r.,;()[]{}_-+=/\\äöüßéñ中文字日本語한국어🙂½Ⅷ٣४ǅᾳ",
    *"\u0301\u00a0\u200b\u2028\ufeff", "👩\u200d🚀", "  ", "\n\n",
    "'s", "'LL", "'re", "don't", " 12345", "https://a.b/c?d=e", "x_1", " ...",
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_", "<", "|>",
]  # fmt: skip
U32, TEXT, ARRAY, I32 = 4, 8, 9, 5


def own(path: Path) -> Encode:
    tokenizer = Tokenizer(str(path))

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).input_ids.data[0].tolist()
        return ids

    return encode


def texts() -> list[str]:
    files = [*ROOT.glob("docs/*.md"), *islice(sorted(ROOT.glob("server/hexkey/**/*.py")), 60)]
    chance = random.Random(1)  # noqa: S311
    made = ["".join(chance.choices(PIECES, k=chance.randint(1, 40))) for _ in range(1500)]
    return [PROBE, *(file.read_text()[:3000] or " " for file in files), *made]


def gguf(path: Path, tokens: list[str], merges: list[str], kinds: list[int], pre: str) -> Path:
    """Write a file that has a vocabulary and no tensors."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def array(kind: int, values: list[bytes]) -> bytes:
        return struct.pack("<IIQ", ARRAY, kind, len(values)) + b"".join(values)

    pairs = {
        "general.architecture": struct.pack("<I", TEXT) + text("llama"),
        "tokenizer.ggml.model": struct.pack("<I", TEXT) + text("gpt2"),
        "tokenizer.ggml.pre": struct.pack("<I", TEXT) + text(pre),
        "tokenizer.ggml.tokens": array(TEXT, [text(one) for one in tokens]),
        "tokenizer.ggml.merges": array(TEXT, [text(one) for one in merges]),
        "tokenizer.ggml.token_type": array(I32, [struct.pack("<i", kind) for kind in kinds]),
        "tokenizer.ggml.bos_token_id": struct.pack("<II", U32, 0),
        "tokenizer.ggml.eos_token_id": struct.pack("<II", U32, 0),
        "tokenizer.ggml.padding_token_id": struct.pack("<II", U32, 0),
    }
    body = b"".join(text(key) + value for key, value in pairs.items())
    data = struct.pack("<4sIQQ", b"GGUF", 3, 0, len(pairs)) + body
    path.write_bytes(data + bytes(-len(data) % 32))
    return path


def qwen_gguf(path: Path, pre: str) -> Path:
    """Write a file with Qwen's real vocabulary."""
    about = json.loads(qwen().read_text())
    names = {number: name for name, number in about["model"]["vocab"].items()}
    added = {one["id"]: one["content"] for one in about["added_tokens"]}
    names |= added
    tokens = [names[number] for number in range(len(names))]
    merges = [one if isinstance(one, str) else " ".join(one) for one in about["model"]["merges"]]
    return gguf(path, tokens, merges, [CONTROL if at in added else 1 for at in names], pre)


def test_smollms_ids_are_those_of_the_pipeline(smollm: Path) -> None:
    quick, slow = of_gguf(read_metadata(smollm)), own(smollm)
    assert quick is not None
    for text in texts():
        assert quick.encode(text, add_special_tokens=False).ids == slow(text), text


def test_qwens_ids_are_those_of_the_pipeline(tmp_path: Path) -> None:
    path = qwen_gguf(tmp_path / "m.gguf", "qwen2")
    quick, slow = of_gguf(read_metadata(path)), own(path)
    assert quick is not None
    for text in texts():
        assert quick.encode(text, add_special_tokens=False).ids == slow(text), text


def test_the_pipelines_own_stays_where_the_two_differ(smollm: Path) -> None:
    metadata, slow = read_metadata(smollm), own(smollm)
    names = ("<|im_start|>", "<|endoftext|>")
    assert quickest(slow, None, names) is slow
    assert quickest(slow, of_gguf(metadata), names) is not slow
    assert quickest(slow, of_gguf(metadata | {"tokenizer.ggml.pre": b"qwen2"}), names) is slow
    no_spaces = of_gguf(metadata)
    assert no_spaces is not None
    no_spaces.normalizer = Strip()
    assert quickest(slow, no_spaces, names) is slow
    assert quickest(slow, tokenizers.Tokenizer(Unigram([("a", 0.0)])), names) is slow
    # One that takes no control token for what it is.
    assert quickest(slow, of_gguf(metadata | {"tokenizer.ggml.token_type": b""}), names) is slow


@pytest.mark.parametrize(
    "other",
    [
        {"pre": b"made-up"},
        {"pre": 3},
        {"tokens": b""},
        {"merges": b""},
        {"merges": (b"one",)},
        {"merges": (b"not known",)},
        {"tokens": (b"\xff",)},
        {"tokens": (1, 2)},
    ],
)
def test_what_cannot_be_read_is_left_to_the_pipeline(smollm: Path, other: dict[str, Value]) -> None:
    changed = {f"tokenizer.ggml.{key}": value for key, value in other.items()}
    assert of_gguf(read_metadata(smollm) | changed) is None


def test_a_folders_own_file_is_read_whole(smollm: Path, tmp_path: Path) -> None:
    assert of_folder(tmp_path) is None
    written = of_gguf(read_metadata(smollm))
    assert written is not None
    written.enable_truncation(3)
    written.enable_padding(length=9)
    written.save(str(tmp_path / "tokenizer.json"))
    found = of_folder(tmp_path)
    assert found is not None
    for text in ("a", "one two three four five six seven eight nine"):
        written.no_truncation()
        written.no_padding()
        assert found.encode(text).ids == written.encode(text).ids
    (tmp_path / "tokenizer.json").write_text("{")
    assert of_folder(tmp_path) is None
