# ruff: noqa: RUF001  typographic quotes and dashes are meant
"""Write a sentence with the characters a model knows, and its translation with those it had.

Small models know few characters. What one does not know it leaves out, or it says something else.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

Knows = Callable[[str], bool]
"""Tells whether a model has tokens for all of a text."""

Accents = dict[str, list[str]]
"""Words in their order, by how they are spelled for a model."""

_PLAIN = str.maketrans(
    dict.fromkeys("“”„‟«»″", '"') | dict.fromkeys("‘’‚‛′", "'") | dict.fromkeys("‐‑‒–—―−", "-")
)
_ELLIPSIS = re.compile(r"(?:(?<![.…])\.{1,3})?…[.…]*")
_WORD = re.compile(r"""[^\s"'“”„‟«»‘’‚‛(),;:!?…\[\]]*[^\s"'“”„‟«»‘’‚‛(),.;:!?…\[\]]""")
_LETTERS = re.compile(r"(?<![\w-])[^\W\d_]+(?:-[^\W\d_]+)*+(?![\w-])")
_FANCY = re.compile("[“”„‟«»‘’‚‛–—―…]")
_ALIKE = [
    re.compile('["“”„‟«»]'),
    re.compile("['‘’‚‛]"),
    re.compile(r"(?<!\S)[-–—―](?!\S)"),
    re.compile(r"(?<=\d)[-–](?=\d)"),
    re.compile(r"\.{3}|…"),
]
"""Of each kind the first is what models write."""
_LABEL = re.compile(r"[^\W\d_]+(?:[ '’-][^\W\d_]+){0,4}(?=: )")
_NAME = re.compile(r"\w+(?:(?:['’-]|\.?\s)\w+){0,4}")
_SHORT = 3  # letters: USB, été
_MAX_ACRONYM = 5  # letters
_MAX_NAME = 40  # characters
_LONE = re.compile(r"([A-Za-zÀ-ɏͰ-ӿ]+)[,.!?:]?")  # not where a sentence is written as one word
_TWICE = re.compile(r"\b([^\W\d_]{2,})(?:,\s(?i:\1)|\s\1)(?!\w)")
_ASIDE = re.compile(r"(?<=\S)\s\([^()]{0,200}\)?\Z")
_DOTTED = frozenset({"tr", "tur", "az", "aze", "azj"})
_END = re.compile(r"(?:[,;:!?]|(?<=[^\W\d_]{4})\.|(?<=\d)\.)\Z")


def knows_all(text: str) -> bool:  # noqa: ARG001 - as any Knows
    """Say yes: for models whose tokens are bytes."""
    return True


def strange(text: str, knows: Knows) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each word that cannot be written for the model."""
    for word in _WORD.finditer(text):
        if not knows(word[0]) and _spelled(word[0], knows) is None:
            yield word.span()


def spell(text: str, knows: Knows) -> str:
    """Return a text without strange words as it is best written for the model."""
    if knows(text):
        return text
    words = _WORD.sub(lambda word: _spelled(word[0], knows) or "", text.translate(_PLAIN))
    return _ELLIPSIS.sub("...", words)


def _spelled(word: str, knows: Knows) -> str | None:
    """Write a word with plain marks, none that are invisible, and no unknown capitals.

    A word in small letters, which is no name, goes without unknown accents: `naïve`. One of less
    than three could come back as another one of the target's: `à`.
    """
    plain = word.translate(_PLAIN)
    bare = "".join(one for one in plain if unicodedata.category(one) != "Cf")
    if knows(bare):
        return bare
    if not knows(bare.lower()):
        whole = len(bare) >= _SHORT and bare.islower() and _LETTERS.fullmatch(bare)
        folded = _folded(bare, knows) if whole else bare
        return folded if knows(folded) else None
    # Models learn what to make of `Às`, yet not of `NÃO`.
    return bare.lower() if bare.isupper() and len(bare) > 1 else bare


def _folded(word: str, knows: Knows) -> str:
    """Return a word with plain Latin letters for those that are not known."""
    bases = {one: unicodedata.normalize("NFD", one)[0] for one in word if not one.isascii()}
    plain = {ord(one): base for one, base in bases.items() if base.isascii() and not knows(one)}
    return word.translate(plain)


def accents(texts: Iterable[str], knows: Knows) -> Accents:
    """Return the words of `texts` that lose accents, and those that are spelled alike."""
    written: Accents = {}
    for word in chain.from_iterable(map(_WORD.findall, texts)):
        written.setdefault(_spelled(word, knows) or word, []).append(word)
    return {
        spelled: words
        for spelled, words in written.items()
        if any(spelled != word != _folded(word, knows) for word in words)
    }


def accented(target: str, lost: Accents) -> str:
    """Put accents back on the words that the model copied, where they are there as often."""
    if not lost:
        return target
    copied = Counter(_LETTERS.findall(target))
    marks = {one: iter(words) for one, words in lost.items() if copied[one] == len(words)}
    return _LETTERS.sub(lambda word: next(marks[word[0]]) if word[0] in marks else word[0], target)


def restyle(source: str, target: str) -> str:
    """Return `target` with the quotes, dashes and ellipses of `source`, where it has as many."""
    if not _FANCY.search(source):
        return target
    for kind in _ALIKE:
        wanted = kind.findall(source)
        if len(wanted) == len(kind.findall(target)):
            marks = iter(wanted)
            target = kind.sub(lambda _, marks=marks: next(marks), target)  # type: ignore[misc]
    return target


def relabel(source: str, target: str) -> str:
    """Return `target` with its label in capitals (`ATTENTION: …`) where that of `source` is."""
    label, said = _LABEL.match(source), _LABEL.match(target)
    if not (label and said and is_loud(label[0])):
        return target
    return said[0].upper() + target[said.end() :]


def escaped(text: str) -> str:
    """Return the quotes that `text` escapes wherever it has them, as strings in a file do."""
    return "".join(quote for quote in "\"'" if 0 < text.count(f"\\{quote}") == text.count(quote))


def escape(text: str, quotes: str) -> str:
    """Escape the quotes of some kinds in `text`."""
    return re.sub(f"([{quotes}])", r"\\\1", text) if quotes else text


def unescape(text: str, quotes: str) -> str:
    """Undo `escape`."""
    return re.sub(rf"\\([{quotes}])", r"\1", text) if quotes else text


def sober(source: str, target: str) -> str:
    """Return `target` without what models add at its end: a mark to a title, an aside to a name.

    A name is at most five words with no marks between or behind them. An aside is in brackets with
    white space before them; elsewhere brackets are words of the source, said another way. A word by
    itself is not said twice: `Cancel Cancel`, `Thanks, thanks`.
    """
    if len(source) <= _MAX_NAME and _NAME.fullmatch(source):
        target = _ASIDE.sub("", target)
    if _LONE.fullmatch(source):
        target = _TWICE.sub(_once, target)
    return _END.sub("", target).strip() if source[-1:].isalnum() else target.strip()


def _once(twice: re.Match[str]) -> str:
    """Return one of two; in small letters both may be a word of its own (`yavaş yavaş`)."""
    return twice[1] if twice[1][0].isupper() or "," in twice[0] else twice[0]


def has_common_case(language: str | None) -> bool:
    """Tell whether capitals become small ones as in most languages, not i and İ as in Turkish."""
    return re.split("[-_]", language or "", maxsplit=1)[0].lower() not in _DOTTED


def is_loud(text: str) -> bool:
    """Tell whether a text is all in capitals; one word of up to three letters is mostly short."""
    words = re.findall(r"[^\W\d_]{2,}", text)
    return text.isupper() and (len(words) > 1 or any(len(word) > _SHORT for word in words))


def in_doubt(word: str, quiet: str) -> bool:
    """Tell whether a word is one in capitals to which a model may say better than to a quiet one.

    That is where the latter's answer is of more words, or the word short enough for an acronym.
    """
    asked = _LONE.fullmatch(word) if word.isupper() else None
    return asked is not None and (len(asked[1]) <= _MAX_ACRONYM or len(quiet.split()) > 1)


def louder(word: str, quiet: str, loud: str) -> str:
    """Return the better of two answers to a word in capitals: that to `Terms`, and that to `TERMS`.

    Small models make up words in capitals, so theirs counts where it is the one that the other has
    among more (`TERMOS DE SERVIÇO`, `TERMOS`), and where it has the letters of a short name in
    another order, as names of many words do from language to language (`NATO`, `OTAN`). What the
    other has beside a word that it copied is left out (`O LOGOUT`).
    """
    quiet, asked, said = quiet.upper(), _LONE.fullmatch(word), _LONE.fullmatch(sober(word, loud))
    if asked is None:
        return quiet
    name, end = asked[1], word[asked.end(1) :]
    other = said[1] if said and said[1].isupper() else name
    short = len(name) <= _MAX_ACRONYM and name.isascii()
    moved = short and other != name and sorted(other) == sorted(name)
    words = re.findall(r"\w+", quiet)
    found = other if moved or other in words else name if name in words else None
    return found + end if found else quiet
