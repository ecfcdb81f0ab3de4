"""How code models are asked to fill in the middle, told from the special tokens they know.

Each family was trained on one order of prefix, suffix and middle; the token names are those of the
families' published tokenizers. A family counts only if the vocabulary has all of its tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container


@dataclass(frozen=True, slots=True)
class FimFamily:
    """``prefix``, ``suffix`` and ``middle`` are special tokens; an empty ``middle`` has none."""

    name: str
    prefix: str
    suffix: str
    middle: str
    suffix_first: bool = False

    @property
    def tokens(self) -> tuple[str, ...]:
        """The special tokens this family needs."""
        return tuple(token for token in (self.prefix, self.suffix, self.middle) if token)

    def order(self, prefix: list[int], suffix: list[int]) -> list[tuple[str, list[int]]]:
        """The prompt as pairs of a special token and the ids after it."""
        if self.suffix_first:
            return [(self.suffix, suffix), (self.prefix, prefix)]
        return [(self.prefix, prefix), (self.suffix, suffix), (self.middle, [])]


FAMILIES = (
    FimFamily("qwen2.5-coder", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    FimFamily("starcoder", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    FimFamily("granite", "<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    FimFamily(
        "deepseek-coder",
        "<\uff5cfim\u2581begin\uff5c>",
        "<\uff5cfim\u2581hole\uff5c>",
        "<\uff5cfim\u2581end\uff5c>",
    ),
    FimFamily("codellama", "▁<PRE>", "▁<SUF>", "▁<MID>"),
    FimFamily("codestral", "[PREFIX]", "[SUFFIX]", "", suffix_first=True),
)
"""CodeGemma uses the tokens of ``qwen2.5-coder``, StarCoder2 and older Granite those of
``starcoder``."""


def detect(vocabulary: Container[str]) -> FimFamily | None:
    """Return the family whose tokens are all in ``vocabulary``, if there is one."""
    for family in FAMILIES:
        if all(token in vocabulary for token in family.tokens):
            return family
    return None
