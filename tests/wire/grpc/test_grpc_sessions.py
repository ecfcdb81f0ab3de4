"""Typing sessions and priorities over gRPC, by grpc's own client."""

from __future__ import annotations

import time

import grpc
import pytest

from hexkey.v1 import inference_pb2 as pb
from tests.wire.grpc.grpc_house import House, rest
from tests.wire.grpc.test_grpc_errors import refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = pb.AutocompleteRequest(prefix="def add", model="slow", max_tokens=1000, session="cursor")
NEWER = pb.AutocompleteRequest(prefix="def add(", model="slow", max_tokens=1, session="cursor")


async def test_a_newer_request_ends_the_older_one_with_aborted(house: House) -> None:
    older = house.stub.Autocomplete(SLOW)
    await house.until_running("slow", 1)
    begun = time.monotonic()
    newer = house.stub.Autocomplete(NEWER)
    error, found = await refused(older)
    assert time.monotonic() - begun < 5
    assert error.code() is grpc.StatusCode.ABORTED
    assert found["ErrorInfo"].reason == "SUPERSEDED"
    assert "RetryInfo" not in found
    assert (await newer).choices[0].text
    await house.until_running("slow", 0)


async def test_a_stream_under_way_ends_the_same(house: House) -> None:
    older = house.stub.StreamAutocomplete(SLOW)
    assert (await older.read()).start.model == "slow"
    newer = house.stub.Autocomplete(NEWER)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rest(older)
    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert (await newer).choices[0].text
    await house.until_running("slow", 0)


async def test_a_reader_that_stopped_reading_is_superseded_too(house: House) -> None:
    """The older call sits in a write that its reader does not take."""
    whole = pb.AutocompleteRequest(
        prefix="a", model="bulk", max_tokens=(1 << 20) - 1, session="idle"
    )
    older = house.stub.StreamAutocomplete(whole)
    await older.read()
    small = pb.AutocompleteRequest(prefix="ab", model="bulk", max_tokens=1, session="idle")
    assert (await house.stub.Autocomplete(small)).choices[0].text
    await house.until_running("bulk", 0)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rest(older)
    assert caught.value.code() is grpc.StatusCode.ABORTED


async def test_who_types_what_was_suggested_gets_the_rest_without_a_model(house: House) -> None:
    first = await house.stub.Autocomplete(
        pb.AutocompleteRequest(prefix="z = ", model="fast", max_tokens=3, session="typist")
    )
    assert (first.choices[0].text, first.cached) == ("w0 w1 w2 ", False)
    message = pb.AutocompleteRequest(prefix="z = w0 w", model="fast", max_tokens=3, session="b")
    answer = await house.stub.Autocomplete(message)
    assert (answer.choices[0].text, answer.cached) == ("1 w2 ", True)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (0, 0)
    start, delta, *_ = await rest(house.stub.StreamAutocomplete(message))
    assert start.start.cached
    assert delta.delta.text == "1 w2 "


async def test_metadata_name_the_session_where_the_message_does_not(house: House) -> None:
    message = pb.AutocompleteRequest(prefix="def add", model="slow", max_tokens=1000)
    older = house.stub.Autocomplete(message, metadata=(("x-hexkey-session", "cursor"),))
    await house.until_running("slow", 1)
    newer = house.stub.Autocomplete(NEWER)
    error, _found = await refused(older)
    assert error.code() is grpc.StatusCode.ABORTED
    assert (await newer).choices[0].text
    await house.until_running("slow", 0)


async def test_every_task_takes_constraints(house: House) -> None:
    mars = pb.Constraints(labels={"region": "mars"})
    for method, message in (
        ("Autocomplete", pb.AutocompleteRequest(prefix="a", constraints=mars)),
        ("Translate", pb.TranslateRequest(text=["a"], target="pt", constraints=mars)),
        ("Embed", pb.EmbedRequest(text=["a"], constraints=mars)),
        ("Rerank", pb.RerankRequest(query="a", documents=["b"], constraints=mars)),
        ("Classify", pb.ClassifyRequest(text=["a"], constraints=mars)),
        ("Transcribe", pb.TranscribeRequest(audio=b"a", constraints=mars)),
        ("Summarize", pb.SummarizeRequest(text="a", constraints=mars)),
    ):
        _error, found = await refused(getattr(house.stub, method)(message))
        assert found["ErrorInfo"].reason == "CONSTRAINTS_NOT_MET", method


async def test_a_priority_that_is_none_is_refused_by_name(house: House) -> None:
    message = pb.AutocompleteRequest(prefix="a", priority=9)  # type: ignore[arg-type]
    error, found = await refused(house.stub.Autocomplete(message))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert found["BadRequest"].field_violations[0].field == "priority"
    call = house.stub.Autocomplete(
        pb.AutocompleteRequest(prefix="a"), metadata=(("x-hexkey-priority", "urgent"),)
    )
    error, found = await refused(call)
    assert found["BadRequest"].field_violations[0].field == "x-hexkey-priority"
    for metadata in ((("x-hexkey-priority", "batch"),), None):
        message = pb.AutocompleteRequest(prefix="a", priority=pb.PRIORITY_INTERACTIVE)
        assert (await house.stub.Autocomplete(message, metadata=metadata)).id
