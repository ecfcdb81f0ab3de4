"""Has a model that follows instructions translate, and finds the translation in what it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hexkey.models.errors import ModelError
from hexkey.text import languages

if TYPE_CHECKING:
    from hexkey.types import Translate

DEFAULT = (
    "Translate the following {source} text into {target}. Answer with the translation alone.\n"
    "{source}: {text}\n"
    "{target}: "
)
"""Ends as the prompts that EuroLLM and Tower were tuned on do: with the language's name."""

_FIELDS = ("{source}", "{target}", "{text}")
_QUOTES = {'"': '"', "“": "”", "«": "»", "„": "“", "'": "'", "`": "`"}
_REMARK = re.compile(
    r"""(?: (?:sure|certainly|of\ course|okay|ok)\b [^:\n]{0,80}
          | here(?:'s|’s|\ is)\ [^:\n]{0,80}
          | (?:the\ )?[^:\n]{0,40}\btranslat(?:ion|es|ed)\b [^:\n]{0,60}
        ) :\s*""",  # noqa: RUF001 - typographic on purpose
    re.VERBOSE | re.IGNORECASE,
)


class Instruction:
    """How one model is asked; ``template`` has ``{source}``, ``{target}`` and ``{text}`` in it.

    The languages are told by their English names. Raises ``ModelError`` where a field lacks.
    """

    def __init__(self, template: str) -> None:
        missing = [field for field in _FIELDS if field not in template]
        if missing:
            raise ModelError(f"has no {missing[0]}; it needs {', '.join(_FIELDS)}")
        self._template = template

    def ask(self, sentence: str, payload: Translate) -> str:
        """Return what the model is to be told; ``sentence`` has one line."""
        values = {
            "{source}": languages.name(payload.source),
            "{target}": languages.name(payload.target),
            "{text}": sentence,
        }
        # In one pass, so that a field's name in a caller's text stays text.
        return re.sub(r"\{(?:source|target|text)\}", lambda found: values[found[0]], self._template)


def answer(said: str, sentence: str, payload: Translate) -> tuple[str, bool]:
    """Return the translation in what was said so far, and whether it is complete by now.

    A sentence has one line, and so has its translation. What goes before (a remark that ends with
    a colon, the language's name) is no part of it, nor are quotes around it that the sentence has
    not; both stay where the sentence itself has the like.
    """
    lines = [line.strip() for line in said.split("\n")]
    ended = len(lines) - 1  # the last one may still grow
    for at, line in enumerate(lines):
        text = _bare(line, sentence, payload)
        if text:
            return text, at < ended
    return "", False


def _bare(line: str, sentence: str, payload: Translate) -> str:
    """A line without what is not of the translation; empty where all of it is not."""
    text = line
    for code in (payload.target, payload.target.partition("-")[0]):
        label = f"{languages.name(code)}:".lower()
        if text.lower().startswith(label) and not sentence.lower().startswith(label):
            text = text[len(label) :].lstrip()
    if ":" not in sentence:
        remark = _REMARK.match(text)
        if remark is not None:
            text = text[remark.end() :]
    closing = _QUOTES.get(text[:1])
    if len(text) > 1 and closing and text.endswith(closing) and not sentence.startswith(text[0]):
        text = text[1:-1].strip()
    return text
