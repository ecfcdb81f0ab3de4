"""llama.cpp's ``/tokenize``, ``/detokenize``, ``/apply-template`` and ``/props``.

Source: llama.cpp's server README; llama.vscode counts a chat's tokens by the template and then the
tokens, and learns from ``/props`` how many fit. vLLM's ``prompt`` is taken for ``content``, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from hexkey import __version__
from hexkey.engines.lexicon import Detokenize, Render, Tokenize
from hexkey.errors import invalid
from hexkey.types import Autocomplete, Chat, Message
from hexkey.wire.http import codec, openai_common
from hexkey.wire.http.families.llamacpp import DIALECT
from hexkey.wire.http.openai_schemas import MAX_TOKEN_ID, MessageBody
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.schemas import MODEL

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange

_TEXT = frozenset({"text"})
TokenId = Annotated[int, Meta(ge=0, le=MAX_TOKEN_ID)]


class TokenizeBody(Struct):
    """Asks for the tokens of a text."""

    content: Annotated[str | None, Meta(description="The text.")] = None
    prompt: Annotated[str | None, Meta(description="vLLM's name for the text.")] = None
    model: Annotated[str | None, MODEL] = None
    add_special: Annotated[bool, Meta(description="Begin as a prompt does.")] = False
    parse_special: Annotated[bool, Meta(description="Read names of control tokens as such.")] = True
    with_pieces: Annotated[bool, Meta(description="Tell what each token stands for.")] = False


class TokenPiece(Struct):
    """A token; ``piece`` is its bytes where they are no text by themselves."""

    id: int
    piece: str | list[int]


class TokenizeAnswer(Struct):
    """The tokens in order; how many, and how many the model takes."""

    tokens: list[int | TokenPiece]
    count: int
    max_model_len: int


class DetokenizeBody(Struct):
    """Asks for the text of tokens."""

    tokens: list[TokenId]
    model: Annotated[str | None, MODEL] = None


class DetokenizeAnswer(Struct):
    """The text, under llama.cpp's name and vLLM's."""

    content: str
    prompt: str


class ApplyTemplateBody(Struct):
    """Asks for the prompt that a conversation becomes."""

    messages: list[MessageBody]
    model: Annotated[str | None, MODEL] = None
    tools: Annotated[list[Raw] | None, Meta(description="Not served.")] = None


class ApplyTemplateAnswer(Struct):
    """The prompt, the answer to follow."""

    prompt: str


class GenerationSettings(Struct):
    """What holds where a request does not say otherwise."""

    n_ctx: int


class PropsAnswer(Struct):
    """What the server is: its model's window, and how many requests it makes use of at once."""

    default_generation_settings: GenerationSettings
    total_slots: int
    model_alias: str
    build_info: str


class _PropsQuery(Struct):
    model: str | None = None


_TOKENIZE = msgspec.json.Decoder(TokenizeBody)
_DETOKENIZE = msgspec.json.Decoder(DetokenizeBody)
_TEMPLATE = msgspec.json.Decoder(ApplyTemplateBody)


async def tokenize(exchange: Exchange, service: Service) -> None:
    """Tell a text's tokens."""
    body = codec.decode(_TOKENIZE, exchange.body)
    text = body.prompt if body.content is None else body.content
    if text is None:
        raise invalid("content is missing; send the text", "content")
    # The text of an empty request is none, though its tokens may be those it begins with.
    request = exchange.request(Autocomplete(prefix=text or " "), body.model)
    with codec.naming({"prefix": "content"}):
        model, found = await service.lex(
            request, Tokenize(text, body.add_special, body.parse_special)
        )
    info = service.pool.info(model)
    tokens: list[int | TokenPiece] = (
        [TokenPiece(*pair) for pair in zip(found.ids, map(_piece, found.pieces), strict=True)]
        if body.with_pieces
        else list(found.ids)
    )
    await exchange.json(TokenizeAnswer(tokens, len(tokens), info.context_tokens if info else 0))


async def detokenize(exchange: Exchange, service: Service) -> None:
    """Tell the text of tokens."""
    body = codec.decode(_DETOKENIZE, exchange.body)
    if not body.tokens:
        await exchange.json(DetokenizeAnswer("", ""))
        return
    ids = tuple(body.tokens)
    request = exchange.request(Autocomplete(prefix="", tokens=ids), body.model)
    with codec.naming({"prefix": "tokens", "prompt": "tokens"}):
        _, found = await service.lex(request, Detokenize(ids))
    await exchange.json(DetokenizeAnswer(found.text, found.text))


async def apply_template(exchange: Exchange, service: Service) -> None:
    """Tell the prompt of a conversation, as its model reads it."""
    body = codec.decode(_TEMPLATE, exchange.body)
    codec.refuse(body, "tools")
    messages = tuple(
        Message(
            openai_common.role(one.role, f"messages[{index}].role"),
            openai_common.text(one.content, _TEXT, f"messages[{index}].content"),
        )
        for index, one in enumerate(body.messages)
    )
    request = exchange.request(Chat(messages=messages), body.model)
    _, found = await service.lex(request, Render(messages))
    await exchange.json(ApplyTemplateAnswer(found.text))


async def props(exchange: Exchange, service: Service) -> None:
    """Tell what a model, the first that completes text by default, can take."""
    query = codec.decode_form(_PropsQuery, exchange.scope["query_string"])
    plan = await service.plan(exchange.request(Autocomplete(prefix=" "), query.model))
    model = plan.routes[0].model
    info = service.pool.info(model)
    settings = GenerationSettings(info.context_tokens if info else 0)
    slots = info.concurrency if info else 0
    await exchange.json(PropsAnswer(settings, slots, model, f"hexkey {__version__}"))


def _piece(piece: bytes) -> str | list[int]:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return list(piece)


OPERATIONS = (
    Operation(
        "POST", "/tokenize", tokenize,
        TokenizeAnswer, TokenizeBody, dialect=DIALECT, timed=False,
    ),
    Operation(
        "POST", "/detokenize", detokenize,
        DetokenizeAnswer, DetokenizeBody, dialect=DIALECT, timed=False,
    ),
    Operation(
        "POST", "/apply-template", apply_template,
        ApplyTemplateAnswer, ApplyTemplateBody, dialect=DIALECT, timed=False,
    ),
    Operation("GET", "/props", props, PropsAnswer, dialect=DIALECT),
)  # fmt: skip
