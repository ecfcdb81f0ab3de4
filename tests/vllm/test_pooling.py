"""Models that read: vectors, labels and scores, each against transformers on the same weights."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import torch
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
)

from hexkey.engines.frames import Step
from hexkey.engines.supervisor import Observer, Supervisor
from hexkey.errors import Code, ServeError
from hexkey.types import (
    Began,
    Classify,
    Embed,
    Event,
    Payload,
    Request,
    Rerank,
    Scores,
    Usage,
    Vector,
)
from tests.vllm.conftest import settings
from tests.waiting import soon

pytestmark = pytest.mark.asyncio(loop_scope="module")
OPTIONS: dict[str, object] = {"dtype": "float32", "kv_cache_gib": 0.1, "max_num_seqs": 16}
TEXTS = (
    "The cat sits on the mat.",
    "A feline rests on a rug. [SEP] It is not a control token.",
    "Stock markets fell sharply on Monday.",
    "naïve 漢字",
)


@dataclasses.dataclass
class House:
    supervisor: Supervisor
    steps: list[Step]

    async def ask(self, payload: Payload) -> list[Event]:
        request = Request(id="t", payload=payload, protocol="test")
        async with aclosing(self.supervisor.run(request)) as events:
            return [event async for event in events if not isinstance(event, Began)]


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[House]:
    steps: list[Step] = []
    host = dataclasses.replace(settings(folder), options=OPTIONS)
    supervisor = Supervisor(host, Observer(step=lambda _model, step: steps.append(step)))
    await supervisor.start()
    yield House(supervisor, steps)
    await supervisor.stop()


def head(folder: Path, minilm: Path, labels: int) -> Path:
    """A small classifier of random weights, with a real tokenizer."""
    torch.manual_seed(labels)
    config = BertConfig(
        vocab_size=30522,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        num_labels=labels,
        id2label={number: f"label {number}" for number in range(labels)},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(minilm).save_pretrained(folder)
    return folder


def disarmed(folder: Path) -> AutoTokenizer:
    return AutoTokenizer.from_pretrained(folder, split_special_tokens=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def encoder(minilm: Path) -> AsyncIterator[House]:
    async with served(minilm) as house:
        yield house


async def test_vectors_are_those_of_the_model(encoder: House, minilm: Path) -> None:
    assert encoder.supervisor.info is not None
    assert encoder.supervisor.info.dimensions == 384
    encoder.steps.clear()
    events = await encoder.ask(Embed(texts=TEXTS))
    vectors = {event.index: np.array(event.values) for event in events if isinstance(event, Vector)}
    read = disarmed(minilm)(list(TEXTS), return_tensors="pt", padding=True)
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(minilm, dtype=torch.float32)(**read).last_hidden_state
    mask = read.attention_mask.unsqueeze(-1)
    means = (hidden * mask).sum(1) / mask.sum(1)
    expected = torch.nn.functional.normalize(means).numpy()
    for index, row in enumerate(expected):
        assert vectors[index] @ row > 0.9999, TEXTS[index]
        assert abs(np.linalg.norm(vectors[index]) - 1) < 1e-5
    usage = events[-1]
    assert isinstance(usage, Usage)
    assert usage.input_tokens == int(read.attention_mask.sum())
    assert usage.input_characters == sum(map(len, TEXTS))
    told = sum(tokens for step in encoder.steps for _, tokens, _ in step.computed)
    assert told == usage.input_tokens


async def test_tokens_and_dimensions_are_taken(encoder: House, minilm: Path) -> None:
    ids = tuple(AutoTokenizer.from_pretrained(minilm)(TEXTS[0], add_special_tokens=False).input_ids)
    by_text, by_ids, short = await asyncio.gather(
        encoder.ask(Embed(texts=TEXTS[:1])),
        encoder.ask(Embed(tokens=(ids,))),
        encoder.ask(Embed(texts=TEXTS[:1], dimensions=16)),
    )
    whole, again, cut = (
        np.array(events[0].values)
        for events in (by_text, by_ids, short)
        if isinstance(events[0], Vector)
    )
    np.testing.assert_allclose(whole, again, atol=1e-5)
    np.testing.assert_allclose(cut, whole[:16] / np.linalg.norm(whole[:16]), atol=1e-5)


async def test_a_text_too_long_is_refused_or_cut(encoder: House) -> None:
    long = "word " * 4000
    with pytest.raises(ServeError, match="send truncate") as caught:
        await encoder.ask(Embed(texts=(TEXTS[0], long)))
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert encoder.supervisor.info is not None
    usage = (await encoder.ask(Embed(texts=(long,), truncate=True)))[-1]
    assert isinstance(usage, Usage)
    assert usage.input_tokens == encoder.supervisor.info.context_tokens


async def test_a_library_does_not_keep_out_a_line(encoder: House) -> None:
    done: list[str] = []

    async def one(name: str, payload: Payload) -> None:
        await encoder.ask(payload)
        done.append(name)

    library = asyncio.create_task(
        one("library", Embed(texts=("All work and no play. " * 8,) * 600))
    )
    await soon(lambda: encoder.supervisor.running == 1)
    await one("line", Embed(texts=TEXTS[:1]))
    await library
    assert done == ["line", "library"]


async def test_vectors_rerank_and_classify(encoder: House) -> None:
    documents = (TEXTS[2], TEXTS[1], "Bananas are yellow.")
    scores = {
        event.index: event.values[0]
        for event in await encoder.ask(Rerank(query=TEXTS[0], documents=documents))
        if isinstance(event, Scores)
    }
    assert max(scores, key=scores.__getitem__) == 1
    events = await encoder.ask(Classify(texts=TEXTS[2:3], labels=("finance", "cooking")))
    (shares,) = (event.values for event in events if isinstance(event, Scores))
    assert shares[0] > 0.9
    assert abs(sum(shares) - 1) < 1e-5


async def test_a_classifier_uses_its_own_labels(tmp_path: Path, minilm: Path) -> None:
    folder = head(tmp_path / "labels", minilm, 3)
    model = BertForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        read = disarmed(folder)(list(TEXTS), return_tensors="pt", padding=True)
        expected = model(**read).logits.softmax(-1).numpy()
    async with served(folder) as house:
        assert house.supervisor.info is not None
        assert house.supervisor.info.labels == ("label 0", "label 1", "label 2")
        events = await house.ask(Classify(texts=TEXTS))
        told = {event.index: event for event in events if isinstance(event, Scores)}
        for index, row in enumerate(expected):
            np.testing.assert_allclose(told[index].values, row, atol=1e-4)
            assert told[index].labels == house.supervisor.info.labels
        with pytest.raises(ServeError, match="by its own labels"):
            await house.ask(Classify(texts=TEXTS, labels=("a",)))


async def test_a_cross_encoder_reads_query_and_document_together(
    tmp_path: Path, minilm: Path
) -> None:
    folder = head(tmp_path / "score", minilm, 1)
    model = BertForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        pairs = disarmed(folder)([TEXTS[0]] * 4, list(TEXTS), return_tensors="pt", padding=True)
        expected = model(**pairs).logits.sigmoid()[:, 0].numpy()
    async with served(folder) as house:
        events = await house.ask(Rerank(query=TEXTS[0], documents=TEXTS))
        told = {event.index: event.values for event in events if isinstance(event, Scores)}
        for index, score in enumerate(expected):
            np.testing.assert_allclose(told[index], (score,), atol=1e-4)
