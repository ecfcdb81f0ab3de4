"""Carry placeholders and numbers through a translator that may lose them.

A neural model copies a rare short token almost surely, so each placeholder is masked by one, and
the answer is checked. An answer that fails is asked for again with other masks, then in parts
around the placeholders; what still fails stays as it was. So the placeholders of the text that
comes out are those that went in, whatever the translator does.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass

from hexkey.text import numbers, placeholders
from hexkey.text.spaces import respace
from hexkey.text.typography import (
    Accents,
    Knows,
    accented,
    accents,
    escape,
    escaped,
    in_doubt,
    is_loud,
    knows_all,
    louder,
    relabel,
    restyle,
    sober,
    spell,
    strange,
    unescape,
)

MASKS: tuple[Callable[[int], str], ...] = (lambda n: f"A{n}", lambda n: f"_{n}_")
"""The ways to write the n-th mask, first choice first.

On 274 interface sentences the Firefox EN-PT and PT-EN models kept all masks of a sentence in 97 %
with A1, 98 % with _1_, 99 % with (1), which a text has of its own too often; 20 % with no masks
and none with emoji, <1> or ⟦1⟧. A1 and then _1_ makes 99 %.
"""

_TOKEN = re.compile(r"[0-9A-Za-z_]+")
_EMPTY = re.compile(r"<([A-Za-z]\w{0,40})[^<>]{0,400}>\s{0,9}</\1>")  # lost its words: <a></a>
_WIDE = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u9fff\uf900-\ufaff\uff01-\uff9d\U00020000-\U0003ffff]"
)


def is_unspaced(character: str) -> bool:
    """Tell whether `character` is of a script written without spaces (Thai, Han, kana, …)."""
    return _WIDE.match(character) is not None


def _sticks(character: str) -> bool:
    """Tell whether `character` makes one word with what touches it."""
    return character.isalnum() and not is_unspaced(character)


@dataclass(frozen=True, slots=True)
class Mask:
    """`token` stands for `text`, which had `left` and `right` ("" at an edge) beside it."""

    token: str
    text: str
    left: str
    right: str
    ordered: bool


@dataclass(frozen=True, slots=True)
class Protected:
    """A sentence with masks in place of what must be copied."""

    source: str
    masked: str
    masks: tuple[Mask, ...]
    accents: Accents

    def outside(self, text: str) -> str:
        """Return `text` without the masks."""
        tokens = {mask.token for mask in self.masks}
        return _TOKEN.sub(lambda found: " " if found[0] in tokens else found[0], text)

    def beside(self, text: str, change: Callable[[str], str]) -> str:
        """Return `text` with all of it changed but the masks."""
        tokens = "|".join(re.escape(mask.token) for mask in self.masks)
        parts = re.split(rf"\b({tokens})\b", text) if tokens else [text]
        return "".join(one if at % 2 else change(one) for at, one in enumerate(parts))


def protect(
    source: str,
    style: Callable[[int], str],
    *,
    hide_numbers: bool = False,
    knows: Knows = knows_all,
) -> Protected:
    """Mask the placeholders of `source`, words not known, and quantities if `hide_numbers`.

    Neighbours with nothing but white space between them share a mask. No token occurs in
    `source`, and each stands apart from the letters around it.
    """
    taken, number = set(_TOKEN.findall(source)), 0
    parts: list[str] = []
    masks: list[Mask] = []
    gaps: list[str] = []
    position = 0
    for start, end, ordered in _runs(source, knows, hide_numbers=hide_numbers):
        number += 1
        while (token := style(number)) in taken:
            number += 1
        mask = Mask(
            token,
            source[start:end],
            source[max(0, start - 1) : start],
            source[end : end + 1],
            ordered,
        )
        masks.append(mask)
        before = " " if _sticks(mask.left or " ") else ""
        after = " " if _sticks(mask.right or " ") else ""
        gaps.append(source[position:start])
        parts += spell(gaps[-1], knows), before, token, after
        position = end
    gaps.append(source[position:])
    masked = "".join([*parts, spell(gaps[-1], knows)])
    lost = {} if knows(source) else accents(gaps, knows)
    return Protected(source, masked, tuple(masks), lost)


def restore(translated: str, protected: Protected) -> str | None:
    """Put the placeholders back, or return None where the translation did not keep them.

    Each mask must be there exactly once, those of ordered placeholders in the source's order, and
    nothing else may look like a placeholder. White space beside a placeholder follows the source
    where that matters: none against a word it was stuck to, some against a word it stood off.
    """
    masks = {mask.token: mask for mask in protected.masks}
    parts = [accented(sober(protected.source, translated.strip()), protected.accents)]
    if masks:
        tokens = "|".join(map(re.escape, masks))
        parts = re.split(f"(?<![0-9A-Za-z_])({tokens})(?![0-9A-Za-z_])", parts[0])
    found = [masks[token] for token in parts[1::2]]
    ordered = [mask for mask in protected.masks if mask.ordered]
    if len(found) != len(masks) or len({mask.token for mask in found}) != len(masks):
        return None
    if [mask for mask in found if mask.ordered] != ordered:
        return None
    for index, mask in enumerate(found):
        parts[2 * index] = _space_before(parts[2 * index], mask.left)
        parts[2 * index + 2] = _space_before(parts[2 * index + 2][::-1], mask.right)[::-1]
        parts[2 * index + 1] = mask.text
    text = "".join(parts)
    return text if text.strip() and is_intact(protected.source, text) else None


def _space_before(text: str, neighbour: str) -> str:
    """Fit the white space at the end of `text` to the source's `neighbour` of a placeholder."""
    bare = text.rstrip()
    if neighbour.isspace():
        return f"{text} " if text == bare and _sticks(text[-1:] or " ") else text
    if _sticks(neighbour or " ") or (neighbour and bare.endswith(neighbour)):
        return bare
    return text


