"""The table of tasks as this wire has them: a message in, a message out, and whether it streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hexkey.errors import invalid
from hexkey.types import Task
from hexkey.v1 import inference_pb2 as pb
from hexkey.wire.grpc import codec, retrieval

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from hexkey.types import Payload
    from hexkey.wire.answer import Answer
    from hexkey.wire.grpc.codec import Served


@dataclass(frozen=True, slots=True)
class TaskCodec:
    """One task; ``streams`` says that it has a second method, which tells events."""

    request: type[Message]
    decode: Callable[[Any], Payload]
    encode: Callable[[Served, Answer], Message]
    streams: bool = False


# A task's method is called as the task is, with a capital; its field in ExplainRoute, without.
CODECS = {
    Task.AUTOCOMPLETE: TaskCodec(
        pb.AutocompleteRequest, codec.autocomplete, codec.autocomplete_response, streams=True
    ),
    Task.TRANSLATE: TaskCodec(
        pb.TranslateRequest, codec.translate, codec.translate_response, streams=True
    ),
    Task.CHAT: TaskCodec(pb.ChatRequest, codec.chat, codec.chat_response, streams=True),
    Task.EMBED: TaskCodec(pb.EmbedRequest, retrieval.embed, retrieval.embed_response),
    Task.RERANK: TaskCodec(pb.RerankRequest, retrieval.rerank, retrieval.rerank_response),
    Task.CLASSIFY: TaskCodec(pb.ClassifyRequest, retrieval.classify, retrieval.classify_response),
    Task.TRANSCRIBE: TaskCodec(
        pb.TranscribeRequest, retrieval.transcribe, retrieval.transcribe_response, streams=True
    ),
    Task.SUMMARIZE: TaskCodec(
        pb.SummarizeRequest, codec.summarize, codec.summarize_response, streams=True
    ),
}


def explained(message: pb.ExplainRouteRequest) -> tuple[Payload, Any]:
    """Decode to a payload and the message inside; ``ServeError`` where there is none."""
    which = message.WhichOneof("request")
    if which is None:
        raise invalid(f"there is no request; set one of {', '.join(CODECS)}", "request")
    inside = getattr(message, which)
    return CODECS[Task(which)].decode(inside), inside
