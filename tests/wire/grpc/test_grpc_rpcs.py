from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from hexkey.engines.link import Link
from hexkey.identity.keyring import Keyring
from hexkey.identity.keys import make
from hexkey.types import PLAIN
from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import open_inference_pb2 as oip
from hexkey.wire.grpc import codec
from tests.wire.grpc.grpc_house import House, metadata_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable

    from hexkey.engines.link import Mailbox
    from hexkey.types import Payload, Terms, Usage

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def read(stream: AsyncIterable[pb.StreamEvent]) -> list[pb.StreamEvent]:
    return [event async for event in stream]


async def test_autocomplete_answers_every_choice(house: House) -> None:
    answer = await house.stub.Autocomplete(
        pb.AutocompleteRequest(prefix="def f", max_tokens=3, n=2)
    )
    assert [(one.index, one.text) for one in answer.choices] == [(0, "w0 w1 w2 "), (1, "w0 w1 w2 ")]
    assert {one.finish_reason for one in answer.choices} == {pb.FINISH_REASON_LENGTH}
    assert answer.usage == pb.Usage(input_tokens=2, output_tokens=6, input_characters=5)
    assert answer.model == "fast"
    assert list(answer.notes) == []


async def test_translate_answers_every_text_in_order(house: House) -> None:
    answer = await house.stub.Translate(
        pb.TranslateRequest(text=["one two", "three"], source="EN", target="pt-BR")
    )
    assert [(one.text, one.source, one.target) for one in answer.translations] == [
        ("ONE TWO", "en", "pt"),
        ("THREE", "en", "pt"),
    ]
    assert answer.usage.input_characters == 13


async def test_chat_answers_as_the_assistant(house: House) -> None:
    answer = await house.stub.Chat(
        pb.ChatRequest(messages=[pb.ChatMessage(role="user", content="hi")], max_tokens=2)
    )
    assert answer.choices[0].message == pb.ChatMessage(role="assistant", content="w0 w1 ")


@pytest.mark.parametrize("task", ["autocomplete", "chat", "translate"])
async def test_a_stream_says_what_the_whole_answer_says(house: House, task: str) -> None:
    stub = house.stub
    if task == "autocomplete":
        message = pb.AutocompleteRequest(prefix="a", max_tokens=5, n=2)
        whole = await stub.Autocomplete(message)
        events = await read(stub.StreamAutocomplete(message))
        texts = [one.text for one in whole.choices]
    elif task == "chat":
        chat = pb.ChatRequest(messages=[pb.ChatMessage(role="user", content="a")], max_tokens=5)
        whole = await stub.Chat(chat)
        events = await read(stub.StreamChat(chat))
        texts = [one.message.content for one in whole.choices]
    else:
        translate = pb.TranslateRequest(text=["a b c", "d"], target="pt")
        whole = await stub.Translate(translate)
        events = await read(stub.StreamTranslate(translate))
        texts = [one.text for one in whole.translations]
        assert events[0].start.pair == pb.LanguagePair(source="en", target="pt")
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "start"
    assert kinds[-1] == "usage"
    assert kinds.count("usage") == kinds.count("start") == 1
    assert kinds.count("finish") == len(texts)
    assert events[0].start.model == whole.model
    assert events[-1].usage == whole.usage
    for index, text in enumerate(texts):
        deltas = [one.delta for one in events if one.WhichOneof("event") == "delta"]
        assert "".join(delta.text for delta in deltas if delta.index == index) == text
    assert sum(one.delta.token_count for one in events) == whole.usage.output_tokens


async def test_list_models_tells_what_each_does(house: House) -> None:
    answer = await house.stub.ListModels(pb.ListModelsRequest())
    assert [one.name for one in answer.models] == ["fast", "slow", "bulk"]
    first = answer.models[0]
    assert first.state == pb.MODEL_STATE_READY
    assert list(first.tasks) == sorted(codec.TASK.values())
    assert first.pairs[0] == pb.LanguagePair(source="en", target="pt")
    assert first.context_tokens == 8192
    assert first.fim


