"""Put the white space of a sentence back into its translation, where the same place is found.

A model knows one kind of space, so no-break spaces (`10 kg`, `Oui !`), wide ones and runs come out
as single spaces.
"""

import re
from collections import defaultdict
from collections.abc import Callable

_ODD = re.compile(r"[^\S ]|\s{2}")
_PARTS = re.compile(r"\w+|\s+|.")

_Key = Callable[[str, str], tuple[str, str]]
_KEYS: tuple[_Key, ...] = (
    lambda left, right: (left, right),
    lambda left, right: (left, _kind(right)),
    lambda left, right: (_kind(left), right),
)
"""What makes two places the same, the surest first: both neighbours; one, and the other's kind."""


def respace(source: str, target: str) -> str:
    """Return `target` with the odd spaces of `source` in its single ones.

    The n-th space of a kind of place becomes that of the source's n-th, where the two texts have
    as many such places. Where all spaces of the source are the same, so are those of the target
    (`New York`, a heading). Else one between two words that changed is lost: where they went is not
    known here.
    """
    if not _ODD.search(source):
        return target
    given, parts = _PARTS.findall(source), _PARTS.findall(target)
    here, there = _spaces(parts), _spaces(given)
    for key in _KEYS:
        mine, theirs = _places(parts, here, key), _places(given, there, key)
        for name in mine.keys() & theirs.keys():
            if len(mine[name]) != len(theirs[name]):
                continue
            here.difference_update(mine[name])
            there.difference_update(theirs[name])
            for at, of in zip(mine[name], theirs[name], strict=True):
                parts[at] = given[of] if parts[at] == " " else parts[at]
    if only := _only(given):
        for at in _spaces(parts):
            parts[at] = only if parts[at] == " " else parts[at]
    return "".join(parts)


def _only(parts: list[str]) -> str | None:
    """Return the space that is in all places, one of which is between words."""
    spaces = _spaces(parts)
    between = any(_kind(parts[at - 1]) == _kind(parts[at + 1]) == "a" for at in spaces)
    kinds = {parts[at] for at in spaces}
    return kinds.pop() if between and len(kinds) == 1 else None


def _spaces(parts: list[str]) -> set[int]:
    """Return where `parts` has a space between two others."""
    return {at for at in range(1, len(parts) - 1) if parts[at].isspace()}


def _places(parts: list[str], spaces: set[int], key: _Key) -> dict[tuple[str, str], list[int]]:
    found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for at in sorted(spaces):
        found[key(parts[at - 1], parts[at + 1])].append(at)
    return found


def _kind(part: str) -> str:
    """Return "0" for a number, "a" for a word, and a mark as itself."""
    return "0" if part[0].isdigit() else "a" if part[0].isalpha() else part
