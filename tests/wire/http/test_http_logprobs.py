"""How log-probabilities are written; the fake engine gives none, so the events are made here."""

from __future__ import annotations

import json
from typing import Any

from hexkey.types import Delta, Finish, FinishReason, Sampling, TokenLogprob, Usage
from hexkey.wire.http.openai_chat import ChatChunks
from hexkey.wire.http.openai_completions import CompletionChunks

SAMPLING = Sampling(logprobs=True)
FIRST = Delta(0, "héllo", 1, (TokenLogprob("héllo".encode(), -0.5),))
SECOND = Delta(0, " wo", 2, (TokenLogprob(b" w", -1.0), TokenLogprob(b"\xc3", -2.0)))


def choices(chunks: bytes) -> list[Any]:
    blocks = [block.removeprefix(b"data: ") for block in chunks.split(b"\n\n") if block]
    return [json.loads(block)["choices"][0] for block in blocks if block != b"[DONE]"]


def test_of_a_completion() -> None:
    chunks = CompletionChunks("cmpl-1", SAMPLING, [""], include_usage=False, top=True)
    assert chunks.start("m", ()) == b""
    (first,) = choices(chunks.delta(FIRST))
    assert first["logprobs"] == {
        "tokens": ["héllo"],
        "token_logprobs": [-0.5],
        "top_logprobs": [{"héllo": -0.5}],
        "text_offset": [0],
    }
    (second,) = choices(chunks.delta(SECOND))
    assert second["logprobs"]["text_offset"] == [5, 7]
    assert second["finish_reason"] is None
    (last,) = choices(chunks.finish(Finish(0, FinishReason.STOP)))
    assert (last["text"], last["finish_reason"]) == ("", "stop")
    assert chunks.end(Usage()) == b"data: [DONE]\n\n"


def test_of_an_answer() -> None:
    chunks = ChatChunks("chatcmpl-1", SAMPLING, include_usage=False, top=True)
    chunks.start("m", ())
    (second,) = choices(chunks.delta(SECOND))
    content = second["logprobs"]["content"]
    assert [token["logprob"] for token in content] == [-1.0, -2.0]
    assert content[1]["bytes"] == [0xC3]
    assert content[1]["top_logprobs"][0]["bytes"] == [0xC3]
