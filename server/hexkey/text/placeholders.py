# ruff: noqa: RUF001  typographic quotes and wide punctuation are meant
"""The parts of a text that a translator must copy, not translate.

Every repeat in the grammar below is bounded or possessive, so a scan takes time linear in the
text, whatever the text is.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

# `\n` in the grammar stands for all that str.splitlines cuts at
_BREAKS = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
_GRAMMAR = re.compile(
    r"""
    (?P<tag>      </?[A-Za-z][^<>\n]{0,400}> | <!--[^<>\n]{0,400}--> )
  | (?P<value>    \{\{[^{}\n]{1,80}\}\}    # {{handlebars}}
              |   \$\{[^{}\n]{1,80}\}    # ${VAR}
              |   \{[\w.:!\[\]<>^+-]{1,80}\}    # {name}, {0:.2f}
              |   %\(\w{1,80}\)[-+0\#]{0,3}\d{0,3}(?:\.\d{1,3})?[a-zA-Z]
              |   %\d{1,2}\$[-+0]{0,3}\d{0,3}(?:\.\d{1,3})?[sdifuxXcgeEGp@]
              |   &(?:\#\d{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});
              |   (?:https?|ftp)://[^\s<>"`{}\u3000-\u303f\uff01-\uff60]{0,2000}(?<![.,;:!?)\]'»”’])
              |   (?<![\w.])www\.[^\s<>"`{}\u3000-\u303f\uff01-\uff60]{0,2000}(?<![.,;:!?)\]'»”’])
              |   (?<![\w.+-])[\w.+-]{1,64}+@[\w-]{1,63}+(?:\.[\w-]{1,63}+){1,8}
              |   ``[^`\n]{1,400}`` | `[^`\n]{1,400}`
              |   (?<![\w.@])@[A-Za-z_]\w{0,63}    # @mention
              |   (?<![\w&\#/])\#\w{1,64}    # #topic
    )
  | (?P<format>   \{\} | (?<!\d)%(?:[-+0\#]{0,3}\d{0,3}(?:\.\d{1,3})?
                  (?:hh?|ll?|z)?[sdifuxXcgeEGp@]|%) )
  | (?P<symbol>   [\u00a9\u00ae\u2100-\u214f\u2190-\u2bff\U0001f000-\U0001faff]
                  [\ufe0f\u200d\u20e3\u2190-\u2bff\U0001f000-\U0001faff]{0,15} )
  | (?P<stray>    [{}<>`]++(?:[!-~]{0,39}[\w}>/`=-])? )
    """.replace(r"\n", _BREAKS),
    re.VERBOSE,
)
_BLOCK = re.compile(
    r"""</?(?:address|article|aside|blockquote|body|br|caption|d[dlt]|details|div|fig(?:caption|ure)
    |footer|form|h[1-6r]|head(?:er)?|html|img|li|main|nav|[ou]l|option|p|pre|section|select|summary
    |t(?:able|body|d|foot|h|head|itle|r)|video)\b(?!-)""",
    re.VERBOSE | re.IGNORECASE,
)
_MARKERS = re.compile(r"[{}<>`]")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`text[start:end]` of the scanned text; `kind` is tag, value, format, symbol or stray.

    A stray is a lone bracket or backtick with what is stuck to it: no placeholder by itself, but
    kept in place so that no translation can make it one.
    """

    start: int
    end: int
    kind: str
    text: str

    @property
    def ordered(self) -> bool:
        """Whether its meaning hangs on its rank: `%s` takes the next argument, tags nest."""
        return self.kind in {"tag", "format", "stray"}

    @property
    def inert(self) -> bool:
        """Whether a sentence reads the same without it, so that it may stand outside."""
        return self.kind in {"tag", "symbol"}

    @property
    def breaks(self) -> bool:
        """Whether it is a tag of a block (`<p>`, `<br/>`, `<li>`): no sentence goes across."""
        return self.kind == "tag" and is_block(self.text)


def is_block(tag: str) -> bool:
    """Tell whether a tag is that of an HTML block."""
    return _BLOCK.match(tag) is not None


def find(text: str) -> Iterator[Placeholder]:
    """Yield the placeholders of `text` from left to right; no two overlap."""
    for match in _GRAMMAR.finditer(text):
        yield Placeholder(match.start(), match.end(), str(match.lastgroup), match[0])


def census(text: str) -> Counter[str]:
    """Count each placeholder of `text`: what a translation has to keep."""
    return Counter(match[0] for match in _GRAMMAR.finditer(text))


def is_plain(text: str) -> bool:
    """Tell whether `text` has no placeholder and no character that could become part of one."""
    return _MARKERS.search(text) is None and _GRAMMAR.search(text) is None


def has_words(text: str) -> bool:
    """Tell whether `text` has a letter outside its placeholders: something to translate."""
    end = 0
    for found in find(text):
        if any(map(str.isalpha, text[end : found.start])):
            return True
        end = found.end
    return any(map(str.isalpha, text[end:]))
