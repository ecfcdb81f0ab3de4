"""Makes the token ids that a model reads from what a caller sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexkey.errors import invalid
from hexkey.types import UNBOUNDED, Autocomplete, Chat

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
_TOKEN = 16  # characters of which a token has hardly more, so that no huge text is tokenised


class PromptMaker:
    """Builds prompts for a window of ``context_tokens``, which has to hold the answer as well."""

    def __init__(
        self, vocabulary: Vocabulary, fim: FimFamily | None, context_tokens: int, model: str
    ) -> None:
        self._vocabulary = vocabulary
        self._fim = fim
        self._context_tokens = context_tokens
        self._model = model
        file = fim.file if fim is not None else ""
        self._mark = [vocabulary.special[file]] if file else []
        self._path_inside = fim is not None and fim.path_inside
        self._break = vocabulary.encode_inside("\n")

    def make(self, payload: Autocomplete | Chat) -> list[int]:
        """Return the prompt's ids, at least one and fewer than the window holds.

        Raises ``ServeError`` for a prompt that is too long or that the model's chat template
        refuses.
        """
        if isinstance(payload, Chat):
            return self._fitting(self._chat(payload), "messages")
        if payload.tokens:
            return self._fitting(self._checked(payload.tokens), "tokens")
        vocabulary, window = self._vocabulary, self._context_tokens
        fim = self._fim if payload.suffix else None
        prefix = vocabulary.encode(payload.prefix)
        suffix = self._suffix(payload, len(prefix))
        alone = [*vocabulary.begin, *self._framed(fim, prefix, suffix)] or [vocabulary.nothing]
        self._fitting(alone, "prefix")
        most = payload.sampling.max_tokens
        answer = most if most < UNBOUNDED else window // _ANSWER_SHARE
        room = min(window - len(alone) - answer, window // _CONTEXT_SHARE)
        if not payload.context or room <= 0:
            return alone
        # Behind other text the prefix has no space of its own, which may make another token of it.
        inside = vocabulary.encode_inside(payload.prefix)
        own = self._path(payload, room)
        room -= len(own) + max(0, len(inside) - len(prefix))
        files = self._files(payload.context, payload.language, room)
        if not files:
            return alone
        if not self._mark:
            return [*vocabulary.begin, *self._framed(fim, [*files, *own, *inside], suffix)]
        if self._path_inside:
            prefix, own = [*own, *inside], []
        return [*vocabulary.begin, *files, *self._mark, *own, *self._framed(fim, prefix, suffix)]

    def _chat(self, payload: Chat) -> list[int]:
        try:
            return self._vocabulary.encode_chat(payload.messages)
        except RuntimeError as error:
            message = f"{self._model}'s chat template does not take these messages"
            raise invalid(message, "messages") from error

    def _checked(self, tokens: Sequence[int]) -> list[int]:
        size = len(self._vocabulary)
        if not all(0 <= token < size for token in tokens):
            raise invalid(f"{self._model} knows the tokens 0 to {size - 1} only", "tokens")
        return list(tokens)

    def _fitting(self, ids: list[int], param: str) -> list[int]:
        if len(ids) >= self._context_tokens:
            most = self._context_tokens - 1
            raise invalid(
                f"the prompt has {len(ids)} tokens; {self._model} takes at most {most}", param
            )
        return ids

    def _suffix(self, payload: Autocomplete, prefix: int) -> list[int]:
        """The suffix, as much of it as leaves room for the prefix and an answer."""
        fim, window = self._fim, self._context_tokens
        if fim is None or not payload.suffix:
            return []
        answer = min(payload.sampling.max_tokens, window // _ANSWER_SHARE)
        room = max(0, window - len(self._vocabulary.begin) - prefix - fim.frame - answer)
        # What lies far behind the cursor helps least, so the suffix loses its end.
        return self._vocabulary.encode_inside(payload.suffix[: room * _TOKEN])[:room]

    def _framed(self, fim: FimFamily | None, prefix: list[int], suffix: list[int]) -> list[int]:
        """Prefix and suffix between the family's tokens; without a family the prefix alone."""
        if fim is None:
            return prefix
        ids: list[int] = []
        for token, part in fim.order(prefix, suffix):
            ids += [self._vocabulary.special[token], *part]
        return ids

    def _files(self, files: Sequence[ContextFile], language: str, room: int) -> list[int]:
        """Return other files, each behind its path, in at most ``room`` tokens."""
        # The room that marks take, the one of the file to complete included, goes first.
        room -= (len(files) + 1) * len(self._mark)
        texts = [
            self._file(file, language, max(0, room), first=number == 0)
            for number, file in enumerate(files)
        ]
        shares = fair([len(text) for text in texts], max(0, room))
        ids: list[int] = []
        for text, share in zip(texts, shares, strict=True):
            if share == len(text):
                ids += [*self._mark, *text]
            elif share > len(self._break):
                ids += [*self._mark, *text[: share - len(self._break)], *self._break]
        return ids

    def _file(self, file: ContextFile, language: str, room: int, *, first: bool) -> list[int]:
        """The ids of a file behind its path; what is surely too long is not looked at."""
        text = file.text[: room * _TOKEN]
        if self._mark:
            return self._vocabulary.encode_inside(f"{file.path}\n{text}")
        text = self._header(file.path, language) + text.rstrip("\n") + "\n\n"
        return self._vocabulary.encode(text) if first else self._vocabulary.encode_inside(text)

    def _path(self, payload: Autocomplete, room: int) -> list[int]:
        """The ids of the path of the file to complete, where it is known."""
        path = payload.path[: room * _TOKEN]
        if not path:
            return []
        head = f"{path}\n" if self._mark else self._header(path, payload.language)
        return self._vocabulary.encode_inside(head)

    def _header(self, path: str, language: str) -> str:
        """What tells files apart where no token does."""
        header = self._fim.header if self._fim is not None else ""
        mark = "#" if language.lower() in _HASHES else "//"
        return header.format(path=path) if header else f"{mark} {path}\n"


def fair(sizes: Sequence[int], room: int) -> list[int]:
    """Share ``room`` evenly; what a small one leaves of its share goes to the larger ones."""
    shares = [0] * len(sizes)
    smallest_first = sorted(range(len(sizes)), key=sizes.__getitem__)
    for taken, at in enumerate(smallest_first):
        shares[at] = min(sizes[at], room // (len(sizes) - taken))
        room -= shares[at]
    return shares
