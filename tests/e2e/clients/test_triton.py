"""tritonclient, http and grpc, on real models: the Open Inference Protocol as users speak it."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from tests.e2e.conftest import ROOT, Served

SPEECH = ROOT / "tests" / "data" / "speech.flac"
WORDS = "How much does the machine cost? It costs ten cents an hour."
GREETING = "The weather is nice today."


@pytest.fixture(scope="module")
def http(full: Served) -> Iterator[Any]:
    client = tritonclient.http.InferenceServerClient(full.http.removeprefix("http://"))
    yield client
    client.close()


@pytest.fixture(scope="module")
def grpc(full: Served) -> Iterator[Any]:
    client = tritonclient.grpc.InferenceServerClient(full.grpc)
    yield client
    client.close()


@pytest.fixture(params=["http", "grpc"])
def wire(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A client and the module that its inputs are of."""
    module = tritonclient.http if request.param == "http" else tritonclient.grpc
    return request.getfixturevalue(request.param), module


def given(module: Any, **tensors: list[str | bytes]) -> list[Any]:
    inputs = []
    for name, values in tensors.items():
        data = [one.encode() if isinstance(one, str) else one for one in values]
        tensor = module.InferInput(name, [len(data)], "BYTES")
        tensor.set_data_from_numpy(np.array(data, dtype=np.object_))
        inputs.append(tensor)
    return inputs


def said(result: Any) -> list[str]:
    return [one.decode() for one in result.as_numpy("text_output")]


def test_the_server_lives_is_ready_and_says_what_it_is(wire: tuple[Any, Any]) -> None:
    client, module = wire
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("all-minilm-l6-v2")
    assert client.is_model_ready("firefox-en-pt", "1")
    as_json = {} if module is tritonclient.http else {"as_json": True}
    assert client.get_server_metadata(**as_json)["name"] == "hexkey"
    model = client.get_model_metadata("all-minilm-l6-v2", **as_json)
    assert [(one["name"], one["datatype"]) for one in model["inputs"]] == [("text_input", "BYTES")]
    assert [(one["name"], one["datatype"]) for one in model["outputs"]] == [("embeddings", "FP32")]


def test_texts_are_translated(wire: tuple[Any, Any]) -> None:
    client, module = wire
    inputs = given(module, text_input=[GREETING, "Good morning."])
    result = client.infer("firefox-en-pt", inputs, parameters={"target": "pt"}, request_id="r-7")
    assert said(result)[0].startswith("O tempo é")
    assert len(said(result)) == 2
    response = result.get_response()
    assert (response["id"] if isinstance(response, dict) else response.id) == "r-7"


def test_vectors_and_scores_come_as_numbers(wire: tuple[Any, Any]) -> None:
    client, module = wire
    outputs = [module.InferRequestedOutput("embeddings")]
    result = client.infer("embed", given(module, text_input=["a dog", "a cat"]), outputs=outputs)
    vectors = result.as_numpy("embeddings")
    assert vectors.shape == (2, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
    inputs = given(module, query=["a young dog"], documents=["stocks fell", "a puppy plays"])
    scores = client.infer("rerank", inputs).as_numpy("scores")
    assert scores.shape == (2, 1)
    assert scores[1, 0] > scores[0, 0]
    inputs = given(module, text_input=["Fry the onions."], labels=["sport", "cooking"])
    scores = client.infer("classify", inputs).as_numpy("scores")
    assert scores.argmax() == 1


def test_a_model_of_several_tasks_does_the_one_asked_for(wire: tuple[Any, Any]) -> None:
    client, module = wire
    inputs = given(module, text_input=["1, 2, 3, 4, 5, 6, 7,"])
    asked = {"max_tokens": 4}
    name = "smollm2-135m-instruct"
    by_default = said(client.infer(name, inputs, parameters=asked))
    assert by_default == said(client.infer("autocomplete", inputs, parameters=asked))
    assert by_default[0].startswith(" 8")
    chat = said(client.infer(name, inputs, parameters={**asked, "task": "chat"}))
    assert chat == said(client.infer("chat", inputs, parameters=asked))
    assert chat != by_default


def test_audio_is_a_tensor_of_bytes(wire: tuple[Any, Any]) -> None:
    client, module = wire
    result = client.infer("whisper-tiny-en", given(module, audio=[SPEECH.read_bytes()]))
    assert [one.strip() for one in said(result)] == [WORDS]


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
def test_bodies_are_compressed_both_ways(http: Any, kind: str) -> None:
    inputs = given(tritonclient.http, text_input=[GREETING])
    result = http.infer(
        "firefox-en-pt",
        inputs,
        parameters={"target": "pt"},
        request_compression_algorithm=kind,
        response_compression_algorithm="gzip",
    )
    assert said(result)[0].startswith("O tempo é")


@pytest.mark.parametrize("binary", [True, False])
def test_elements_travel_as_json_or_as_bytes(http: Any, binary: bool) -> None:  # noqa: FBT001
    tensor = tritonclient.http.InferInput("text_input", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[GREETING]], dtype=np.object_), binary_data=binary)
    output = tritonclient.http.InferRequestedOutput("text_output", binary_data=not binary)
    result = http.infer("firefox-en-pt", [tensor], outputs=[output], parameters={"target": "pt"})
    said_as = result.as_numpy("text_output")[0]
    assert (said_as if isinstance(said_as, str) else said_as.decode()).startswith("O tempo")


