from __future__ import annotations

import pytest

from hexkey.models import licences
from hexkey.models.errors import ModelError
from hexkey.models.registry import ENTRIES


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("MPL-2.0 AND MIT", True),
        ("MPL-2.0 AND GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("LicenseRef-gemma", False),
        ("NOASSERTION", False),
        ("MIT OR (GPL-3.0-only AND MIT)", False),
    ],
)
def test_expressions_against_the_permissive_set(expression: str, *, expected: bool) -> None:
    assert licences.allowed(expression, licences.PERMISSIVE) is expected


def test_what_hexkey_ships_is_permissive() -> None:
    for entry in ENTRIES.values():
        assert licences.allowed(entry.licence, licences.PERMISSIVE)


def test_a_refusal_names_source_licence_and_remedy() -> None:
    with pytest.raises(ModelError, match=r"hf:a/b is licensed LicenseRef-gemma.*add"):
        licences.check("LicenseRef-gemma", {"MIT"}, source="hf:a/b")
    licences.check("LicenseRef-gemma", None, source="hf:a/b")


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("---\nlicense: apache-2.0\ntags: []\n---\n# M", "Apache-2.0"),
        ("---\nlicense: 'gemma'\n---\n", "LicenseRef-gemma"),
        ("---\nlicense: other\n---\n", "NOASSERTION"),
        ("---\ntags: []\n---\nlicense: mit\n", "NOASSERTION"),
        ("license: mit\n", "NOASSERTION"),
        ("---\nlicense: mit", "MIT"),
        ("", "NOASSERTION"),
    ],
)
def test_the_model_card_states_the_licence_in_its_front_matter_only(
    card: str, expected: str
) -> None:
    assert licences.from_model_card(card) == expected
