"""The encoder engine on the real all-MiniLM-L6-v2: its vectors are those of the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hexkey.engines.base import LoadContext
from hexkey.engines.encoder import load
from hexkey.engines.encoder.engine import AHEAD, EncoderEngine
from hexkey.errors import Code, ServeError
from hexkey.models.errors import ModelError
from hexkey.types import (
    Chat,
    Classify,
    Embed,
    Failure,
    HostEvent,
    Message,
    Payload,
    Rerank,
    Scores,
    Usage,
    Vector,
)
from tests.unit.engines.encoder.reference import Numbers, Reference

TEXTS = (
    "The weather is nice today.",
    "",
    "Der Fluß fließt — naïve café, 100 % “quoted” 漢字 🙂",
    "def add(a, b):\n    return a + b",
    "a " * 200,
)


def context(folder: Path, **options: object) -> LoadContext:
    return LoadContext("minilm", folder, options, lambda _text: None)


@pytest.fixture(scope="module")
def engine(minilm: Path) -> EncoderEngine:
    return load(context(minilm))


def run(engine: EncoderEngine, *payloads: Payload) -> dict[int, list[HostEvent]]:
    events: dict[int, list[HostEvent]] = {}
    for number, payload in enumerate(payloads):
        engine.add(number, payload)
    while engine.running:
        for request_id, some in engine.step().events:
            events.setdefault(request_id, []).extend(some)
    return events


def vectors(events: list[HostEvent]) -> Numbers:
    found = {event.index: event.values for event in events if isinstance(event, Vector)}
    assert sorted(found) == list(range(len(found)))
    return np.array([found[index] for index in range(len(found))])


def scores(events: list[HostEvent]) -> list[tuple[float, ...]]:
    found = {event.index: event.values for event in events if isinstance(event, Scores)}
    return [found[index] for index in range(len(found))]


def test_vectors_are_those_of_the_model_computed_by_the_book(
    engine: EncoderEngine, minilm: Path
) -> None:
    reference = Reference(minilm)
    got = vectors(run(engine, Embed(texts=TEXTS))[0])
    assert got.shape == (len(TEXTS), 384)
    for mine, text in zip(got, TEXTS, strict=True):
        assert np.linalg.norm(mine) == pytest.approx(1, abs=1e-6)
        assert float(mine @ reference(text)) > 0.99999


def test_company_changes_a_vector_by_rounding_only(engine: EncoderEngine) -> None:
    alone = [vectors(run(engine, Embed(texts=(text,)))[0])[0] for text in TEXTS]
    together = run(engine, *(Embed(texts=(text,)) for text in TEXTS * 5))
    for number, events in together.items():
        assert np.abs(vectors(events)[0] - alone[number % len(TEXTS)]).max() < 1e-5


def test_fewer_dimensions_are_of_unit_length_again(engine: EncoderEngine) -> None:
    whole, short = run(engine, *(Embed(texts=("a dog",), dimensions=d) for d in (0, 32))).values()
    expected = vectors(whole)[0][:32] / np.linalg.norm(vectors(whole)[0][:32])
    assert vectors(short)[0] == pytest.approx(expected, abs=1e-6)


def test_tokens_stand_for_their_text_with_and_without_the_frame(
    engine: EncoderEngine, minilm: Path
) -> None:
    ids = tuple(Reference(minilm).tokenizer.encode("a small dog").ids)
    by_text, framed, bare = run(
        engine, Embed(texts=("a small dog",)), Embed(tokens=(ids,)), Embed(tokens=(ids[1:-1],))
    ).values()
    assert (vectors(by_text) == vectors(framed)).all()
    assert (vectors(by_text) == vectors(bare)).all()
    with pytest.raises(ServeError, match="0 to 30521 only") as caught:
        engine.add(9, Embed(tokens=((5, 30522),)))
    assert (caught.value.code, caught.value.param) == (Code.INVALID_ARGUMENT, "input")
    assert engine.running == 0


def test_a_text_too_long_is_refused_or_cut_as_asked(engine: EncoderEngine) -> None:
    long = "word " * 300
    with pytest.raises(ServeError, match="302 tokens; the model reads at most 256") as caught:
        engine.add(1, Embed(texts=("short", long)))
    assert caught.value.param == "text"
    cut, fitting = run(
        engine, Embed(texts=(long,), truncate=True), Embed(texts=("word " * 254,))
    ).values()
    assert vectors(cut) == pytest.approx(vectors(fitting), abs=1e-6)
    assert isinstance(cut[-1], Usage)
    assert cut[-1].input_tokens == 256


def test_a_text_too_long_far_back_fails_its_request_alone(engine: EncoderEngine) -> None:
    texts = ("a",) * AHEAD * 2 + ("word " * 300,)
    bad, good = run(engine, Embed(texts=texts), Embed(texts=("b",) * AHEAD * 2)).values()
    assert isinstance(bad[-1], Failure)
    assert (bad[-1].code, bad[-1].param) == (Code.INVALID_ARGUMENT, "text")
    assert not [event for event in bad if isinstance(event, Usage)]
    assert len(vectors(good)) == AHEAD * 2


def test_a_library_does_not_keep_out_a_line(engine: EncoderEngine) -> None:
    engine.add(1, Embed(texts=tuple(f"sentence number {i}" for i in range(200))))
    engine.step()
    engine.add(2, Embed(texts=("a line",)))
    steps = 0
    while engine.running == 2:
        engine.step()
        steps += 1
    assert steps <= 2
    engine.cancel(1)
    assert engine.running == 0
    assert engine.step().events == []


def test_usage_and_what_was_computed_agree(engine: EncoderEngine) -> None:
    engine.add(7, Embed(texts=("one two", "three")))
    report = engine.step()
    assert report.computed == [(7, 4 + 3, 0)]
    assert report.events[0][1][-1] == Usage(input_tokens=7, input_characters=12)


def test_documents_are_scored_by_how_well_they_answer(engine: EncoderEngine) -> None:
    documents = (
        "Bread is baked in an oven at 220 degrees.",
        "Berlin is the capital of Germany.",
        "Germany has sixteen federal states.",
    )
    query = "What is the capital of Germany?"
    found = scores(run(engine, Rerank(query=query, documents=documents))[0])
    bread, berlin, states = (one for (one,) in found)
    assert 1 >= berlin > states > bread >= 0
    both = vectors(run(engine, Embed(texts=(query, documents[1])))[0])
    assert berlin == pytest.approx(float(both[0] @ both[1]), abs=1e-5)


def test_a_label_is_chosen_without_having_been_learnt(engine: EncoderEngine) -> None:
    labels = ("sport", "cooking", "politics")
    texts = (
        "The striker scored twice in the second half.",
        "Fry the onions until golden, then add the rice.",
        "Parliament passed the budget after a long debate.",
    )
    found = scores(run(engine, Classify(texts=texts, labels=labels))[0])
    assert [labels[int(np.argmax(one))] for one in found] == list(labels)
    assert [sum(one) for one in found] == pytest.approx([1, 1, 1])


def test_what_an_encoder_does_not_do_is_refused(engine: EncoderEngine) -> None:
    with pytest.raises(ServeError, match="embeds, reranks and classifies"):
        engine.add(1, Chat(messages=(Message("user", "hi"),)))
    assert engine.running == 0


def test_a_batch_that_fails_fails_only_who_made_it_fail(
    engine: EncoderEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = engine._encoder.vectors

    def vectors_of(rows: list[list[int]]) -> object:
        if any(len(row) == 5 for row in rows):
            raise RuntimeError("canary")
        return real(rows)

    monkeypatch.setattr(engine._encoder, "vectors", vectors_of)
    bad, good = run(engine, Embed(texts=("one two three",)), Embed(texts=("one",))).values()
    assert isinstance(bad[-1], Failure)
    assert bad[-1].code is Code.INTERNAL
    assert "canary" not in bad[-1].message
    assert len(vectors(good)) == 1


def test_a_text_that_breaks_the_tokenizer_later_fails_its_request_alone(
    engine: EncoderEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = engine._encoder.encode

    def encode(text: str) -> list[int]:
        if text == "odd":
            raise RuntimeError("canary")
        return real(text)

    monkeypatch.setattr(engine._encoder, "encode", encode)
    odd = Embed(texts=("a",) * (AHEAD + 1) + ("odd",))
    bad, good = run(engine, odd, Embed(texts=("one",))).values()
    assert isinstance(bad[-1], Failure)
    assert (bad[-1].code, "canary" in bad[-1].message) == (Code.INTERNAL, False)
    assert len(vectors(good)) == 1


def test_names_of_control_tokens_in_a_text_are_text(engine: EncoderEngine) -> None:
    plain, control = (engine._encoder.encode(text) for text in ("a [SEP] b", ""))
    assert plain.count(control[-1]) == 1, "its end"
    assert len(plain) > len(engine._encoder.encode("a b")) + 1


def test_what_the_model_is(engine: EncoderEngine) -> None:
    assert (engine.info.context_tokens, engine.info.dimensions) == (256, 384)
    assert "bi-encoder" in engine.info.notes[0]


@pytest.fixture
def copy(minilm: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(minilm, folder, copy_function=lambda a, b: Path(b).symlink_to(a))
    return folder


def changed(path: Path, **values: object) -> None:
    data = json.loads(path.read_text())
    path.unlink()
    path.write_text(json.dumps(data | values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'; this engine computes 'bert' only"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"num_hidden_layers": 7}, "no weight 'encoder.layer.6.attention.self.query.weight'"),
        ({"vocab_size": 30}, "'embeddings.word_embeddings.weight' has the shape"),
        ({"num_attention_heads": 7}, "no multiple"),
        ({"hidden_size": "big"}, "Expected `int`"),
    ],
)
def test_a_model_that_cannot_be_computed_is_refused(
    copy: Path, values: dict[str, object], message: str
) -> None:
    changed(copy / "config.json", **values)
    with pytest.raises(ModelError, match=message):
        load(context(copy))


def test_files_that_are_not_there_or_damaged_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load(context(copy))
    (copy / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0notjson!")
    with pytest.raises(ModelError, match="header"):
        load(context(copy))
    (copy / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        load(context(copy))


def test_pooling_is_as_the_files_say(copy: Path, engine: EncoderEngine) -> None:
    path = copy / "1_Pooling" / "config.json"
    changed(path, pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
    by_first = vectors(run(load(context(copy)), Embed(texts=("a dog",)))[0])
    by_mean = vectors(run(engine, Embed(texts=("a dog",)))[0])
    assert float(by_first[0] @ by_mean[0]) < 0.99
    changed(path, pooling_mode_max_tokens=True)
    with pytest.raises(ModelError, match="only the mean and the first"):
        load(context(copy))


def test_the_window_can_be_set_within_what_the_model_has(minilm: Path) -> None:
    assert load(context(minilm, max_tokens=512)).info.context_tokens == 512
    with pytest.raises(ModelError, match="512 positions"):
        load(context(minilm, max_tokens=513))
