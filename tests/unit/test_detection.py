"""Detection: only what is possible, certain where nothing else is, by the start of a long text."""

from __future__ import annotations

import pytest

from hexkey.detection import COMMON, MAX_CHARACTERS, Detector
from hexkey.routing import Detected

SAYINGS = {
    "en": "The early bird catches the worm, but the second mouse gets the cheese.",
    "pt": "Quem semeia ventos colhe tempestades, e quem espera sempre alcança.",
    "de": "Übung macht den Meister, aber niemand fällt vom Himmel.",
    "fr": "Il ne faut pas vendre la peau de l'ours avant de l'avoir tué.",
    "zh": "千里之行始于足下。",
    "nb": "Det finnes ikke dårlig vær, bare dårlige klær.",
    "ru": "Тише едешь — дальше будешь.",
}


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.mark.parametrize("language", list(SAYINGS))
async def test_a_sentence_is_known_among_the_possible(detector: Detector, language: str) -> None:
    found = await detector.detect(SAYINGS[language], list(SAYINGS))
    assert found.language == language
    assert 1 / len(SAYINGS) < found.confidence <= 1


async def test_what_is_not_possible_is_not_found(detector: Detector) -> None:
    assert (await detector.detect(SAYINGS["de"], ["en", "fr"])).language in {"en", "fr"}
    assert (await detector.detect(SAYINGS["de"], ["pt"])) == Detected("pt", 1.0)
    assert (await detector.detect(SAYINGS["de"], None)).language == "de"
    assert set(SAYINGS) - {"nb"} <= set(COMMON)


@pytest.mark.parametrize("text", ["", "12345", "\n", "\ud800", "x" * 100_000])
async def test_a_text_that_tells_nothing_is_in_one_of_them(detector: Detector, text: str) -> None:
    found = await detector.detect(text, ["en", "pt"])
    assert found.language in {"en", "pt"}
    assert 0 <= found.confidence <= 1


async def test_a_long_text_is_judged_by_its_start(detector: Detector) -> None:
    start = (SAYINGS["en"] + " ") * 20
    assert len(start) > MAX_CHARACTERS
    short = await detector.detect(start[:MAX_CHARACTERS], ["en", "pt"])
    assert await detector.detect(start + SAYINGS["pt"] * 100, ["en", "pt"]) == short


async def test_each_text_of_a_list_has_its_own_language(detector: Detector) -> None:
    among = ["en", "pt", "de", "fr"]
    texts = [SAYINGS["de"], SAYINGS["fr"], SAYINGS["de"]]
    found = await detector.each(texts, among)
    assert [one.language for one in found] == ["de", "fr", "de"]


async def test_a_text_that_does_not_tell_is_in_its_lists_language(detector: Detector) -> None:
    among = ["en", "pt", "de", "fr"]
    found = await detector.each(["OK", "4", SAYINGS["pt"], SAYINGS["pt"], "Hotel"], among)
    assert {one.language for one in found} == {"pt"}
    assert await detector.each(["a", "b"], ["pt"]) == [Detected("pt", 1.0)] * 2
