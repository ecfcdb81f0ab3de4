"""What this wire answers is made of: one method of one path, with all that is known of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hexkey.wire.http.access import Access
from hexkey.wire.http.errors import OPENAI, Dialect
from hexkey.wire.http.stream import SSE, Framing

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange

Handler = Callable[["Exchange", "Service"], Awaitable[None]]
Schema = type | tuple[type, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    ``answer`` is a struct, a list of structs or one of several; None is plain text. ``event`` is
    what each value of a stream is, where there is a stream, and ``framing`` what stands around it.
    ``also`` are the statuses, beside those any request can meet, at which it answers in its own
    shape. ``dialect`` is how it tells errors. ``media`` is the type of its body; ``form`` says that
    it may be a form, too, ``plain`` that it may be answered in plain text, too, ``timed`` that a
    deadline may be given where there is a body, as a model works for it;
    ``access`` whom it is for.
    """

    method: str
    path: str
    handler: Handler
    answer: Schema | None
    body: type | None = None
    event: Schema | None = None
    also: tuple[int, ...] = ()
    dialect: Dialect = OPENAI
    framing: Framing = SSE
    media: str = "application/json"
    form: bool = False
    plain: bool = False
    timed: bool = True
    access: Access = Access.CALLER
