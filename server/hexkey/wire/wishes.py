"""How a caller wants a request run, beside what it asks: from its own fields, and from headers.

The headers, which gRPC calls metadata, are for callers whose client library knows no such field,
such as OpenAI's. Every request of both wires is made here, so all of them understand the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hexkey.errors import invalid
from hexkey.types import UNCONSTRAINED, Autocomplete, Constraints, Priority, Request
from hexkey.wire import constraints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hexkey.types import Caller, Payload

PRIORITY, SESSION = "x-hexkey-priority", "x-hexkey-session"
TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
HEADERS = (PRIORITY, SESSION, TRACEPARENT, TRACESTATE, *constraints.HEADERS)


class Wishes(msgspec.Struct, frozen=True):
    """What a request's own fields say, which beats the headers; None where they are silent."""

    priority: Priority | None = None
    constraints: Constraints = UNCONSTRAINED


SILENT = Wishes()


def request_of(
    payload: Payload,
    model: str,
    own: Wishes,
    headers: Mapping[str, str],
    *,
    id_: str,
    protocol: str,
    caller: Caller,
    deadline: float | None,
) -> Request:
    """Return what core is asked for; ``ServeError`` names the header that cannot be read.

    ``headers`` are those of ``HEADERS`` that were sent, ``deadline`` is on the loop's clock.
    """
    bounds = {name: headers[name] for name in constraints.HEADERS if headers.get(name)}
    session = headers.get(SESSION)
    if session and isinstance(payload, Autocomplete) and not payload.session:
        payload = msgspec.structs.replace(payload, session=session)
    return Request(
        id=id_,
        payload=payload,
        protocol=protocol,
        model=model,
        caller=caller,
        traceparent=headers.get(TRACEPARENT, ""),
        tracestate=headers.get(TRACESTATE, ""),
        priority=own.priority or _priority(headers.get(PRIORITY)),
        deadline=deadline,
        constraints=constraints.joined(own.constraints, constraints.of_headers(bounds)),
    )


def _priority(text: str | None) -> Priority:
    if text is None:
        return Priority.NORMAL
    try:
        return Priority(text.lower())
    except ValueError:
        raise invalid(f"{PRIORITY} must be one of {', '.join(Priority)}", PRIORITY) from None
