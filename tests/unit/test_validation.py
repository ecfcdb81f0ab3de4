"""Validation: the last good value of every field is taken, the first bad one is refused by name."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey import validation as v
from hexkey.errors import Code, ServeError
from hexkey.tasks import validate
from hexkey.types import (
    Autocomplete,
    Chat,
    Classify,
    ContextFile,
    Embed,
    Message,
    Payload,
    Rerank,
    Sampling,
    Summarize,
    Transcribe,
    Translate,
)
from hexkey.validation import Limits
from tests.unit.requests import CHAT, request

LIMITS = Limits(max_characters=1000)


def refusal(payload: Payload) -> ServeError:
    with pytest.raises(ServeError) as caught:
        validate(request(payload), LIMITS)
    return caught.value


def taken(payload: Payload) -> None:
    validate(request(payload), LIMITS)


def with_sampling(**values: Any) -> list[Payload]:
    sampling = Sampling(**values)
    return [
        Autocomplete(prefix="a", sampling=sampling),
        msgspec.structs.replace(CHAT, sampling=sampling),
    ]


NUMBERS: dict[str, tuple[float, float]] = {
    "max_tokens": (1, v.MAX_TOKENS),
    "temperature": (0, v.MAX_TEMPERATURE),
    "top_p": (0, 1),
    "top_k": (0, v.MAX_TOKENS),
    "n": (1, v.MAX_N),
    "presence_penalty": (-v.MAX_PENALTY, v.MAX_PENALTY),
    "frequency_penalty": (-v.MAX_PENALTY, v.MAX_PENALTY),
    "seed": (-v.MAX_SEED, v.MAX_SEED),
}
REAL = ("temperature", "top_p", "presence_penalty", "frequency_penalty")


@pytest.mark.parametrize("name", list(NUMBERS))
def test_a_number_has_bounds_and_they_are_told_exactly(name: str) -> None:
    low, high = NUMBERS[name]
    for value in (low, high):
        for payload in with_sampling(**{name: value}):
            taken(payload)
    step: float = 0.001 if name in REAL else 1
    for value in (low - step, high + step):
        for payload in with_sampling(**{name: value}):
            error = refusal(payload)
            assert (error.code, error.param) == (Code.INVALID_ARGUMENT, name)
            assert error.message == f"{name} must be between {low} and {high}"


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(name: str, value: float) -> None:
    for payload in with_sampling(**{name: value}):
        assert refusal(payload).param == name


@given(st.builds(
    Sampling,
    max_tokens=st.integers(), temperature=st.floats(), top_p=st.floats(), top_k=st.integers(),
    seed=st.none() | st.integers(), stop=st.lists(st.text(max_size=3)).map(tuple),
    n=st.integers(), presence_penalty=st.floats(), frequency_penalty=st.floats(),
))  # fmt: skip
def test_any_sampling_that_is_taken_is_within_bounds(sampling: Sampling) -> None:
    try:
        validate(request(Autocomplete(prefix="a", sampling=sampling)), LIMITS)
    except ServeError as error:
        assert error.param in {*NUMBERS, "stop"}  # noqa: PT017 - a refusal is as good an outcome
        return
    for name, (low, high) in NUMBERS.items():
        value = getattr(sampling, name)
        assert value is None or low <= value <= high


def test_stop_strings() -> None:
    longest = "x" * v.MAX_STOP_CHARACTERS
    for payload in with_sampling(stop=(longest,) * v.MAX_STOPS):
        taken(payload)
    for stop in (("a",) * (v.MAX_STOPS + 1), (longest + "x",), ("a", "")):
        for payload in with_sampling(stop=stop):
            assert refusal(payload).param == "stop"


def autocomplete(**values: Any) -> Autocomplete:
    return Autocomplete(**{"prefix": "", **values})


def test_an_autocompletion_has_something_around_the_cursor() -> None:
    taken(autocomplete(prefix="a"))
    taken(autocomplete(suffix="a"))
    taken(autocomplete(tokens=(0, 1)))
    assert refusal(autocomplete()).param == "prefix"
    assert refusal(autocomplete(context=(ContextFile("p", "t"),))).param == "prefix"
    assert refusal(autocomplete(tokens=(5, -1))).code is Code.INVALID_ARGUMENT


def test_the_name_of_a_session_is_bounded() -> None:
    taken(autocomplete(prefix="a", session="s" * v.MAX_SESSION_CHARACTERS))
    long = autocomplete(prefix="a", session="s" * (v.MAX_SESSION_CHARACTERS + 1))
    assert refusal(long).param == "session"


@pytest.mark.parametrize(
    "spread",
    [
        lambda size: {"prefix": "é" * size},
        lambda size: {"prefix": "a", "suffix": "b" * (size - 1)},
        lambda size: {"tokens": (7,) * size},
        lambda size: {"prefix": "a", "context": (ContextFile("pp", "t" * (size - 3)),)},
        lambda size: {"prefix": "a", "context": (ContextFile("p" * (size - 1), ""),)},
        lambda size: {"prefix": "a", "language": "l" * (size - 1)},
        lambda size: {"prefix": "a" * (size - 200), "session": "s" * 200},
    ],
)
def test_every_text_of_an_autocompletion_counts(spread: Any) -> None:
    taken(autocomplete(**spread(LIMITS.max_characters)))
    error = refusal(autocomplete(**spread(LIMITS.max_characters + 1)))
    assert error.code is Code.TOO_LARGE
    assert "holds 1001 characters; at most 1000 are taken" in error.message


def test_context_files_are_counted() -> None:
    files = (ContextFile("", ""),) * v.MAX_CONTEXT_FILES
    taken(autocomplete(prefix="a", context=files))
    assert refusal(autocomplete(prefix="a", context=(*files, *files))).param == "context"


def chat(*messages: tuple[str, str]) -> Chat:
    return Chat(messages=tuple(Message(*one) for one in messages))


def test_messages() -> None:
    taken(chat(*((role, "a") for role in v.ROLES)))
    taken(chat(("user", "a" * LIMITS.max_characters)))
    taken(chat(*((("user", "a"),) * v.MAX_MESSAGES)))
    assert refusal(chat()).param == "messages"
    assert refusal(chat(*((("user", "a"),) * (v.MAX_MESSAGES + 1)))).param == "messages"
    assert refusal(chat(("user", "a"), ("tool", "b"))).param == "messages[1].role"
    assert refusal(chat(("user", " \n"), ("system", ""))).param == "messages"
    assert refusal(chat(("user", "a"), ("user", "a" * 1000))).code is Code.TOO_LARGE


def test_a_wrong_role_is_not_repeated_at_length() -> None:
    assert len(refusal(chat(("x" * (1 << 20), "a"))).message) < 200


def translation(*texts: str, target: str = "pt", source: str = "") -> Translate:
    return Translate(texts=texts, target=target, source=source)


def test_texts() -> None:
    taken(translation("a", ""))
    taken(translation(*("a",) * 1000))
    taken(translation("a" * LIMITS.max_characters))
    assert refusal(translation()).param == "text"
    assert refusal(translation("", " ")).param == "text"
    assert refusal(translation(*("",) * v.MAX_TEXTS, "a")).param == "text"
    assert refusal(translation("a" * 500, "b" * 501)).code is Code.TOO_LARGE


def test_language_codes_are_short() -> None:
    longest = "x" * v.MAX_CODE_CHARACTERS
    taken(translation("a", target=longest, source=longest))
    assert refusal(translation("a", target="")).param == "target"
    assert refusal(translation("a", target=longest + "x")).param == "target"
    assert refusal(translation("a", source=longest + "x")).param == "source"


def test_what_is_embedded() -> None:
    taken(Embed(texts=("a",) * 1000, dimensions=v.MAX_DIMENSIONS))
    taken(Embed(tokens=((0, 5), (7,))))
    assert refusal(Embed()).param == "text"
    assert refusal(Embed(texts=("a", " "))).param == "text"
    assert refusal(Embed(texts=("a",) * (v.MAX_INPUTS + 1))).param == "text"
    assert refusal(Embed(texts=("a",), dimensions=-1)).param == "dimensions"
    assert refusal(Embed(texts=("a",), dimensions=v.MAX_DIMENSIONS + 1)).param == "dimensions"
    assert refusal(Embed(tokens=((1,), ()))).param == "input"
    assert refusal(Embed(tokens=((1, -1),))).param == "input"
    assert refusal(Embed(tokens=((1,) * (LIMITS.max_characters + 1),))).code is Code.TOO_LARGE


def test_what_is_reranked() -> None:
    taken(Rerank(query="a", documents=("b", ""), top_n=v.MAX_INPUTS))
    assert refusal(Rerank(query=" ", documents=("b",))).param == "query"
    assert refusal(Rerank(query="a", documents=())).param == "documents"
    assert refusal(Rerank(query="a", documents=("b",), top_n=-1)).param == "top_n"
    assert refusal(Rerank(query="a" * 501, documents=("b" * 500,))).code is Code.TOO_LARGE


def test_what_is_classified() -> None:
    longest = "x" * v.MAX_LABEL_CHARACTERS
    taken(Classify(texts=("a",)))
    taken(Classify(texts=("a",), labels=(longest, *map(str, range(v.MAX_LABELS - 1)))))
    assert refusal(Classify(texts=())).param == "text"
    for labels in (("a", "a"), (" ",), (longest + "x",), tuple(map(str, range(v.MAX_LABELS + 1)))):
        assert refusal(Classify(texts=("a",), labels=labels)).param == "labels"


def test_what_is_transcribed_and_summarized() -> None:
    taken(Transcribe(audio=b"RIFF", language="en", prompt="p" * LIMITS.max_characters))
    assert refusal(Transcribe(audio=b"")).param == "file"
    assert refusal(Transcribe(audio=b"a", language="x" * 36)).param == "language"
    assert refusal(Transcribe(audio=b"a", prompt="p" * 1001)).code is Code.TOO_LARGE
    taken(Summarize(text="a" * LIMITS.max_characters))
    assert refusal(Summarize(text=" ")).param == "text"
    assert refusal(Summarize(text="a", sampling=Sampling(n=0))).param == "n"
    assert refusal(Summarize(text="a" * 1001)).code is Code.TOO_LARGE
