"""How code models are asked to fill in the middle, told from the special tokens they know.

Each family was trained on one order of prefix, suffix and middle, and on one way to tell files
apart; the names are those of the families' published tokenizers and papers. A family counts only
if the vocabulary has all of its tokens, and the first that counts is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container


@dataclass(frozen=True, slots=True)
class FimFamily:
    """``prefix``, ``suffix`` and ``middle`` are special tokens; an empty ``middle`` has none.

    ``file`` is the special token before each file's path; a family without one gets other files
    at the beginning of the prefix, each under ``header`` (empty: under a comment with its path).
    The path of the file to complete follows ``file``, or with ``path_inside`` ``prefix``.
    """

    name: str
    prefix: str
    suffix: str
    middle: str
    suffix_first: bool = False
    file: str = ""
    path_inside: bool = False
    header: str = ""

    @property
    def tokens(self) -> tuple[str, ...]:
        """The special tokens this family needs."""
        return tuple(filter(None, (self.prefix, self.suffix, self.middle, self.file)))

    @property
    def frame(self) -> int:
        """Special tokens around prefix and suffix."""
        return 2 + bool(self.middle)

    def order(self, prefix: list[int], suffix: list[int]) -> list[tuple[str, list[int]]]:
        """The prompt as pairs of a special token and the ids after it."""
        if self.suffix_first:
            return [(self.suffix, suffix), (self.prefix, prefix)]
        return [(self.prefix, prefix), (self.suffix, suffix), (self.middle, [])]


_PIPED = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
_PLAIN = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")

FAMILIES = (
    FimFamily("qwen2.5-coder", *_PIPED, file="<|file_sep|>"),
    FimFamily("codegemma", *_PIPED, file="<|file_separator|>"),
    FimFamily("granite-4", *_PIPED, file="<|filename|>"),
    FimFamily("starcoder2", *_PLAIN, file="<file_sep>", path_inside=True),
    # StarCoder and the Granite models up to 3 as well.
    FimFamily("granite", *_PLAIN, file="<filename>"),
    FimFamily("santacoder", "<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    FimFamily(
        "deepseek-coder",
        "<\uff5cfim\u2581begin\uff5c>",
        "<\uff5cfim\u2581hole\uff5c>",
        "<\uff5cfim\u2581end\uff5c>",
    ),
    FimFamily("codellama", "▁<PRE>", "▁<SUF>", "▁<MID>"),
    FimFamily("codestral", "[PREFIX]", "[SUFFIX]", "", suffix_first=True, header="+++++ {path}\n"),
    FimFamily("piped", *_PIPED),
    FimFamily("plain", *_PLAIN),
)
"""The last two are for whoever took over the tokens and no way to tell files apart."""


def detect(vocabulary: Container[str]) -> FimFamily | None:
    """Return the family whose tokens are all in ``vocabulary``, if there is one."""
    for family in FAMILIES:
        if all(token in vocabulary for token in family.tokens):
            return family
    return None
