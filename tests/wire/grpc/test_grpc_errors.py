from __future__ import annotations

import asyncio
import contextlib
import traceback
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import status_pb2
from grpc_status import rpc_status
from structlog.testing import capture_logs

from hexkey.config import QueueConfig
from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import open_inference_pb2 as oip
from hexkey.wire.grpc import servicer
from tests.wire.grpc.grpc_house import details_of, metadata_of, rest

if TYPE_CHECKING:
    from tests.wire.grpc.grpc_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")
CANARY = "canary-7f3a"


async def refused(call: Any) -> tuple[grpc.aio.AioRpcError, dict[str, Any]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (rest(call) if hasattr(call, "read") else call)
    status = status_pb2.Status.FromString(
        metadata_of(caught.value.trailing_metadata())["grpc-status-details-bin"]
    )
    assert status.message == caught.value.details()
    assert status.code == caught.value.code().value[0]
    return caught.value, details_of(status)


@pytest.mark.parametrize(
    ("message", "code", "reason", "field"),
    [
        (pb.AutocompleteRequest(), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "prefix"),
        (
            pb.AutocompleteRequest(prefix="a", temperature=3),
            "INVALID_ARGUMENT",
            "INVALID_ARGUMENT",
            "temperature",
        ),
        (
            pb.AutocompleteRequest(prefix="a", max_tokens=0),
            "INVALID_ARGUMENT",
            "INVALID_ARGUMENT",
            "max_tokens",
        ),
        (
            pb.AutocompleteRequest(prefix="a", top_p=float("nan")),
            "INVALID_ARGUMENT",
            "INVALID_ARGUMENT",
            "top_p",
        ),
        (
            pb.AutocompleteRequest(prefix="a", stop_rule=77),  # type: ignore[arg-type]
            "INVALID_ARGUMENT",
            "INVALID_ARGUMENT",
            "stop_rule",
        ),
        (pb.AutocompleteRequest(prefix="a", model="none"), "NOT_FOUND", "MODEL_NOT_FOUND", "model"),
        (pb.AutocompleteRequest(prefix="a" * 400_001), "INVALID_ARGUMENT", "TOO_LARGE", "prefix"),
    ],
)
async def test_a_refusal_names_code_reason_and_field(
    house: House, message: pb.AutocompleteRequest, code: str, reason: str, field: str
) -> None:
    for call in (house.stub.Autocomplete(message), house.stub.StreamAutocomplete(message)):
        error, found = await refused(call)
        assert error.code() is grpc.StatusCode[code]
        assert found["ErrorInfo"].reason == reason
        assert found["BadRequest"].field_violations[0].field == field


@pytest.mark.parametrize("schema", ['{"pattern": "x"}', "{}"])
async def test_a_schema_is_checked_and_so_is_the_model(house: House, schema: str) -> None:
    said = [pb.ChatMessage(role="user", content="a")]
    message = pb.ChatRequest(messages=said, json_schema=schema)
    for call in (house.stub.Chat(message), house.stub.StreamChat(message)):
        error, found = await refused(call)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert found["BadRequest"].field_violations[0].field == "json_schema"


async def test_a_pair_that_is_not_served_is_not_found(house: House) -> None:
    error, found = await refused(house.stub.Translate(pb.TranslateRequest(text=["a"], target="xx")))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert found["ErrorInfo"].reason == "PAIR_NOT_FOUND"
    assert "en-pt" in (error.details() or "")


async def test_overload_says_when_to_come_back(house: House) -> None:
    message = pb.AutocompleteRequest(prefix="a", model="slow", max_tokens=1000)
    scheduler = house.service._gate._queues["slow"].scheduler
    policy, scheduler.policy = scheduler.policy, QueueConfig(concurrency=2, max_requests=0)
    calls = [house.stub.StreamAutocomplete(message) for _ in range(2)]
    try:
        await asyncio.gather(*(call.read() for call in calls))
        error, found = await refused(house.stub.Autocomplete(message))
    finally:
        scheduler.policy = policy
        for call in calls:
            call.cancel()
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert found["ErrorInfo"].reason == "OVERLOADED"
    assert found["RetryInfo"].retry_delay.ToNanoseconds() >= 100_000_000


async def test_a_long_model_name_is_refused_in_short(house: House) -> None:
    name = "漢" * 5000
    error, _ = await refused(
        house.stub.Chat(
            pb.ChatRequest(model=name, messages=[pb.ChatMessage(role="user", content="a")])
        )
    )
    assert error.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("fate", ["bug", "raise"])
@pytest.mark.parametrize("streams", [False, True])
async def test_the_text_of_an_engines_exception_stays_inside(
    house: House,
    fate: str,
    streams: bool,  # noqa: FBT001
) -> None:
    message = pb.AutocompleteRequest(prefix=f"[[{fate}]] {CANARY}", model="fast", max_tokens=8)
    method = house.stub.StreamAutocomplete if streams else house.stub.Autocomplete
    error, _ = await refused(method(message))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert CANARY not in repr(error) + repr(error.trailing_metadata())


async def test_an_engines_refusal_is_a_status(house: House) -> None:
    message = pb.AutocompleteRequest(prefix="[[refuse]]")
    for call in (house.stub.Autocomplete(message), house.stub.StreamAutocomplete(message)):
        error, found = await refused(call)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert not metadata_of(error.initial_metadata())
        assert not found["ErrorInfo"].metadata


@pytest.mark.parametrize("streams", [False, True])
async def test_an_unforeseen_error_leaves_an_id_and_a_logged_traceback(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    streams: bool,  # noqa: FBT001
) -> None:
    def fail(*_: object) -> None:
        raise KeyError(CANARY)

    monkeypatch.setattr(servicer, "_served", fail)
    method = house.stub.StreamAutocomplete if streams else house.stub.Autocomplete
    with capture_logs() as logs:
        error, found = await refused(method(pb.AutocompleteRequest(prefix="a", max_tokens=2)))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert found["ErrorInfo"].reason == "INTERNAL"
    assert CANARY not in repr(error) + repr(error.trailing_metadata())
    assert "KeyError" not in repr(error)
    assert [one["event"] for one in logs] == ["request", "unforeseen error"]
    entry = logs[1]
    assert entry["error_id"] in (error.details() or "")
    assert CANARY in "".join(traceback.format_exception(entry["exc_info"]))


async def test_an_error_after_the_first_message_is_a_status_too(house: House) -> None:
    call = house.stub.StreamAutocomplete(
        pb.AutocompleteRequest(prefix="[[raise]]", model="slow", max_tokens=50)
    )
    first = await call.read()
    assert first.WhichOneof("event") == "start"
    error, _ = await refused(call)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert rpc_status.from_call(error) is not None  # type: ignore[arg-type]


async def test_a_stream_that_breaks_tells_how_many_tokens_it_told(house: House) -> None:
    message = pb.AutocompleteRequest(prefix="[[raise]]", model="bulk", max_tokens=8000, n=2)
    call = house.stub.StreamAutocomplete(message)
    told = 0
    with contextlib.suppress(grpc.aio.AioRpcError):
        async for one in call:
            told += one.delta.token_count
    error, found = await refused(call)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert dict(found["ErrorInfo"].metadata) == {"tokens_emitted": str(told)}
    assert told >= 1000


async def test_a_message_beyond_the_limit_is_refused_by_grpc(house: House) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.stub.Autocomplete(pb.AutocompleteRequest(prefix="a" * (17 << 20)))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_what_an_error_quotes_is_cut(house: House) -> None:
    tensor = oip.ModelInferRequest.InferInputTensor(name="x" * 50_000, datatype="FP32", shape=[1])
    asked = oip.ModelInferRequest(model_name="fast", inputs=[tensor])
    path = "/inference.GRPCInferenceService/ModelInfer"
    call = house.channel.unary_unary(path)(asked.SerializeToString())
    error, details = await refused(call)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details["BadRequest"].field_violations[0].field == "x" * 200