def test_mistakes_are_told(wire: tuple[Any, Any]) -> None:
    client, module = wire
    good = given(module, text_input=["a"])
    with pytest.raises(InferenceServerException, match="no model 'nobody'"):
        client.infer("nobody", good)
    with pytest.raises(InferenceServerException, match="no model 'nobody'"):
        client.get_model_metadata("nobody")
    with pytest.raises(InferenceServerException, match="'text_input' is missing"):
        client.infer("embed", given(module, other=["a"]))
    with pytest.raises(InferenceServerException, match="has 2 elements, not one"):
        client.infer("chat", given(module, text_input=["a", "b"]))
    number = module.InferInput("text_input", [1], "INT32")
    number.set_data_from_numpy(np.array([1], np.int32))
    with pytest.raises(InferenceServerException, match="text is taken as BYTES"):
        client.infer("embed", [number])
    with pytest.raises(InferenceServerException, match="max_tokens"):
        client.infer("chat", good, parameters={"max_tokens": "many"})


def test_a_stream_is_decoupled_and_says_what_is_final(grpc: Any) -> None:
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    grpc.start_stream(callback=lambda result, error: answers.put((result, error)))
    try:
        inputs = given(tritonclient.grpc, text_input=["1, 2, 3, 4, 5, 6, 7,"])
        name = "smollm2-135m-instruct"
        whole = said(grpc.infer(name, inputs, parameters={"max_tokens": 8}))[0]
        grpc.async_stream_infer(
            name, inputs, request_id="s", parameters={"max_tokens": 8},
            enable_empty_final_response=True,
        )  # fmt: skip
        grpc.async_stream_infer("nobody", inputs, request_id="bad")
        pieces: list[str] = []
        finals: list[bool] = []
        while not finals or not finals[-1]:
            result, error = answers.get(timeout=60)
            assert error is None
            response = result.get_response()
            assert response.id == "s"
            finals.append(response.parameters["triton_final_response"].bool_param)
            pieces += said(result) if response.outputs else []
        assert "".join(pieces) == whole
        assert len(pieces) > 1
        assert finals == [False] * len(pieces) + [True]
        _, error = answers.get(timeout=60)
        assert "no model 'nobody'" in str(error)
    finally:
        grpc.stop_stream()


def test_our_messages_have_the_protocols_fields_and_numbers() -> None:
    from tritonclient.grpc import service_pb2 as theirs

    from hexkey.v1 import open_inference_pb2 as ours

    def compare(mine: Any, other: Any) -> None:
        for field in mine.fields:
            found = other.fields_by_name[field.name]
            assert (field.number, field.type) == (found.number, found.type), field.full_name
            assert getattr(field, "is_repeated", None) == getattr(found, "is_repeated", None)
        for nested in mine.nested_types:
            compare(nested, other.nested_types_by_name[nested.name])

    assert ours.DESCRIPTOR.message_types_by_name
    for name, message in ours.DESCRIPTOR.message_types_by_name.items():
        compare(message, theirs.DESCRIPTOR.message_types_by_name[name])
    mine = ours.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    other = theirs.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    for method in mine.methods:
        found = other.methods_by_name[method.name]
        assert method.input_type.name == found.input_type.name
        assert method.output_type.name == found.output_type.name
