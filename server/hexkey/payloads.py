"""What can be asked: one struct a task, whose tag is the task's name.

Everything else there is to know of a task stands in ``hexkey.tasks``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import get_args

import msgspec


class Task(StrEnum):
    """What a caller wants done."""

    AUTOCOMPLETE = "autocomplete"
    CHAT = "chat"
    TRANSLATE = "translate"
    EMBED = "embed"
    RERANK = "rerank"
    CLASSIFY = "classify"
    TRANSCRIBE = "transcribe"
    SUMMARIZE = "summarize"


UNBOUNDED = 1 << 20
"""``max_tokens`` that stands for as many as the model's window holds; no window is as large."""


class StopRule(StrEnum):
    """Where an autocompletion ends by itself, beside ``stop`` strings and ``max_tokens``."""

    NONE = "none"
    LINE = "line"
    SENTENCE = "sentence"
    BLOCK = "block"


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are chosen. ``temperature`` 0 is greedy; ``top_k`` 0 keeps all tokens.

    The model does not end by itself before ``min_tokens``; a stop string or rule may end it.
    ``json_schema`` is the text of a JSON Schema that the output is to fit; empty leaves it free.
    """

    max_tokens: int = 256
    min_tokens: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logprobs: bool = False
    json_schema: str = ""


class ContextFile(msgspec.Struct, frozen=True):
    """Another file that the author has open; it helps a completion model."""

    path: str
    text: str


class Autocomplete(msgspec.Struct, frozen=True, kw_only=True, tag="autocomplete"):
    """Continue ``prefix``; what comes back stands between ``prefix`` and ``suffix``.

    ``path`` is the file's own, which helps where other files are in ``context``.
    ``tokens``, where given, replaces ``prefix`` by ids of the model's own vocabulary.
    """

    prefix: str
    suffix: str = ""
    tokens: tuple[int, ...] = ()
    language: str = ""
    path: str = ""
    context: tuple[ContextFile, ...] = ()
    stop_rule: StopRule = StopRule.NONE
    session: str = ""
    sampling: Sampling = Sampling()

    @property
    def reads(self) -> tuple[str, ...]:
        """All text that a model is to read."""
        files = (text for file in self.context for text in (file.path, file.text))
        return (self.prefix, self.suffix, self.path, *files)


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation; ``role`` is system, user or assistant."""

    role: str
    content: str


class Chat(msgspec.Struct, frozen=True, kw_only=True, tag="chat"):
    """Answer the last message of a conversation."""

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()

    @property
    def reads(self) -> tuple[str, ...]:
        """All text that a model is to read."""
        return tuple(message.content for message in self.messages)


class Format(StrEnum):
    """What the texts of a translation are written in."""

    TEXT = "text"
    HTML = "html"
    XML = "xml"


class Translate(msgspec.Struct, frozen=True, kw_only=True, tag="translate"):
    """Translate each of ``texts``; an empty ``source`` lets the server decide it.

    Of HTML and XML only what is text is translated. ``glossary`` holds terms as (source, target);
    wherever one stands as a word of its own it becomes its target, whatever the model would say.
    """

    texts: tuple[str, ...]
    target: str
    source: str = ""
    format: Format = Format.TEXT
    glossary: tuple[tuple[str, str], ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """All text that a model is to read."""
        return self.texts


class Embed(msgspec.Struct, frozen=True, kw_only=True, tag="embed"):
    """Say where each of ``texts`` lies in the model's space of meanings: a vector of unit length.

    ``tokens``, where given, replaces ``texts`` by ids of the model's own vocabulary. Of each vector
    the first ``dimensions`` numbers are kept, and made of unit length anew; 0 keeps all. A text too
    long for the model is refused unless ``truncate``, which drops its end.
    """

    texts: tuple[str, ...] = ()
    tokens: tuple[tuple[int, ...], ...] = ()
    dimensions: int = 0
    truncate: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        """All text that a model is to read."""
        return self.texts


class Rerank(msgspec.Struct, frozen=True, kw_only=True, tag="rerank"):
    """Say how well each of ``documents`` answers ``query``, from 0 to 1.

    Callers see the ``top_n`` best, 0 for all; the engine scores every document. ``truncate`` drops
    what of a document the model cannot read, which is refused otherwise.
    """

    query: str
    documents: tuple[str, ...]
    top_n: int = 0
    truncate: bool = True

    @property
    def reads(self) -> tuple[str, ...]:
        """All text that a model is to read."""
        return (self.query, *self.documents)


class Classify(msgspec.Struct, frozen=True, kw_only=True, tag="classify"):
    """Say how well each label fits each of ``texts``; a text's scores sum to 1.

    Without ``labels`` they are the model's own.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """All text that a model is to read."""
        return (*self.texts, *self.labels)


class Transcribe(msgspec.Struct, frozen=True, kw_only=True, tag="transcribe"):
    """Write down what is said in ``audio``, the bytes of a file (WAV, FLAC, MP3, OGG).

    An empty ``language`` is found out; ``prompt`` is text that came before, or words to expect.
    ``timestamps`` asks for ``Segment`` events as well.
    """

    audio: bytes
    language: str = ""
    prompt: str = ""
    timestamps: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        """All text that a model is to read."""
        return (self.prompt,)


class Length(StrEnum):
    """How long a summary is to be."""

    SHORT = "short"
    MEDIUM = "medium"
    LONG = "long"


class Summarize(msgspec.Struct, frozen=True, kw_only=True, tag="summarize"):
    """Say in few words what ``text`` says; ``length`` is a wish, ``max_tokens`` a bound."""

    text: str
    length: Length = Length.MEDIUM
    sampling: Sampling = Sampling()

    @property
    def reads(self) -> tuple[str, ...]:
        """All text that a model is to read."""
        return (self.text,)


Payload = Autocomplete | Chat | Translate | Embed | Rerank | Classify | Transcribe | Summarize

# Looked up ten times a request.
_TASKS = {kind: Task(str(kind.__struct_config__.tag)) for kind in get_args(Payload)}


def task_of(payload: Payload) -> Task:
    """Return what a payload asks for."""
    return _TASKS[type(payload)]
