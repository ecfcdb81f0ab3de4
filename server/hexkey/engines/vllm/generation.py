"""Models that generate text: completions, chats, and translations by instruction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexkey.engines.lexicon import Render
from hexkey.engines.sequence import Sequence, Work, characters, groups, text_stream
from hexkey.engines.vllm.jobs import Job
from hexkey.engines.vllm.output import Output
from hexkey.errors import invalid
from hexkey.types import Autocomplete, Chat, Sampling, Translate

if TYPE_CHECKING:
    from vllm.v1.engine import EngineCoreRequest

    from hexkey.engines.lexicon import Lexed, Question
    from hexkey.engines.prompts import PromptMaker
    from hexkey.engines.vllm.jobs import Part
    from hexkey.engines.vllm.requests import Requests
    from hexkey.engines.vllm.translation import Interpreter
    from hexkey.engines.vllm.vocabulary import Vocabulary
    from hexkey.types import ModelInfo, Payload, Terms

_WARM_TOKENS = 8
_WIDEST = 512
"""Tokens of the widest step at the start: four times as many take a model of 7 B a minute and more
on a CPU, and whoever waits for a cold start waits for them."""
_WARM_UPS = (
    Sampling(max_tokens=_WARM_TOKENS),
    Sampling(
        max_tokens=_WARM_TOKENS,
        temperature=1.0,
        top_p=0.9,
        top_k=5,
        seed=1,
        presence_penalty=1.0,
        frequency_penalty=1.0,
        logprobs=True,
    ),
    Sampling(max_tokens=_WARM_TOKENS, json_schema='{"type": "object"}'),
)


class Generation:
    """Completes texts, answers chats and translates; see ``hexkey.engines.vllm.jobs.Kind``.

    Greedy outputs of one request would all be equal, so they are generated once. ``step_tokens``
    are what a step of the engine takes at most.
    """

    def __init__(
        self,
        requests: Requests,
        *,
        info: ModelInfo,
        vocabulary: Vocabulary,
        prompts: PromptMaker,
        interpreter: Interpreter,
        step_tokens: int,
    ) -> None:
        self.info = info
        self._interpreter = interpreter
        self._requests = requests
        self._prompts = prompts
        self._vocabulary = vocabulary
        self._nothing = vocabulary.nothing
        self._widest = min(step_tokens, info.context_tokens - _WARM_TOKENS, _WIDEST)
        self._pieces = vocabulary.pieces

    def lex(self, question: Question) -> Lexed:
        """Answer a question about the model's tokens."""
        if isinstance(question, Render) and not self.info.chat:
            raise invalid("this model has no chat template", "model")
        return self._vocabulary.answer(question)

    def warm_ups(self) -> list[Payload]:
        """Each way of choosing tokens, and a step of some width, so that its memory is there."""
        prompts = ((self._nothing,) * tokens for tokens in (self._widest, 2, 2))
        return [
            Autocomplete(prefix="", tokens=prompt, sampling=sampling)
            for prompt, sampling in zip(prompts, _WARM_UPS, strict=True)
        ]

    def job(self, job_id: int, payload: Payload, terms: Terms) -> Job:
        """Return the sequences of a completion or a chat, or the sentences of a translation."""
        if isinstance(payload, Translate):
            return self._interpreter.job(job_id, payload, terms)
        if not isinstance(payload, Autocomplete | Chat):
            raise invalid("this model completes texts, answers chats and translates", "model")
        if isinstance(payload, Chat) and not self.info.chat:
            raise invalid("this model has no chat template; it completes text only", "model")
        prompt = self._prompts.make(payload)
        sampling = payload.sampling
        work = Work(job_id, prompt, characters(payload), sampling.n)
        parts: list[tuple[Part, EngineCoreRequest]] = []
        for group in groups(sampling):
            stream = Sequence(work, group, text_stream(payload), sampling.logprobs)
            name = f"{job_id}-{group[0]}"
            request = self._requests.text(name, prompt, sampling, group[0], terms)
            parts.append((Output(stream, self._pieces), request))
        return Job(job_id, iter(parts), work.usage)
