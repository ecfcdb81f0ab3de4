"""Whisper's tokens: what it is asked with, and the timed text in what it answers.

Radford et al. 2022, section 2.3. A timestamp is a token that counts 20 ms from the beginning of the
window; text stands between two of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hexkey.engines.ctranslate2.mel import WINDOW_S
from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer

    from hexkey.types import Transcribe

TICK_S = 0.02
MAX_PROMPT = 223
"""Tokens of text that came before: half of the decoder's window, without the one that says so."""


class Piece(NamedTuple):
    """Text from one time to another, in seconds from the window's beginning."""

    start_s: float
    end_s: float
    tokens: list[int]


class Heard(NamedTuple):
    """What one window held; the next one begins at ``next_s`` of it."""

    pieces: list[Piece]
    next_s: float


class Speech:
    """The vocabulary of one Whisper model. ``ModelError`` where it is none of Whisper's."""

    def __init__(self, tokenizer: Tokenizer, *, multilingual: bool) -> None:
        self._tokenizer = tokenizer
        self.multilingual = multilingual
        self._start = self._id("<|startoftranscript|>")
        self._before = self._id("<|startofprev|>")
        self._transcribe = self._id("<|transcribe|>")
        self.end = self._id("<|endoftext|>")
        # Not all files name the timestamps; they are the last tokens, after this one.
        self._first_time = self._id("<|notimestamps|>") + 1

    def has(self, language: str) -> bool:
        """Tell whether the model knows a language by this code."""
        return self._tokenizer.token_to_id(f"<|{language}|>") is not None

    def prompt(self, payload: Transcribe, language: str) -> list[int]:
        """Return what the decoder begins with."""
        ids: list[int] = []
        if payload.prompt:
            text = self._tokenizer.encode(f" {payload.prompt.strip()}", add_special_tokens=False)
            ids = [self._before, *text.ids[-MAX_PROMPT:]]
        ids.append(self._start)
        if self.multilingual:
            ids += [self._id(f"<|{language}|>"), self._transcribe]
        return ids

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of a piece."""
        return self._tokenizer.decode([one for one in tokens if one < self.end])

    def read(self, tokens: Sequence[int], duration_s: float) -> Heard:
        """Cut an answer at its timestamps; ``duration_s`` is the audio there is in the window.

        Text that was cut off by the window's end is left to the next window.
        """
        times = [index for index, one in enumerate(tokens) if one >= self._first_time]
        pairs = [index for index in times if index and tokens[index - 1] >= self._first_time]
        ends_whole = len(times) > 0 and times[-1] == len(tokens) - 1 and times[-1] not in pairs
        if not pairs:
            # A 0.00 that nothing follows says nothing.
            last = self._seconds(tokens[times[-1]]) if times else 0.0
            end_s = last or duration_s
            return Heard([Piece(0.0, end_s, self._words(tokens))], WINDOW_S)
        pieces, begin = [], 0
        for cut in [*pairs, len(tokens)] if ends_whole else pairs:
            part = tokens[begin:cut]
            start_s, end_s = self._seconds(part[0]), self._seconds(part[-1])
            pieces.append(Piece(start_s, end_s, self._words(part)))
            begin = cut
        next_s = WINDOW_S if ends_whole else self._seconds(tokens[pairs[-1] - 1])
        # An answer that does not get on in time would be asked for again for ever.
        return Heard(pieces, next_s or WINDOW_S)

    def _words(self, tokens: Sequence[int]) -> list[int]:
        return [one for one in tokens if one < self.end]

    def _seconds(self, token: int) -> float:
        return max(0, token - self._first_time) * TICK_S

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ModelError(f"tokenizer.json has no {token!r}; it is not of a Whisper model")
        return found
