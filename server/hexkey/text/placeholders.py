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
    (?P<face>     (?<!\S)    # :-), <3, ^^
                  (?: >?[:;]['’^-]?(?:[][)(/\\*]{1,9}|D{1,9}|[PpOoXxSs3])
                  |   =['-]?[])(DP]{1,9} | </?3{1,3}
                  |   \^[_.-]{0,3}\^ | [xX]D{1,9} | -_{1,3}- | >_{1,3}< )
                  (?=[.,!?…)]{0,9}+(?:\s|\Z))
              |   [\d\#*]\ufe0f?\u20e3    # a key's emoji
    )
  | (?P<tag>      </?[A-Za-z][^<>\n]{0,400}> | <!--[^<>\n]{0,400}--> | <[!?%][^<>\n]{1,400}>
              |   !?\[(?=[^\[\]\n]{1,400}\]\()    # [a](b), ![a](b "c")
              |   \]\([^()\s]{1,2000}(?:\ "[^"\n]{0,200}")?\)
    )
  | (?P<edge>     \{\ ?[\w.]{1,80}\ ?,\ ?(?:plural|select(?:ordinal)?)\ ?,    # {n, plural, one {…}}
                  (?:\ ?offset:\d{1,3})?\ ?(?:=\d{1,6}|\w{1,40})\ ?\{
              |   \}\ ?(?:(?:=\d{1,6}|zero|one|two|few|many|other|fe?male|true|false)\ ?\{|\})
              |   [._=~*-]{4,400} | \|{1,9}    # dot leaders, columns
              |   \\[nrt](?![a-z]) | (?<![\s{$(])\\[nrt](?![a-z]{1,30}[{\[])    # \n, not \textbf{a}
    )
  | (?P<value>    \{\{\{[^{}\n]{1,80}\}\}\} | \{\{[^{}\n]{1,80}\}\}    # {{handlebars}}
              |   \{%[^{}\n]{1,200}%\} | \$\{[^{}\n]{1,80}\}    # {% if %}, ${VAR}
              |   [\#%]?\{\ ?[^\s{}]{1,80}\ ?\}    # {name}, {0:.2f}, #{name}, { $name }
              |   \{\ ?[\w.]{1,80}\ ?,\ ?(?:number|date|time)\b[^{}\n]{0,80}\}
              |   \$t\([^()\n]{1,200}\) | (?<![\w$])\$[A-Za-z_]\w{0,63}
              |   %\(\w{1,80}\)[-+0\#]{0,3}\d{0,3}(?:\.\d{1,3})?[a-zA-Z]
              |   %\d{1,2}\$[-+0]{0,3}\d{0,3}(?:\.\d{1,3})?[sdifuxXcgeEGp@]
              |   &(?:\#\d{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});
              |   (?:https?|ftp)://[^\s<>"`{}\u3000-\u303f\uff01-\uff60]{0,2000}(?<![.,;:!?)\]'»”’])
              |   (?<![\w.])www\.[^\s<>"`{}\u3000-\u303f\uff01-\uff60]{0,2000}(?<![.,;:!?)\]'»”’])
              |   (?<![\w.+-])[\w.+-]{1,64}+@[\w-]{1,63}+(?:\.[\w-]{1,63}+){1,8}
              |   ``[^`\n]{1,400}`` | `[^`\n]{1,400}`
              |   (?<!\w)[A-Za-z]:\\[^\s<>"'|?*{}`]{0,400}(?<![.,;:!)])    # C:\path
              |   (?<![\w/.~])(?:(?:~|\.{1,2})(?:/[\w.+@-]{1,100}){1,20}
                              |(?:/[\w.+@-]{1,100}){2,20})(?<!\.)    # /a/path
              |   (?<![\w.@])@:?[A-Za-z_]\w{0,63} | (?<![\w:]):[a-z]\w{1,63}+:?    # @mention, :name
              |   (?<![\w&\#/])\#\w{1,64}    # #topic
              |   (?<!\w)(?:__[A-Z][A-Z\d_]{0,60}__|[^\W_]{1,60}+(?:_{1,3}[^\W_]{1,60}+){1,9})(?!\w)
              |   (?<![^\W\d])[^\W\d_]{0,3}[²³¹⁰-₟¼-¾⅐-⅞]{1,9}    # m², ½
    )
  | (?P<format>   \{\} | (?<!\d)%(?:[-+0\#]{0,3}\d{0,3}(?:\.\d{1,3})?
                  (?:hh?|ll?|z)?[sdifuxXcgeEGp@]|%) )
  | (?P<mark>     (?<!\w)(?:\*{1,3}+|_{1,3}+|~~)(?=\S)    # **a**, _b_
              |   (?<=\S)(?:\*{1,3}+|_{1,3}+|~~)(?!\w) )
  | (?P<symbol>   (?<![\w&\#/])\#(?!\w)    # of an ICU plural
              |   [\u00a9\u00ae\u2100-\u214f\u2190-\u2bff\U0001f000-\U0001faff]
                  (?: [\ufe0e\ufe0f\u200d\u20e3\u2190-\u2bff]
                  |   [\U0001f000-\U0001faff\U000e0020-\U000e007f] ){0,15} )
  | (?P<stray>    [{}<>`]++(?:[!-~]{0,39}[\w}>/`=-])? )
    """.replace(r"\n", _BREAKS),
    re.VERBOSE,
)
_SIGN = re.compile(
    r"[]<>{}\\|`@\#%$&*~^_/[²³¹⁰-₟¼-¾⅐-⅞\u00a9\u00ae\u20e3\u2100-\u214f\u2190-\u2bff\U0001f000-\U0001faff]"
    r"|[=.:;xX-](?:(?<=[=.-])[=.-]{3}|(?<=:)[a-z]|(?<=[:;=])['’^-]?[)(DPpOoXxSs3]|(?<=[xX])D)|www\."
)
"""What every placeholder has in it, so that most sentences need no second look.

Few alternatives, each begun by a set, or the look takes three times as long.
"""
_BLOCK = re.compile(
    r"""</?(?:address|article|aside|blockquote|body|br|caption|d[dlt]|details|div|fig(?:caption|ure)
    |footer|form|h[1-6r]|head(?:er)?|html|img|li|main|nav|[ou]l|option|p|pre|section|select|summary
    |t(?:able|body|d|foot|h|head|itle|r)|video)\b(?!-)""",
    re.VERBOSE | re.IGNORECASE,
)
_MARKERS = re.compile(r"[{}<>`]")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`text[start:end]` of the scanned text; `kind` is a group of the grammar above.

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
        return self.kind in {"tag", "edge", "format", "mark", "stray"}

    @property
    def inert(self) -> bool:
        """Whether a sentence reads the same without it, so that it may stand outside."""
        return self.kind in {"face", "tag", "mark", "symbol"}

    @property
    def breaks(self) -> bool:
        """Whether no sentence goes across: tags of a block (`<p>`, `<br/>`), what parts columns."""
        return self.kind == "edge" or (self.kind == "tag" and is_block(self.text))


def is_block(tag: str) -> bool:
    """Tell whether a tag is that of an HTML block."""
    return _BLOCK.match(tag) is not None


def find(text: str, start: int = 0) -> Iterator[Placeholder]:
    """Yield the placeholders of `text` from `start` on, left to right; no two overlap."""
    for match in _matches(text, start):
        yield Placeholder(match.start(), match.end(), str(match.lastgroup), match[0])


def census(text: str, start: int = 0) -> Counter[str]:
    """Count each placeholder of `text` from `start` on: what a translation has to keep."""
    return Counter(match[0] for match in _matches(text, start))


def is_plain(text: str) -> bool:
    """Tell whether `text` has no placeholder and no character that could become part of one."""
    return _MARKERS.search(text) is None and next(_matches(text), None) is None


def has_words(text: str) -> bool:
    """Tell whether `text` has a letter outside its placeholders: something to translate."""
    return any(any(map(str.isalpha, gap)) for gap in between(text))


def between(text: str) -> Iterator[str]:
    """Yield what is before, between and after the placeholders of `text`."""
    end = 0
    for found in _matches(text):
        yield text[end : found.start()]
        end = found.end()
    yield text[end:]


def _matches(text: str, start: int = 0) -> Iterator[re.Match[str]]:
    return _GRAMMAR.finditer(text, start) if _SIGN.search(text, start) else iter(())
