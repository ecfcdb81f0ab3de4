"""The end of a text that grows: where a placeholder may begin that goes on in what comes next.

To know what placeholders come of a sentence behind it, no more of the text is read again.
"""

import re

from hexkey.text.placeholders import census, find

LONGEST = 4096
"""Characters that are remembered; no placeholder is as long."""
_ENDINGS = re.compile(
    r"""
    (?=([!-~]{0,40}[{}<>`]++)?)                                     # {, </, }}
    (?=([._=~*-]{0,400}))(?=(\|{0,9}))                              # leaders, **, columns
    (?=(_{0,3}[^\W_]{0,60}(?:_{1,3}[^\W_]{1,60}){0,9}[\W_]?))       # a_b
    (?=((?:(?:[\w-]{0,63}+\.){0,8}+[\w-]{0,63}+@)?[\w.+-]{0,64}))   # a@b.c
    (?=((?:[\w.+@-]{0,100}+/){0,21}[~.]{0,2}))                      # ~/a/b
    (?=(\w{0,64}[:\#]?[:@\#$%&]{1,2})?)                             # :a, @:a, #a, $a, &#1
    (?=([-+0\#\d.$hlz]{0,16}(?:\)\w{0,80}\()?%)?)                   # %(a)5.2
    (?=([\w=]{0,10}\})?)(?=([{\[]?[a-z]{0,30}[nrt]?\\)?)             # }one, \n
    (?=((?: [\u00a9\u00ae\u2100-\u214f\u2190-\u2bff\ufe0e\ufe0f\u200d\u20e3]
          | [\U0001f000-\U0001faff\U000e0020-\U000e007f] ){0,16}))
    (?=([][)(/\\*:;=<>'\u2019^_.xXDPpOoSs3-]{0,13}))                     # :-), xD
    (?=(\ufe0f?[\d\#*])?)                                          # 1 of a key's emoji
    (?=([²³¹⁰-₟¼-¾⅐-⅞]{0,9}[^\W\d_]{0,3}))                          # m²
    (?=(/{0,2}:?\w{0,5}))(?=([^\s<>"'|?*{}`]{0,400}\\:[A-Za-z])?)   # http:, C:\a
    (?=([%}]{1,2}[^{}]{1,200}\{{1,3}[$\#%]?)?)                      # {{a}, {%a%
    (?=(`[^`]{1,400}`{1,2})?)(?=(\][^][]{1,400}\[!?)?)              # ``a`, [a]
    """,
    re.VERBOSE,
)
"""What may go on with many a character, read backwards; each look takes the longest."""
_ADDRESS = re.compile(r"""[^\s<>"`{}]{0,2000}(?://:(?:s?ptth|ptf)|\.www)""")
_BRACKETS = {">": "<", "}": "{", "`": "`", "]": "[", ")": "("}
"""What goes on up to one character, and what it begins with."""


class Trail:
    """What was said last, back to white space that is in no placeholder."""

    def __init__(self) -> None:
        self._fresh = ""  # not looked at yet
        self._text = ""
        self._near = 0  # where to read from, whatever comes
        self._open: dict[str, int] = {}  # and where if this bracket comes

    def __bool__(self) -> bool:
        """Whether anything touches what comes next."""
        return bool(self._fresh or self._text)

    def grow(self, text: str) -> None:
        """Add what was said."""
        self._fresh = "" if text[-1:].isspace() else self._fresh + text
        if (text and not self._fresh) or len(self._fresh) > LONGEST:
            self._fresh, self._text, self._near = self._fresh[-LONGEST:], "", 0
            self._open.clear()

    def alike(self, one: str, other: str) -> bool:
        """Tell whether two texts make the same placeholders behind what was said."""
        self._look()
        start = min(self._start(one), self._start(other))
        return census(self._text + one, start) == census(self._text + other, start)

    def _start(self, following: str) -> int:
        met = (
            at
            for closing, at in self._open.items()
            if closing in following or _BRACKETS[closing] in following
        )
        return min([self._near, *met])

    def _look(self) -> None:
        """Find in what is fresh where to read from."""
        if not self._fresh:
            return
        start, text = self._start(self._fresh), self._text + self._fresh
        whole = [(one.start, one.end) for one in find(text, start)]

        def outside(position: int) -> int:
            return next((a for a, b in whole if a < position < b), position)

        blank = outside(len(text) - len(text.rsplit(maxsplit=1)[-1]))
        back = text[: blank - 1 if blank else None : -1]
        lengths = [end for _, end in _ENDINGS.match(back).regs]  # type: ignore[union-attr]  # always
        if ("://" in text or "www." in text) and (address := _ADDRESS.match(back)):
            lengths.append(address.end())
        self._near = max(blank, outside(len(text) - max(lengths)))
        for closing, opening in _BRACKETS.items():
            last = text.rfind(opening, max(len(self._text), blank))
            if last >= 0 and (opening == closing or closing not in text[last:]):
                first = len(text[: last + 1].rstrip(opening))
                self._open[closing] = max(start, blank, outside(first - 2))
            elif closing in self._fresh or self._open.get(closing, 0) < blank:
                self._open.pop(closing, None)
        # One character more, for what looks back.
        cut = max(blank - 1, len(text) - LONGEST, 0)
        self._text, self._fresh = text[cut:], ""
        self._near = max(0, self._near - cut)
        self._open = {closing: max(0, outside(at) - cut) for closing, at in self._open.items()}
