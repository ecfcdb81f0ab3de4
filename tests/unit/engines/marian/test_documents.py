"""What the models make of texts that are not plain sentences, by the way their engine takes."""

from __future__ import annotations

import pytest

from hexkey.engines.marian.translator import MarianTranslator
from hexkey.engines.marian.vocabulary import UNK
from hexkey.text.document import DocumentPlan

from .test_translator import ENGLISH_PORTUGUESE, PORTUGUESE_ENGLISH

MODELS = {"en": ENGLISH_PORTUGUESE, "pt": PORTUGUESE_ENGLISH}


@pytest.fixture(scope="module")
def models() -> dict[str, MarianTranslator]:
    return {language: MarianTranslator.load(folder) for language, folder in MODELS.items()}


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("en", "Well done :-D", "Bem feito :-D"),
        ("en", "I am sad :'(", "Eu estou triste :'("),
        ("pt", "Amo-te <3", "I love you <3"),
        ("en", "NATO", "OTAN"),
        ("en", "AIDS", "SIDA"),
        ("en", "NASA", "NASA"),
        ("en", "UNESCO", "UNESCO"),
        ("en", "CANCEL", "CANCELAR"),
        ("en", "OPEN", "ABERTO"),
        ("pt", "OCDE", "OECD"),
        ("pt", "TERMOS", "TERMS"),
        ("pt", "ATENÇÃO", "ATTENTION"),
        ("pt", "NÃO", "NO"),
        ("pt", "AÇÃO: o chão está molhado.", "ACTION: the floor is wet."),
        ("en", "Good\u00a0morning", "Bom\u00a0dia"),
        ("en", '{"title": "Hello", "n": 1}', '{"title": "Olá", "n": 1}'),
    ],
)
def test_documents(
    models: dict[str, MarianTranslator], language: str, text: str, said: str
) -> None:
    model = models[language]
    target = "pt" if language == "en" else "en"
    plan = DocumentPlan(text, language, target, knows=lambda one: UNK not in model.encode(one))
    while asked := plan.pending():
        for sentence_id, sentence in asked:
            plan.feed(sentence_id, model.translate([model.encode(sentence)])[0].text)
    assert plan.take() == said