def is_intact(source: str, target: str) -> bool:
    """Tell whether `target` keeps the placeholders, line breaks and filled elements of `source`."""
    return (
        placeholders.census(source) == placeholders.census(target)
        and len(source.splitlines()) == len(target.splitlines())
        and len(_EMPTY.findall(source)) == len(_EMPTY.findall(target))
    )


def _runs(source: str, knows: Knows, *, hide_numbers: bool) -> Iterator[tuple[int, int, bool]]:
    """Yield (start, end, ordered) of what to mask, neighbours joined."""
    marks = [(found.start, found.end, found.ordered) for found in placeholders.find(source)]
    if not knows(source):
        marks = _with(marks, source, lambda gap: strange(gap, knows))
    if hide_numbers:
        marks = _with(marks, source, numbers.spans)
    joined: tuple[int, int, bool] | None = None
    for start, end, ordered in marks:
        if joined and not source[joined[1] : start].strip():
            joined = joined[0], end, joined[2] or ordered
            continue
        if joined:
            yield joined
        joined = start, end, ordered
    if joined:
        yield joined


def _with(
    marks: list[tuple[int, int, bool]],
    source: str,
    spans: Callable[[str], Iterable[tuple[int, int]]],
) -> list[tuple[int, int, bool]]:
    """Add what is found in the stretches between `marks`."""
    both: list[tuple[int, int, bool]] = []
    position = 0
    for mark in [*marks, (len(source), len(source), False)]:
        gap = source[position : mark[0]]
        both += ((position + a, position + b, False) for a, b in spans(gap))
        both.append(mark)
        position = mark[1]
    return both[:-1]


class SentencePlan:
    """The way of one sentence through a translator, which the plan does not know.

    While not `done`, translate each of `pending()` and hand the answers, in the same order, to
    `feed`. Then `text` is the translation. At most three rounds. Without `recase`, capitals are
    translated as they are.
    """

    def __init__(self, source: str, knows: Knows = knows_all, *, recase: bool = True) -> None:
        self.source = source
        self.text: str | None = None
        self._pending: list[str] = []
        self._quotes = escaped(source)
        self._plain = unescape(source, self._quotes)
        self._recase = recase
        self._steps = _translate(self._plain, knows, recase=recase)
        self._advance(None)

    @property
    def done(self) -> bool:
        """Whether `text` is there."""
        return self.text is not None

    def pending(self) -> list[str]:
        """Return the strings to translate now; empty when done."""
        return list(self._pending)

    def feed(self, answers: list[str]) -> None:
        """Take the translations of `pending()`. Raises ValueError on another number of them."""
        if len(answers) != len(self._pending):
            raise ValueError(f"{len(self._pending)} translations wanted, {len(answers)} given")
        if not self.done:
            self._advance(answers)

    def _advance(self, answers: list[str] | None) -> None:
        try:
            self._pending = next(self._steps) if answers is None else self._steps.send(answers)
        except StopIteration as stop:
            text = relabel(self._plain, stop.value) if self._recase else stop.value
            text = respace(self._plain, restyle(self._plain, text))
            text = text if _keeps(self._plain, text) else stop.value
            self._pending, self.text = [], escape(text, self._quotes)