async def test_a_key_lists_its_models_only(house: House) -> None:
    key, record = make(bytes(32), "acme", ("model:slow",), now=0)
    access = house.service.access
    before, access.keyring = access.keyring, Keyring([record], bytes(32), required=True)
    metadata = (("x-api-key", key),)
    try:
        answer = await house.stub.ListModels(pb.ListModelsRequest(), metadata=metadata)
        assert [one.name for one in answer.models] == ["slow"]
        for name, code in (("slow", grpc.StatusCode.OK), ("fast", grpc.StatusCode.NOT_FOUND)):
            asked = oip.ModelMetadataRequest(name=name).SerializeToString()
            path = "/inference.GRPCInferenceService/ModelMetadata"
            call = house.channel.unary_unary(path)(asked, metadata=metadata)
            assert await call.code() is code
    finally:
        access.keyring = before


async def test_explain_route_tells_who_would_serve_and_why(house: House) -> None:
    translate = pb.TranslateRequest(text=["a"], target="en", model="slow")
    answer = await house.stub.ExplainRoute(pb.ExplainRouteRequest(translate=translate))
    assert answer.model == "slow"
    assert answer.pair == pb.LanguagePair(source="pt", target="en")
    assert [(one.model, one.kept) for one in answer.verdicts] == [
        ("fast", False),
        ("slow", True),
        ("bulk", False),
    ]
    for request in (
        pb.ExplainRouteRequest(autocomplete=pb.AutocompleteRequest(prefix="a")),
        pb.ExplainRouteRequest(
            chat=pb.ChatRequest(messages=[pb.ChatMessage(role="user", content="a")])
        ),
    ):
        assert (await house.stub.ExplainRoute(request)).model == "fast"


async def test_explain_route_wants_a_request(house: House) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.stub.ExplainRoute(pb.ExplainRouteRequest())
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("streams", [False, True])
async def test_a_valid_request_id_comes_back(house: House, streams: bool) -> None:  # noqa: FBT001
    message = pb.AutocompleteRequest(prefix="a", max_tokens=1)
    metadata = (("x-request-id", "my.id_1-"),)
    if streams:
        call = house.stub.StreamAutocomplete(message, metadata=metadata)
        answer_id = (await read(call))[0].start.id
        told = metadata_of(await call.initial_metadata())
    else:
        call = house.stub.Autocomplete(message, metadata=metadata)
        answer_id = (await call).id
        told = metadata_of(await call.trailing_metadata())
    assert answer_id == told["x-request-id"] == "my.id_1-"
    assert told["x-hexkey-model"] == "fast"


@pytest.mark.parametrize("bad", ["a b", "a/b", "x" * 129, '"', ""])
async def test_an_invalid_request_id_is_replaced(house: House, bad: str) -> None:
    call = house.stub.Autocomplete(
        pb.AutocompleteRequest(prefix="a", max_tokens=1), metadata=(("x-request-id", bad),)
    )
    made = (await call).id
    assert made != bad
    assert len(made) == 32
    assert metadata_of(await call.trailing_metadata())["x-request-id"] == made


async def test_a_failed_call_has_its_request_id_in_the_trailers(house: House) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.stub.Autocomplete(
            pb.AutocompleteRequest(), metadata=(("x-request-id", "mine"),)
        )
    assert metadata_of(caught.value.trailing_metadata())["x-request-id"] == "mine"
    assert not metadata_of(caught.value.initial_metadata())


async def test_the_engine_knows_which_answers_are_read_as_they_come(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[bool] = []
    submit = Link.submit

    def noted(
        link: Link,
        payload: Payload,
        complete: Callable[[Usage], None] = lambda _usage: None,
        terms: Terms = PLAIN,
        *,
        whole: bool = False,
    ) -> tuple[int, Mailbox]:
        said.append(whole)
        return submit(link, payload, complete, terms, whole=whole)

    monkeypatch.setattr(Link, "submit", noted)
    message = pb.AutocompleteRequest(prefix="a", max_tokens=1)
    await house.stub.Autocomplete(message)
    await read(house.stub.StreamAutocomplete(message))
    assert said == [True, False]
