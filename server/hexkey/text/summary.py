"""How a summary is asked of a model that chats."""

from __future__ import annotations

from hexkey.types import Chat, Length, Message, Summarize

_WISH = {
    Length.SHORT: "in one short sentence",
    Length.MEDIUM: "in two or three sentences",
    Length.LONG: "in one paragraph",
}


def as_chat(payload: Summarize) -> Chat:
    """Return the conversation whose answer is the summary."""
    wish = _WISH[payload.length]
    return Chat(
        messages=(
            Message("system", f"You summarize texts. Answer with the summary only, {wish}."),
            Message("user", f"Summarize this text {wish}:\n\n{payload.text}"),
        ),
        sampling=payload.sampling,
    )
