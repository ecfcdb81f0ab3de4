"""Hugging Face's other tasks at a model's URL: summaries, vectors, similarities, speech.

Source: ``huggingface_hub.InferenceClient``, which asks a model's URL as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from hexkey.types import Embed, Rerank, Sampling, Scores, Summarize, Transcribe, Vector
from hexkey.wire.http import codec
from hexkey.wire.http.runs import collect, found, served_by, spoken

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange

MAX_TOKENS = 256


class HfSentences(Struct):
    """Asks how much each of ``sentences`` means what ``source_sentence`` does."""

    source_sentence: str
    sentences: list[str]


class HfSummary(Struct):
    """A text in few words."""

    summary_text: str


class HfSpeech(Struct):
    """What is said in audio."""

    text: str


async def summarize(
    exchange: Exchange, service: Service, text: str, model: str, max_tokens: int | None
) -> None:
    """Answer with a summary."""
    sampling = Sampling(max_tokens=MAX_TOKENS if max_tokens is None else max_tokens)
    run = service.run(exchange.request(Summarize(text=text, sampling=sampling), model))
    with codec.naming({"text": "inputs", "max_tokens": "parameters.max_new_tokens"}):
        (output,), usage = await collect(exchange, run)
    answer = [HfSummary(output.text.strip())]
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


async def embed(
    exchange: Exchange, service: Service, texts: str | list[str], model: str, *, truncate: bool
) -> None:
    """Answer with a vector for each text, of unit length."""
    payload = Embed(texts=codec.texts(texts), truncate=truncate)
    run = service.run(exchange.request(payload, model))
    with codec.naming({"text": "inputs"}):
        vectors, usage = await found(exchange, run, Vector)
    answer = [one.values for one in vectors]
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


async def compare(exchange: Exchange, service: Service, asked: HfSentences, model: str) -> None:
    """Answer with a score for each sentence, in their order."""
    payload = Rerank(query=asked.source_sentence, documents=tuple(asked.sentences))
    run = service.run(exchange.request(payload, model))
    names = {"query": "inputs.source_sentence", "documents": "inputs.sentences"}
    with codec.naming(names):
        scores, usage = await found(exchange, run, Scores)
    answer = [one.values[0] for one in scores]
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


async def transcribe(exchange: Exchange, service: Service, audio: bytes, model: str) -> None:
    """Answer with what is said in a file."""
    run = service.run(exchange.request(Transcribe(audio=audio), model))
    with codec.naming({"file": "inputs"}):
        text, _, usage = await spoken(exchange, run)
    await exchange.json(HfSpeech(text), served_by(exchange, run.model, usage.cost))
