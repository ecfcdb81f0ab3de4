"""Questions about a model's tokens, which its own vocabulary answers between two steps."""

from __future__ import annotations

import msgspec

from hexkey.types import Failure, Message


class Tokenize(msgspec.Struct, frozen=True, array_like=True, tag="tokenize"):
    """Asks which tokens a text is. ``frame`` adds those that a prompt of the model begins with.

    ``control`` reads the names of control tokens as such; else they are broken, as they are in
    every text that a caller sends.
    """

    text: str
    frame: bool = False
    control: bool = True


class Detokenize(msgspec.Struct, frozen=True, array_like=True, tag="detokenize"):
    """Asks which text tokens are. Control tokens are none."""

    tokens: tuple[int, ...]


class Render(msgspec.Struct, frozen=True, array_like=True, tag="render"):
    """Asks which prompt a conversation is, by the model's template."""

    messages: tuple[Message, ...]


class Lexed(msgspec.Struct, frozen=True, array_like=True, tag="lexed"):
    """The answer: a text, or tokens with what each stands for.

    A part of a character is no text by itself; in ``text``, what is no UTF-8 is U+FFFD.
    """

    text: str = ""
    ids: tuple[int, ...] = ()
    pieces: tuple[bytes, ...] = ()


Question = Tokenize | Detokenize | Render
Reply = Lexed | Failure
