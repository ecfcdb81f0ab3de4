"""Requests for tests: small ones, with what matters said by the test."""

from __future__ import annotations

from hexkey.types import Autocomplete, Chat, Message, Payload, Request, Translate

CHAT = Chat(messages=(Message("user", "Hello"),))
AUTOCOMPLETE = Autocomplete(prefix="Once upon a")


def translate(text: str = "Hello.", target: str = "pt", source: str = "en") -> Translate:
    return Translate(texts=(text,), target=target, source=source)


def request(payload: Payload = CHAT, model: str = "", deadline: float | None = None) -> Request:
    return Request(id="r1", payload=payload, protocol="http", model=model, deadline=deadline)
