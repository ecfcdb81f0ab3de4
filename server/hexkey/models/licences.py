"""Which licences a model may have: SPDX expressions against a set of identifiers.

An expression is one identifier, or identifiers joined by ``AND`` (all must be allowed) or by
``OR`` (one must be); brackets and exceptions are not read and therefore never allowed.
``NOASSERTION`` is SPDX's word for a licence nobody stated.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Collection

UNKNOWN = "NOASSERTION"

PERMISSIVE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC-BY-4.0",
        "CC0-1.0",
        "CDLA-Permissive-2.0",
        "ISC",
        "MIT",
        "MPL-2.0",
    }
)

# The Hub writes SPDX identifiers in lower case, and names of its own where SPDX has none.
_HUB_TAGS = {spdx.lower(): spdx for spdx in PERMISSIVE}
_HUB_LICENCE = re.compile(r"^license:\s*[\"']?([A-Za-z0-9.+-]+)[\"']?\s*$", re.MULTILINE)


def allowed(expression: str, allow: Collection[str]) -> bool:
    """Tell whether ``allow`` satisfies the expression."""
    if " OR " in expression and " AND " not in expression:
        return any(part.strip() in allow for part in expression.split(" OR "))
    return all(part.strip() in allow for part in expression.split(" AND "))


def check(expression: str, allow: Collection[str] | None, *, source: str) -> None:
    """Raise ModelError unless the licence is allowed; ``allow=None`` allows every licence."""
    if allow is None or allowed(expression, allow):
        return
    stated = "states no licence" if expression == UNKNOWN else f"is licensed {expression}"
    raise ModelError(
        f"{source} {stated}, and only {', '.join(sorted(allow))} are allowed; "
        f"read its terms and add {expression!r} to the allowed licences, or choose another model"
    )


def from_model_card(text: str) -> str:
    """Read the licence out of a Hub model card's front matter; NOASSERTION when it states none.

    A name that SPDX does not list becomes ``LicenseRef-NAME``.
    """
    front = text.split("---", 2)[1] if text.startswith("---") else ""
    found = _HUB_LICENCE.search(front)
    if not found or found[1] in {"unknown", "other"}:
        return UNKNOWN
    return _HUB_TAGS.get(found[1].lower(), f"LicenseRef-{found[1]}")
