"""Models that generate text: completions and chats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm.v1.engine import FinishReason as Ended

from hexkey.engines.sequence import Sequence, Work, characters, groups, text_stream
from hexkey.engines.vllm.jobs import Job
from hexkey.errors import invalid
from hexkey.types import Autocomplete, Chat, FinishReason, Sampling

if TYPE_CHECKING:
    from collections.abc import Sequence as Items

    from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest

    from hexkey.engines.prompts import PromptMaker
    from hexkey.engines.vllm.jobs import Part
    from hexkey.engines.vllm.requests import Requests
    from hexkey.engines.vllm.vocabulary import Vocabulary
    from hexkey.types import HostEvent, ModelInfo, Payload, Terms

_WARM_UPS = (
    Sampling(max_tokens=8),
    Sampling(
        max_tokens=8,
        temperature=1.0,
        top_p=0.9,
        top_k=5,
        seed=1,
        presence_penalty=1.0,
        frequency_penalty=1.0,
        logprobs=True,
    ),
    Sampling(max_tokens=8, json_schema='{"type": "object"}'),
)


class Generation:
    """Completes texts and answers chats; see ``hexkey.engines.vllm.jobs.Kind``.

    Greedy outputs of one request would all be equal, so they are generated once.
    """

    def __init__(
        self,
        requests: Requests,
        *,
        info: ModelInfo,
        vocabulary: Vocabulary,
        prompts: PromptMaker,
    ) -> None:
        self.info = info
        self._requests = requests
        self._prompts = prompts
        self._nothing = vocabulary.nothing
        self._pieces = vocabulary.pieces

    def warm_ups(self) -> list[Payload]:
        """Each way of choosing tokens."""
        prompt = (self._nothing,) * 2
        return [Autocomplete(prefix="", tokens=prompt, sampling=one) for one in _WARM_UPS]

    def job(self, job_id: int, payload: Payload, terms: Terms) -> Job:
        """Return the sequences of a completion or a chat."""
        if not isinstance(payload, Autocomplete | Chat):
            raise invalid("this model completes texts and answers chats", "model")
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


class Output:
    """One output of a request, or several equal ones; see ``hexkey.engines.vllm.jobs.Part``."""

    def __init__(self, sequence: Sequence, pieces: Items[bytes]) -> None:
        self._sequence = sequence
        self._pieces = pieces

    def take(self, output: EngineCoreOutput) -> tuple[list[HostEvent], bool]:
        """Turn new tokens into text; a stop string or rule may end it before EngineCore does."""
        sequence, ended = self._sequence, output.finish_reason
        if output.prefill_stats is not None and sequence.indexes[0] == 0:
            sequence.work.cached_tokens = output.prefill_stats.num_cached_tokens
        told = output.new_logprobs
        scores = [row[0] for row in told.logprobs.tolist()] if told else []
        news = sequence.take(output.new_token_ids, scores, self._pieces)
        if ended is None and not sequence.stream.finished:
            return news, False
        full = ended is Ended.LENGTH and not sequence.stream.finished
        news += sequence.finish(FinishReason.LENGTH if full else FinishReason.STOP)
        return news, True

    def coarse(self, output: EngineCoreOutput) -> tuple[int, int]:
        """A prompt's tokens count with its first token."""
        prompt, before = len(self._sequence.work.prompt), len(self._sequence.generated)
        stats = output.prefill_stats
        cached = stats.num_cached_tokens if stats is not None else 0
        tokens = len(output.new_token_ids) if before else prompt - cached
        return tokens, prompt + max(0, before + len(output.new_token_ids) - 1)