_Steps = Generator[list[str], list[str], str]


def _translate(source: str, knows: Knows, *, recase: bool) -> _Steps:
    """Yield what to translate, take the answers, return the text."""
    head, core, tail = _peel(source)
    if not placeholders.has_words(core):
        return source
    knows = knows_all if knows(core) else knows
    loud = recase and is_loud(" ".join(placeholders.between(core)))
    style, hide_numbers, asked = 0, False, set[str]()
    for _ in MASKS:
        protected = protect(core, MASKS[style], hide_numbers=hide_numbers, knows=knows)
        plain = protected.outside(protected.masked)
        if protected.masked in asked or not placeholders.has_words(plain):
            continue
        asked.add(protected.masked)
        if loud:  # models learn from few texts in capitals
            quiet = protected.beside(protected.masked, str.lower)
            (answer,) = yield [quiet[:1].upper() + quiet[1:]]
            if in_doubt(protected.masked, answer):
                answer = louder(protected.masked, answer, *(yield [protected.masked]))
            answer = protected.beside(answer, str.upper)
        else:
            (answer,) = yield [protected.masked]
            if recase and core.isupper() and protected.masked.islower():
                answer = answer.upper()
        text = restore(answer, protected)
        counted = numbers.kept(plain, protected.outside(answer))
        if text is not None and counted and _keeps(source, head + text + tail):
            return head + text + tail
        style += text is None
        hide_numbers = hide_numbers or not counted
    text = yield from _in_parts(core, knows)
    return head + text + tail if _keeps(source, head + text + tail) else source


def _keeps(source: str, target: str) -> bool:
    """Check a whole sentence: parts that are right alone may not be so side by side."""
    counted = numbers.kept(source, target) or numbers.has_digits(source, target)
    return counted and is_intact(source, target)


def _in_parts(core: str, knows: Knows) -> _Steps:
    """Translate only what is between the placeholders and quantities of `core`."""
    parts: list[str] = []
    position = 0
    for start, end, _ in _runs(core, knows, hide_numbers=True):
        parts += core[position:start], core[start:end]
        position = end
    parts.append(core[position:])
    spots = [i for i in range(0, len(parts), 2) if any(map(str.isalpha, parts[i]))]
    if not spots:
        return core
    answers = yield [spell(parts[i].strip(), knows) for i in spots]
    for i, answer in zip(spots, answers, strict=True):
        part = parts[i]
        said = accented(sober(part.strip(), answer.strip()), accents([part], knows))
        if said and placeholders.is_plain(said) and len(said.splitlines()) == 1:
            lead = len(part) - len(part.lstrip())
            parts[i] = part[:lead] + said + part[len(part.rstrip()) :]
    return "".join(parts)


def _peel(source: str) -> tuple[str, str, str]:
    """Split off the white space, tags and symbols at both ends: (head, core, tail)."""
    start, end = len(source) - len(source.lstrip()), len(source.rstrip())
    found = list(placeholders.find(source))
    for mark in found:
        if mark.start != start or not mark.inert:
            break
        start = _skip_space(source, mark.end)
    for mark in reversed(found):
        if mark.end != end or not mark.inert or mark.start < start:
            break
        end = len(source[: mark.start].rstrip())
    return (source[:start], source[start:end], source[end:]) if start < end else (source, "", "")


def _skip_space(text: str, start: int) -> int:
    return start + len(text[start:]) - len(text[start:].lstrip())
