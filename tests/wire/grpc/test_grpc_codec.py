from __future__ import annotations

import grpc
import pytest
from google.rpc import status_pb2

from hexkey.engines.supervisor import State
from hexkey.errors import Code, ServeError
from hexkey.types import FinishReason, Message, StopRule, Task
from hexkey.v1 import inference_pb2 as pb
from hexkey.wire.grpc import codec, errors
from tests.wire.grpc.grpc_house import details_of


def test_unset_fields_keep_the_defaults_and_zeros_are_kept() -> None:
    unset = codec.autocomplete(pb.AutocompleteRequest(prefix="a")).sampling
    assert (unset.max_tokens, unset.n, unset.top_p, unset.seed) == (256, 1, 1.0, None)
    zeros = codec.autocomplete(
        pb.AutocompleteRequest(prefix="a", max_tokens=0, n=0, top_p=0, seed=0)
    ).sampling
    assert (zeros.max_tokens, zeros.n, zeros.top_p, zeros.seed) == (0, 0, 0.0, 0)


def test_every_field_of_a_request_is_decoded() -> None:
    decoded = codec.autocomplete(
        pb.AutocompleteRequest(
            prefix="p",
            suffix="s",
            language="python",
            path="b.py",
            context=[pb.ContextFile(path="a.py", text="x")],
            stop_rule=pb.STOP_RULE_LINE,
            session="me",
            temperature=0.7,
            top_k=4,
            seed=-1,
            stop=["\n"],
            presence_penalty=0.5,
            frequency_penalty=-0.5,
        )
    )
    assert (decoded.prefix, decoded.suffix, decoded.language) == ("p", "s", "python")
    assert decoded.path == "b.py"
    assert (decoded.context[0].path, decoded.context[0].text) == ("a.py", "x")
    assert (decoded.stop_rule, decoded.session) == (StopRule.LINE, "me")
    sampling = decoded.sampling
    assert (sampling.temperature, sampling.top_k, sampling.seed) == (0.7, 4, -1)
    assert (sampling.stop, sampling.presence_penalty) == (("\n",), 0.5)
    assert sampling.frequency_penalty == -0.5
    chat = codec.chat(pb.ChatRequest(messages=[pb.ChatMessage(role="user", content="x")], n=2))
    assert (chat.messages, chat.sampling.n) == ((Message("user", "x"),), 2)


@pytest.mark.parametrize(
    ("table", "members"),
    [
        (codec.STOP_RULE.values(), StopRule),
        (codec.FINISH_REASON, FinishReason),
        (codec.TASK, Task),
        (codec.MODEL_STATE, State),
    ],
)
def test_every_member_of_an_enum_has_its_number(table: set[str], members: type) -> None:
    assert set(table) == set(members)  # type: ignore[call-overload]


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_status(code: Code) -> None:
    status = errors.status_of(ServeError(code, "text", param="top_p", retry_after_s=1.5))
    assert status.code is errors.STATUS[code]
    assert status.code not in {grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN}
    assert set(errors.STATUS) == set(Code)
    rich = status_pb2.Status.FromString(dict(status.trailing_metadata)["grpc-status-details-bin"])
    found = details_of(rich)
    assert found["ErrorInfo"].reason == code.name
    assert found["ErrorInfo"].domain == "hexkey"
    assert found["BadRequest"].field_violations[0].field == "top_p"
    assert found["RetryInfo"].retry_delay.ToNanoseconds() == 1_500_000_000


@pytest.mark.parametrize("code", list(Code))
def test_whose_turn_it_is_to_wait_is_told_how_long(code: Code) -> None:
    status = errors.status_of(ServeError(code, "text"))
    rich = status_pb2.Status.FromString(dict(status.trailing_metadata)["grpc-status-details-bin"])
    waits = code in {Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE}
    assert ("RetryInfo" in details_of(rich)) is waits


def test_a_long_message_is_cut_between_characters() -> None:
    status = errors.status_of(ServeError(Code.INTERNAL, "é漢" * 10_000))
    assert len(status.details.encode()) <= errors.MAX_MESSAGE_BYTES
    assert status.details in "é漢" * 1000
