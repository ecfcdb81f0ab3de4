"""Requests for tests: small ones, with what matters said by the test."""

from __future__ import annotations

from hexkey.types import (
    Autocomplete,
    Chat,
    Classify,
    Embed,
    Message,
    Payload,
    Request,
    Rerank,
    Summarize,
    Transcribe,
    Translate,
)

CHAT = Chat(messages=(Message("user", "Hello"),))
AUTOCOMPLETE = Autocomplete(prefix="Once upon a")


def translate(text: str = "Hello.", target: str = "pt", source: str = "en") -> Translate:
    return Translate(texts=(text,), target=target, source=source)


def request(payload: Payload = CHAT, model: str = "", deadline: float | None = None) -> Request:
    return Request(id="r1", payload=payload, protocol="http", model=model, deadline=deadline)


ONE_OF_EACH: tuple[Payload, ...] = (
    AUTOCOMPLETE,
    CHAT,
    translate(),
    Embed(texts=("a", "b")),
    Rerank(query="red", documents=("a red door", "a blue door", "nothing")),
    Classify(texts=("a",), labels=("good", "bad")),
    Transcribe(audio=b"RIFF"),
    Summarize(text="A long story."),
)
