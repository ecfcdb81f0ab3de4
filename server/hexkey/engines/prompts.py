"""Makes the token ids that a model reads from what a caller sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexkey.errors import invalid
from hexkey.types import Autocomplete, Chat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hexkey.engines.fim import FimFamily
    from hexkey.engines.vocabulary import Vocabulary
    from hexkey.types import ContextFile

_HASHES = frozenset(
    {"elixir", "julia", "makefile", "perl", "python", "r", "ruby", "shellscript", "toml", "yaml"}
)
_CONTEXT_SHARE = 2  # other files get at most one half of the window
_ANSWER_SHARE = 4  # and a suffix leaves the answer at least a quarter of it


class PromptMaker:
    """Builds prompts for a window of ``context_tokens``, which has to hold the answer as well."""

    def __init__(
        self, vocabulary: Vocabulary, fim: FimFamily | None, context_tokens: int, model: str
    ) -> None:
        self._vocabulary = vocabulary
        self._fim = fim
        self._context_tokens = context_tokens
        self._model = model

    def make(self, payload: Autocomplete | Chat) -> list[int]:
        """Return the prompt's ids, at least one and fewer than the window holds.

        Raises ``ServeError`` for a prompt that is too long or that the model's chat template
        refuses.
        """
        if isinstance(payload, Chat):
            return self._fitting(self._chat(payload), "messages")
        if payload.tokens:
            return self._fitting(self._checked(payload.tokens), "prompt")
        vocabulary, window = self._vocabulary, self._context_tokens
        ids = vocabulary.encode(payload.prefix)
        if self._fim is not None and payload.suffix:
            ids = self._filled(ids, payload, self._fim)
        begin = vocabulary.begin
        ids = self._fitting([*begin, *ids] or [vocabulary.nothing], "prompt")
        room = min(window - len(ids) - payload.sampling.max_tokens, window // _CONTEXT_SHARE)
        files = self._files(payload.context, payload.language, room)
        return [*begin, *files, *ids[len(begin) :]]

    def _chat(self, payload: Chat) -> list[int]:
        try:
            return self._vocabulary.encode_chat(payload.messages)
        except RuntimeError as error:
            message = f"{self._model}'s chat template does not take these messages"
            raise invalid(message, "messages") from error

    def _checked(self, tokens: Sequence[int]) -> list[int]:
        size = len(self._vocabulary)
        if not all(0 <= token < size for token in tokens):
            raise invalid(f"{self._model} knows the tokens 0 to {size - 1} only", "prompt")
        return list(tokens)

    def _fitting(self, ids: list[int], param: str) -> list[int]:
        if len(ids) >= self._context_tokens:
            most = self._context_tokens - 1
            raise invalid(
                f"the prompt has {len(ids)} tokens; {self._model} takes at most {most}", param
            )
        return ids

    def _filled(self, prefix: list[int], payload: Autocomplete, fim: FimFamily) -> list[int]:
        """Frame prefix and suffix by the family's tokens; only the suffix is cut to fit."""
        vocabulary, window = self._vocabulary, self._context_tokens
        answer = min(payload.sampling.max_tokens, window // _ANSWER_SHARE)
        room = window - len(vocabulary.begin) - len(prefix) - len(fim.tokens) - answer
        # What lies far behind the cursor helps least, so the suffix loses its end.
        suffix = vocabulary.encode(payload.suffix)[: max(0, room)]
        ids: list[int] = []
        for token, part in fim.order(prefix, suffix):
            ids += [vocabulary.special[token], *part]
        return ids

    def _files(self, files: Sequence[ContextFile], language: str, room: int) -> list[int]:
        """Return other files, each behind a comment that names it, as far as there is room."""
        mark = "#" if language.lower() in _HASHES else "//"
        ids: list[int] = []
        for file in files:
            header = self._vocabulary.encode(f"{mark} {file.path}\n")
            left = room - len(ids) - len(header)
            if left <= 0:
                break
            ids += header + self._vocabulary.encode(file.text.rstrip("\n") + "\n\n")[:left]
        return ids
