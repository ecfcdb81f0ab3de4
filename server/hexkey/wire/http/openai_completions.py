"""``POST /v1/completions`` as OpenAI's clients expect it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hexkey.errors import ServeError, invalid
from hexkey.several import Several
from hexkey.types import Autocomplete, Delta, Finish, Sampling, TokenLogprob, Usage
from hexkey.wire.http import codec, openai_common
from hexkey.wire.http.families import tabby
from hexkey.wire.http.openai_schemas import (
    Completion,
    CompletionBody,
    CompletionChoice,
    CompletionLogprobs,
)
from hexkey.wire.http.runs import collect, served_by, stream
from hexkey.wire.http.stream import DONE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hexkey.service import Service
    from hexkey.types import Request
    from hexkey.wire.http.exchange import Exchange
    from hexkey.wire.http.runs import Runs

MAX_TOKENS = 16
MAX_PROMPTS = 64
_BODY = msgspec.json.Decoder(CompletionBody)
_RENAMED = {"prefix": "prompt", "tokens": "prompt"}
_encode = msgspec.json.encode


async def completions(exchange: Exchange, service: Service) -> None:
    """Continue one prompt or several."""
    body = codec.decode(_BODY, exchange.body)
    payloads = _payloads(body)
    sampling = payloads[0].sampling
    run = _run(exchange, service, payloads, body.model)
    completion_id = f"cmpl-{exchange.id}"
    echoes = [payload.prefix if body.echo else "" for payload in payloads]
    top = bool(body.logprobs)
    try:
        if body.stream:
            chunks = CompletionChunks(
                completion_id,
                sampling,
                echoes,
                include_usage=openai_common.include_usage(body),
                top=top,
            )
            await stream(exchange, run, chunks)
            return
        outputs, usage = await collect(exchange, run)
    except ServeError as error:
        raise codec.renamed(error, _RENAMED) from None
    choices = []
    for index, output in enumerate(outputs):
        echo = echoes[index // sampling.n]
        logprobs = _logprobs(output.logprobs, 0, top=top) if sampling.logprobs else None
        choices.append(CompletionChoice(index, echo + output.text, logprobs, output.reason))
    answer = Completion(
        id=completion_id,
        created=openai_common.now(),
        model=run.model,
        choices=choices,
        usage=openai_common.usage(usage),
    )
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


class CompletionChunks:
    """Writes the chunks of one stream. What is the same in all of them is encoded once."""

    __slots__ = ("_before", "_echoes", "_include_usage", "_n", "_offsets", "_sampling", "_top")

    def __init__(
        self,
        completion_id: str,
        sampling: Sampling,
        echoes: list[str],
        *,
        include_usage: bool,
        top: bool,
    ) -> None:
        self._before = b'data: {"id":%b,"object":"text_completion","created":%d,"model":' % (
            _encode(completion_id),
            openai_common.now(),
        )
        self._sampling = sampling
        self._echoes = echoes
        self._include_usage = include_usage
        self._top = top
        self._offsets: list[int] = []

    def start(self, model: str, notes: tuple[str, ...]) -> bytes:  # noqa: ARG002 - no place for notes
        """Write the prompts where they were asked for."""
        self._before += _encode(model) + b',"choices":['
        n = self._sampling.n
        self._offsets = [0] * (n * len(self._echoes))
        return b"".join(
            self._chunk(which * n + choice, echo)
            for which, echo in enumerate(self._echoes)
            if echo
            for choice in range(n)
        )

    def delta(self, event: Delta) -> bytes:
        """Write more text."""
        logprobs = b"null"
        if event.logprobs:
            tokens = _logprobs(event.logprobs, self._offsets[event.index], top=self._top)
            self._offsets[event.index] += sum(map(len, tokens.tokens))
            logprobs = _encode(tokens)
        return self._chunk(event.index, event.text, logprobs)

    def finish(self, event: Finish) -> bytes:
        """Write why a choice ended."""
        return self._chunk(event.index, "", reason=_encode(event.reason))

    def end(self, event: Usage) -> bytes:
        """Write the usage where it was asked for, and the end mark."""
        if not self._include_usage:
            return DONE
        usage = _encode(openai_common.usage(event))
        return self._before + b'],"usage":' + usage + b"}\n\n" + DONE

    def _chunk(
        self, index: int, text: str, logprobs: bytes = b"null", reason: bytes = b"null"
    ) -> bytes:
        return b'%b{"index":%d,"text":%b,"logprobs":%b,"finish_reason":%b}]}\n\n' % (
            self._before,
            index,
            _encode(text),
            logprobs,
            reason,
        )


def _run(
    exchange: Exchange, service: Service, payloads: list[Autocomplete], model: str | None
) -> Runs:
    if len(payloads) == 1:
        return service.run(exchange.request(payloads[0], model))
    return Several(
        service,
        [_apart(exchange.request(payload, model), at) for at, payload in enumerate(payloads)],
    )


def _apart(request: Request, at: int) -> Request:
    """Return one of several prompts in a session of its own, or each would end the one before."""
    payload = request.payload
    if not isinstance(payload, Autocomplete) or not payload.session:
        return request
    payload = msgspec.structs.replace(payload, session=f"{payload.session}#{at}")
    return msgspec.structs.replace(request, payload=payload)


def _payloads(body: CompletionBody) -> list[Autocomplete]:
    if body.segments is not None:
        return [tabby.payload(body, body.segments)]
    openai_common.check(body, "logprobs", body.logprobs)
    if body.best_of is not None and body.best_of > (body.n or 1):
        raise invalid("best_of larger than n is not supported", "best_of")
    sampling = openai_common.sampling(body, MAX_TOKENS, logprobs=body.logprobs is not None)
    suffix = body.suffix or ""
    payloads = [
        Autocomplete(prefix=prompt, suffix=suffix, sampling=sampling)
        if isinstance(prompt, str)
        else Autocomplete(prefix="", tokens=prompt, suffix=suffix, sampling=sampling)
        for prompt in _prompts(body.prompt)
    ]
    if body.echo and any(payload.tokens for payload in payloads):
        raise invalid("echo needs the prompt as text, not as token ids", "echo")
    if body.echo and sampling.logprobs:
        # Who scores texts reads the prompt's, and must not take the answer's for them.
        raise invalid("the prompt's log-probabilities are not known; leave echo out", "echo")
    return payloads


def _prompts(prompt: object) -> list[str | tuple[int, ...]]:
    """Return the prompts, each a text or token ids."""
    if isinstance(prompt, str):
        prompts: list[str | tuple[int, ...]] = [prompt]
    elif not isinstance(prompt, list) or not prompt:
        raise invalid("prompt is missing; send a text, token ids, or a list of either", "prompt")
    elif _all(prompt, str):
        prompts = prompt
    elif _all(prompt, int):
        prompts = [tuple(prompt)]
    elif _all(prompt, list):
        prompts = [tuple(ids) for ids in prompt]
    else:
        raise invalid("prompt mixes texts and token ids; send one kind", "prompt")
    if len(prompts) > MAX_PROMPTS:
        raise invalid(f"at most {MAX_PROMPTS} prompts are taken in one request", "prompt")
    if not all(prompts):
        raise invalid("a prompt is empty; send some text", "prompt")
    return prompts


def _all(values: list[object], kind: type) -> bool:
    return all(isinstance(value, kind) for value in values)


def _logprobs(tokens: Iterable[TokenLogprob], offset: int, *, top: bool) -> CompletionLogprobs:
    texts, values, offsets = [], [], []
    for token in tokens:
        text = openai_common.token_text(token.token)
        texts.append(text)
        values.append(token.logprob)
        offsets.append(offset)
        offset += len(text)
    likeliest = [{text: value} for text, value in zip(texts, values, strict=True)]
    return CompletionLogprobs(texts, values, likeliest if top else None, offsets)
