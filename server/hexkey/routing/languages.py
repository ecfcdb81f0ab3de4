"""Language codes: how they are written, and when one may stand for another (BCP 47, RFC 4647)."""

from __future__ import annotations

import re

AUTO = "auto"
ADDED = 8
"""Distance of a part that the caller did not say; leaving out what it did say is closer."""
_SHORTEST = 2
_SCRIPT = 4
_REGION = 2
# Where the region says which script is written.
_SCRIPTS = {"CN": "Hans", "SG": "Hans", "HK": "Hant", "MO": "Hant", "TW": "Hant"}
CODE = r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?"
"""How a configuration writes a language. Case tells a language from a script and a region."""
_CODE = re.compile(CODE)


def language(code: str) -> str:
    """Return the primary language of a code as clients write it: ``PT-BR`` is ``pt``.

    ``auto`` and the empty string both mean that the server decides.
    """
    primary = code.replace("_", "-").split("-")[0].lower()
    return "" if primary == AUTO else primary


def normal(code: str) -> str:
    """Return a code as BCP 47 recommends to write it: ``zh_hant_tw`` is ``zh-Hant-TW``.

    A Chinese region gets its script, since that is what models differ in. ``auto`` is empty.
    """
    primary, *rest = code.replace("_", "-").split("-")
    primary = primary.lower()
    if primary == AUTO:
        return ""
    parts = [_part(one) for one in rest if one]
    if primary == "zh" and parts and parts[0] in _SCRIPTS:
        parts.insert(0, _SCRIPTS[parts[0]])
    return "-".join([primary, *parts])


def closeness(asked: str, offered: str) -> int | None:
    """Return how far a model's code is from what was asked; None if it is another language.

    ``pt-BR`` is served by ``pt`` (1: the region is left out), and ``pt`` by ``pt-BR`` (farther:
    a region is added). Two regions, or two scripts, of a language do not stand for each other.
    """
    if asked == offered:
        return 0
    if asked[:_SHORTEST] != offered[:_SHORTEST]:
        return None
    asked_parts, offered_parts = asked.split("-"), offered.split("-")
    shared = min(len(asked_parts), len(offered_parts))
    if asked_parts[:shared] != offered_parts[:shared]:
        return None
    left_out, added = len(asked_parts) - shared, len(offered_parts) - shared
    return left_out + ADDED * added


def well_formed(code: str) -> bool:
    """Return whether a configuration may name a language so: ``pt``, ``pt-BR``, ``zh-Hant``."""
    return _CODE.fullmatch(code) is not None


def _part(text: str) -> str:
    if len(text) == _SCRIPT and text.isalpha():
        return text.title()
    return text.upper() if len(text) == _REGION else text.lower()
