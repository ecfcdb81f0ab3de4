"""Translations by a model that writes: each sentence is an instruction and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hexkey.engines.instruction import answer
from hexkey.engines.sequence import Sequence, Work
from hexkey.engines.textstream import TextStream
from hexkey.engines.translation import plan
from hexkey.engines.vllm.jobs import Job
from hexkey.engines.vllm.output import Output
from hexkey.types import (
    Autocomplete,
    Chat,
    Delta,
    Finish,
    FinishReason,
    Message,
    Sampling,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence as Items

    from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest

    from hexkey.engines.instruction import Instruction
    from hexkey.engines.prompts import PromptMaker
    from hexkey.engines.vllm.requests import Requests
    from hexkey.text.document import DocumentPlan
    from hexkey.types import HostEvent, Terms, Translate

_LONGER = 3  # a translation has hardly more tokens than so many times its sentence's …
_AT_LEAST = 32  # … and these
_BYTES = 4  # of a token, about


class Asked(NamedTuple):
    """A sentence to translate: of which text, and what that text's plan calls it."""

    place: int
    sentence_id: int
    text: str


class Translation:
    """A caller's texts under way, sentence by sentence, told in the order of each text.

    An iterator of what is to be sent to EngineCore next; ``None`` where an answer must come first.
    """

    def __init__(self, job_id: int, payload: Translate, ask: Interpreter, terms: Terms) -> None:
        self.payload = payload
        self.usage = Usage(input_characters=sum(map(len, payload.texts)))
        self._job_id = job_id
        self._ask = ask
        self._terms = terms
        self._plans: list[DocumentPlan] = [plan(text, payload) for text in payload.texts]
        self._tokens = [0] * len(self._plans)
        self._finished = [False] * len(self._plans)
        self._next: Asked | None = None
        self._cut = self._told = self._sent = 0
        self._look_ahead()
        if self._next is None:
            # Without a word in it nothing is to be translated, yet its answer is a step's, as any.
            self._next = Asked(0, -1, "")

    def __iter__(self) -> Iterator[tuple[Sentence, EngineCoreRequest] | None]:
        return self

    def __next__(self) -> tuple[Sentence, EngineCoreRequest] | None:
        self._look_ahead()
        asked, self._next = self._next, None
        if asked is None:
            if all(self._finished):
                raise StopIteration
            return None
        self._sent += 1
        return self._ask.sentence(f"{self._job_id}-{self._sent}", self, asked, self._terms)

    def feed(self, asked: Asked, text: str, work: Work) -> list[HostEvent]:
        """Put a translation in its place; return what can be told by it."""
        if asked.sentence_id >= 0:
            self._tokens[asked.place] += work.output_tokens
            self._plans[asked.place].feed(asked.sentence_id, text or asked.text)
        self.usage.input_tokens += len(work.prompt)
        self.usage.cached_tokens += work.cached_tokens
        self.usage.output_tokens += work.output_tokens
        self._look_ahead()
        return list(self._tell())

    def _look_ahead(self) -> None:
        """Cut one more sentence; those that are to be tried again go first."""
        for index in range(self._told, len(self._plans)):
            if self._next is not None:
                return
            for sentence_id, text in self._plans[index].pending(1):
                self._next = Asked(index, sentence_id, text)
            if self._next is None:
                self._cut = max(self._cut, index + 1)

    def _tell(self) -> Iterator[HostEvent]:
        for index in range(self._told, min(self._cut + 1, len(self._plans))):
            one = self._plans[index]
            if self._finished[index]:
                continue
            if text := one.take():
                yield Delta(index, text, self._tokens[index])
                self._tokens[index] = 0
            if one.done:
                self._finished[index] = True
                yield Finish(index, FinishReason.STOP)
        while self._told < len(self._plans) and self._finished[self._told]:
            self._told += 1


class Interpreter:
    """Has one model translate by instructions; greedy, so that the same text has one answer."""

    def __init__(
        self,
        requests: Requests,
        prompts: PromptMaker,
        pieces: Items[bytes],
        instruction: Instruction,
        *,
        chats: bool,
    ) -> None:
        self._requests = requests
        self._prompts = prompts
        self._pieces = pieces
        self._instruction = instruction
        self._chats = chats

    def job(self, job_id: int, payload: Translate, terms: Terms) -> Job:
        """Return the sentences of some texts; further ones follow as answers come."""
        translation = Translation(job_id, payload, self, terms)
        return Job(job_id, translation, lambda: translation.usage)

    def sentence(
        self, name: str, translation: Translation, asked: Asked, terms: Terms
    ) -> tuple[Sentence, EngineCoreRequest]:
        """Return what asks for one sentence; ``ServeError`` where it does not fit the window."""
        payload = translation.payload
        said = self._instruction.ask(asked.text, payload)
        tokens = _AT_LEAST + _LONGER * len(asked.text.encode()) // _BYTES
        most = Sampling(max_tokens=tokens if asked.text else 1)
        prompt = self._prompts.make(
            Chat(messages=(Message("user", said),), sampling=most)
            if self._chats
            else Autocomplete(prefix=said, sampling=most)
        )
        work = Work(0, prompt, len(asked.text), 1)
        output = Output(Sequence(work, range(1), TextStream(), logprobs=False), self._pieces)
        request = self._requests.text(name, prompt, most, 0, terms)
        return Sentence(translation, asked, work, output), request


class Sentence:
    """One sentence; see ``hexkey.engines.vllm.jobs.Part``."""

    def __init__(self, translation: Translation, asked: Asked, work: Work, output: Output) -> None:
        self._translation = translation
        self._asked = asked
        self._work = work
        self._output = output
        self._said = ""

    def take(self, output: EngineCoreOutput) -> tuple[list[HostEvent], bool]:
        """Read on; the translation is complete with its line, whatever the model would add."""
        news, complete = self._output.take(output)
        self._said += "".join(one.text for one in news if isinstance(one, Delta))
        text, enough = answer(self._said, self._asked.text, self._translation.payload)
        if not (complete or enough):
            return [], False
        return self._translation.feed(self._asked, text, self._work), True

    def coarse(self, output: EngineCoreOutput) -> tuple[int, int]:
        """As of any output."""
        return self._output.coarse(output)
