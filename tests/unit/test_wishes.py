"""What headers wish for: read for every task, beaten by a request's own fields."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hexkey.errors import ServeError
from hexkey.types import ANYBODY, Autocomplete, Constraints, Embed, Payload, Priority, Request
from hexkey.wire.wishes import HEADERS, SILENT, Wishes, request_of

SENT = dict(
    zip(HEADERS, ("Batch", "cursor", "00-a-b-01", "k=v", "0.5", "250", "region=eu"), strict=True)
)
BODY = Autocomplete(prefix="x")


def made(
    payload: Payload = BODY, own: Wishes = SILENT, headers: Mapping[str, str] = SENT
) -> Request:
    return request_of(
        payload, "m", own, headers, id_="r", protocol="http", caller=ANYBODY, deadline=1.0
    )


def test_headers_say_what_the_fields_leave_open() -> None:
    request = made()
    assert request.priority is Priority.BATCH
    assert request.payload == Autocomplete(prefix="x", session="cursor")
    assert request.constraints == Constraints(
        max_cost_pico=5 * 10**11, max_latency_s=0.25, labels={"region": "eu"}
    )
    assert (request.traceparent, request.tracestate) == ("00-a-b-01", "k=v")
    plain = made(headers={})
    assert (plain.priority, plain.payload) == (Priority.NORMAL, BODY)


def test_fields_beat_headers() -> None:
    own = Wishes(Priority.INTERACTIVE, Constraints(max_latency_s=1.0, labels={"region": "us"}))
    request = made(Autocomplete(prefix="x", session="mine"), own)
    assert request.priority is Priority.INTERACTIVE
    assert request.constraints == Constraints(
        max_cost_pico=5 * 10**11, max_latency_s=1.0, labels={"region": "us"}
    )
    assert request.payload == Autocomplete(prefix="x", session="mine")


def test_only_completions_have_sessions() -> None:
    assert made(Embed(texts=("a",))).payload == Embed(texts=("a",))


@pytest.mark.parametrize(
    ("header", "text"), [("x-hexkey-priority", "urgent"), ("x-hexkey-max-latency-ms", "soon")]
)
def test_a_header_that_cannot_be_read_is_named(header: str, text: str) -> None:
    with pytest.raises(ServeError) as caught:
        made(headers={header: text})
    assert caught.value.param == header
