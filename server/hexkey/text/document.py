"""Translate a whole text sentence by sentence, in any order, and stream it in its own order."""

import sys
from collections import deque
from collections.abc import Iterator

from hexkey.text.literals import Write, texts
from hexkey.text.protect import SentencePlan, is_unspaced
from hexkey.text.segment import MAX_CHARS, Piece, pieces
from hexkey.text.trail import LONGEST, Trail
from hexkey.text.typography import Knows, has_common_case, knows_all


class DocumentPlan:
    """The way of one text through an engine that batches the sentences of many.

    `pending(n)` gives the next strings to translate, each once, under ids of this document; `feed`
    takes each answer and may make more pending; `take` gives what is finished, in order. All that
    was taken, joined, is the translation: outside the sentences it is the source, byte for byte
    (but for escapes that JSON does not need). The text is cut only as far as it is asked for.
    """

    def __init__(
        self,
        text: str,
        language: str | None,
        target: str | None = None,
        *,
        max_chars: int = MAX_CHARS,
        knows: Knows = knows_all,
    ) -> None:
        self._knows = knows
        self._recase = has_common_case(language) and has_common_case(target)
        # With each sentence what touches its end in the source, no white space between; with it,
        # and with what stays beside it, how it is written.
        self._parts: deque[str | Trail | tuple[SentencePlan | str, str, Write]] = deque()
        self._asked: dict[int, tuple[SentencePlan, int]] = {}
        self._answers: dict[SentencePlan, list[str | None]] = {}
        self._pending: deque[tuple[int, str]] = deque()
        self._next_id = 0
        self._seam = ("", "")
        self._trail = Trail()
        self._source = _pieces(text, language, max_chars)
        self._ahead = next(self._source, None)
        self._cut = False

    @property
    def done(self) -> bool:
        """Whether nothing is left to translate; `take` may still have text to give."""
        return self._cut and not self._asked

    def pending(self, at_most: int | None = None) -> list[tuple[int, str]]:
        """Return up to `at_most` further (id, string) pairs to translate; all there are by default.

        Empty means that every answer still due is one already asked for.
        """
        room = sys.maxsize if at_most is None else at_most
        while not self._cut and len(self._pending) < room:
            self._cut_next()
        return [self._pending.popleft() for _ in range(min(room, len(self._pending)))]

    def feed(self, sentence_id: int, text: str) -> None:
        """Take the translation of one pending string. Raises KeyError on an id not asked for."""
        plan, place = self._asked.pop(sentence_id)
        answers = self._answers[plan]
        answers[place] = text
        complete = [answer for answer in answers if answer is not None]
        if len(complete) == len(answers):
            del self._answers[plan]
            plan.feed(complete)
            # What a second try asks for comes before the sentences after it.
            self._pending.extendleft(reversed(self._ask(plan)))

    def take(self) -> str:
        """Return the finished text that follows what was taken before; "" if there is none."""
        taken: list[str] = []
        while self._parts:
            part = self._parts[0]
            if isinstance(part, str):
                taken.append(part)
            elif isinstance(part, Trail):
                self._trail, self._seam = part, ("", "")
            else:
                said, after, write = part
                if isinstance(said, str):
                    text = said
                    self._seam = ("", "")
                elif said.text is None:
                    break
                else:
                    text = self._apart(said.source, said.text, after)
                    text = self._joint(said.source, text) + text
                    self._seam = said.source[-1:], text[-1:]
                self._trail.grow(text)
                taken.append(write(text))
            self._parts.popleft()
        return "".join(taken)

    def _apart(self, source: str, target: str, after: str) -> str:
        """Return `target`, or `source` where the former makes other placeholders with what touches.

        The next sentence, whose translation is not known, counts as its source here: it meets this
        one as it has become when it is its turn.
        """
        trail = Trail() if self._joint(source, target) else self._trail
        if target == source or not (trail or after):
            return target
        return target if trail.alike(target + after, source + after) else source

    def _joint(self, source: str, target: str) -> str:
        """Return the space that a spaced target needs between sentences of an unspaced source."""
        source_end, target_end = self._seam
        if not (is_unspaced(source_end) or is_unspaced(source[:1])) or not target_end:
            return ""
        spaced = not is_unspaced(target_end) and not is_unspaced(target[:1])
        return " " if spaced and target[:1].isalnum() else ""

    def _cut_next(self) -> None:
        following, self._ahead = self._ahead, next(self._source, None)
        if following is None:
            self._cut = True
            return
        piece, write = following
        if write is None:  # nothing goes across it
            self._parts += piece.text, Trail()
        elif not piece.translate:
            self._parts.append((piece.text, "", write))
        else:
            plan = SentencePlan(piece.text, self._knows, recase=self._recase)
            after = _head(self._ahead[0].text) if self._ahead and self._ahead[1] else ""
            self._parts.append((plan, after, write))
            self._pending.extend(self._ask(plan))

    def _ask(self, plan: SentencePlan) -> list[tuple[int, str]]:
        strings = plan.pending()
        if not strings:
            return []
        self._answers[plan] = [None] * len(strings)
        asked = list(enumerate(strings, self._next_id))
        self._asked.update((key, (plan, place)) for place, (key, _) in enumerate(asked))
        self._next_id += len(asked)
        return asked


def _pieces(
    text: str, language: str | None, max_chars: int
) -> Iterator[tuple[Piece, Write | None]]:
    for stretch, write in texts(text):
        if write is None:
            yield Piece(stretch, translate=False), None
        else:
            yield from ((piece, write) for piece in pieces(stretch, language, max_chars=max_chars))


def _head(text: str) -> str:
    """Return the beginning of `text` up to the first white space."""
    head = text[:LONGEST]
    return "" if not head or head[0].isspace() else head.split(maxsplit=1)[0]
