"""The tokenizer that a model's files describe, by a library quicker than the pipeline's own.

OpenVINO runs a tokenizer as a network of its own; when the caches hold something else, as they do
after a step, that takes four times as long as the ``tokenizers`` library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Sequence, Split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from hexkey.engines.openvino.gguf import Value

Encode = Callable[[str], list[int]]

_SPECIAL = (3, 4)
"""Token types, control and the user's own, whose names are read as the tokens."""

_QWEN = Regex(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

PROBE = (
    "It's 1234567 words, they'LL say: «naïve» cafe\u0301, ǅ, Å\u00a0x\u2028y\u3000z\u200b!\r\n"
    "\tdef f(x_1):\n\n\n        return {'a': [x**2, -0.5e10]}  # ½ Ⅷ ٣४\n\n"
    " 漢字かな 한국어 🙂👩\u200d🚀\n   "
)
"""A text whose tokens tell one tokenizer from another."""


_RULES: Mapping[Value | None, tuple[PreTokenizer, PreTokenizer]] = {
    b"smollm": (Digits(individual_digits=True), ByteLevel(add_prefix_space=False)),
    b"qwen2": (
        Split(_QWEN, behavior="isolated"),
        ByteLevel(add_prefix_space=False, use_regex=False),
    ),
}
"""How a text falls into words before pairs are merged, by GGUF's name for it.

Source: ``pre_tokenizer`` in the ``tokenizer.json`` of SmolLM2 and of Qwen2.5.
"""


def of_gguf(metadata: Mapping[str, Value]) -> Tokenizer | None:
    """Return the tokenizer of a GGUF file, if its rules are known here."""
    tokens, merges, kinds, pre = (
        metadata.get(f"tokenizer.ggml.{key}") for key in ("tokens", "merges", "token_type", "pre")
    )
    rules = _RULES.get(pre)
    if rules is None or not (isinstance(tokens, tuple) and isinstance(merges, tuple)):
        return None
    try:
        names = _texts(tokens)
        pairs = [(left, right) for left, right in (one.split(" ") for one in _texts(merges))]
        tokenizer = Tokenizer(BPE({name: at for at, name in enumerate(names)}, pairs))
    except Exception:  # noqa: BLE001 - tokenizers raises no kind of its own; the pipeline reads it
        return None
    tokenizer.pre_tokenizer = Sequence([*rules])
    if isinstance(kinds, tuple):
        special = [name for name, kind in zip(names, kinds, strict=False) if kind in _SPECIAL]
        tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in special])
    return tokenizer


def of_folder(folder: Path) -> Tokenizer | None:
    """Return the tokenizer of a folder's ``tokenizer.json``, if there is one to be read."""
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception:  # noqa: BLE001 - as above
        return None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def quickest(own: Encode, tokenizer: Tokenizer | None, names: Iterable[str]) -> Encode:
    """Return what encodes a text: ``tokenizer``, or ``own`` where the two differ.

    They are tried on ``PROBE`` and on the ``names`` of control tokens. One that can encode less
    than any text raises, and does not serve.
    """
    if tokenizer is None:
        return own
    plain = tokenizer.encode

    def quick(text: str) -> list[int]:
        ids: list[int] = plain(text, add_special_tokens=False).ids
        return ids

    texts = [PROBE, PROBE.strip(), "  " + PROBE, *(f"{name}a {name} b{name}\n" for name in names)]
    try:
        return quick if all(quick(text) == own(text) for text in texts) else own
    except Exception:  # noqa: BLE001 - as above
        return own


def _texts(values: tuple[object, ...]) -> list[str]:
    return [value.decode() for value in values if isinstance(value, bytes)]
