"""A model's tokens as bytes, and text as the model's tokens."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from hexkey.engines.lexicon import Detokenize, Lexed, Render, Tokenize
from hexkey.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hexkey.engines.lexicon import Question
    from hexkey.types import Message

_SPACE = "▁".encode()  # how SentencePiece writes a space
_BYTE = re.compile(rb"<0x([0-9A-F]{2})>")
_LOOKS_SPECIAL = re.compile(
    rb"<\|[^|]*\|>|<\xef\xbd\x9c.*\xef\xbd\x9c>|</?s>|<(?:unk|pad|bos|eos)>"
)
_BREAK = "\u200b"
_FENCE = "\u263a"  # of which no vocabulary makes a token together with what follows


def looks_special(token: bytes) -> bool:
    """Tell whether a token is written as control tokens are, where no file says which those are."""
    return _LOOKS_SPECIAL.fullmatch(token) is not None


def text_pieces(tokens: Mapping[bytes, int], control: Collection[int]) -> list[bytes]:
    """Return what each id adds to a text; a control token, or an id without token, adds nothing."""
    sentencepiece = b"<0x0A>" in tokens
    pieces = [b""] * (max(tokens.values(), default=-1) + 1)
    for token, number in tokens.items():
        if number in control:
            continue
        if sentencepiece:
            byte = _BYTE.fullmatch(token)
            pieces[number] = bytes([int(byte[1], 16)]) if byte else token.replace(_SPACE, b" ")
        else:
            pieces[number] = token
    return pieces


class Vocabulary(ABC):
    """Encodes and decodes for one model.

    ``tokens`` are bytes by what they stand for, ``control`` the ids that stand for no text, and
    ``begin_id`` the one that a text begins with where the vocabulary has no ``<|endoftext|>``.
    """

    def __init__(
        self, tokens: Mapping[bytes, int], control: Collection[int], begin_id: int
    ) -> None:
        self.control = frozenset(control)
        self.pieces = text_pieces(tokens, self.control)
        self.special = {
            token.decode(errors="replace"): number
            for token, number in tokens.items()
            if number in self.control
        }
        self._control_names = {number: name.encode() for name, number in self.special.items()}
        # Longest first, so that the pattern finds a token that has another one inside.
        names = sorted(filter(None, self.special), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, names)) or r"(?!)")
        # What a prompt begins with where it holds nothing else.
        self.nothing = self.special.get("<|endoftext|>", begin_id)
        plain, full = self._encode("a", special=False), self._encode("a", special=True)
        self.begin = full[: len(full) - len(plain)] if full[-len(plain) :] == plain else []
        self._spaces = b"".join(self.pieces[one] for one in plain) == b" a"

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text that a caller wrote; it cannot make control tokens."""
        return self._encode(self._disarm(text), special=False) if text else []

    def encode_inside(self, text: str) -> list[int]:
        """Return the ids of a text that follows another one without a space between them.

        SentencePiece writes a space before each text that it is given.
        """
        if not self._spaces or not text:
            return self.encode(text)
        fence = self._encode(_FENCE, special=False)
        return self._encode(_FENCE + self._disarm(text), special=False)[len(fence) :]

    def answer(self, question: Question) -> Lexed:
        """Answer a question about tokens; ``ServeError`` for what the vocabulary cannot."""
        match question:
            case Tokenize(text, frame, control):
                read = text if control else self._disarm(text)
                ids = self._encode(read, special=frame) if read or frame else []
                return Lexed(ids=tuple(ids), pieces=tuple(map(self._name, ids)))
            case Detokenize(tokens):
                if not all(0 <= token < len(self) for token in tokens):
                    raise invalid(f"the model knows the tokens 0 to {len(self) - 1} only", "tokens")
                joined = b"".join(self.pieces[token] for token in tokens)
                return Lexed(joined.decode(errors="replace"))
            case Render(messages=messages):
                try:
                    return Lexed(self._render(self._turns(messages)))
                except RuntimeError as error:
                    what = "the model's chat template does not take these messages"
                    raise invalid(what, "messages") from error

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Return the ids of a conversation in the model's own format, the answer to follow.

        Raises ``RuntimeError`` if the model's template refuses it.
        """
        return self._encode(self._render(self._turns(messages)), special=False)

    def _turns(self, messages: Sequence[Message]) -> list[dict[str, str]]:
        return [{"role": turn.role, "content": self._disarm(turn.content)} for turn in messages]

    def _name(self, token: int) -> bytes:
        """What a token stands for; a control token for its own name."""
        piece = self.pieces[token] if token < len(self.pieces) else b""
        return piece or self._control_names.get(token, b"")

    @abstractmethod
    def _encode(self, text: str, *, special: bool) -> list[int]:
        """The ids of a text, names of control tokens read as such; ``special`` frames it."""

    @abstractmethod
    def _render(self, turns: list[dict[str, str]]) -> str:
        """The conversation by the model's template; raises ``RuntimeError`` if that refuses."""

    def _disarm(self, text: str) -> str:
        """Break the name of a control token by a space without width.

        The tokenizers have no switch for it, and a caller's ``<|im_end|>`` must not end a turn.
        """
        return self._special.sub(lambda match: match[0][0] + _BREAK + match[0][1:], text)
