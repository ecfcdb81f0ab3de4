"""The suggestion cache against a plain model of it, and its bounds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.config import AutocompleteConfig
from hexkey.suggestions import MAX_ANCHORS, Question, Suggestion, Suggestions, question
from hexkey.types import (
    Autocomplete,
    Caller,
    Chat,
    ContextFile,
    FinishReason,
    Message,
    Request,
    Sampling,
    StopRule,
)

STOP = FinishReason.STOP
TEXTS = st.text(st.sampled_from("ab \n"), max_size=12)


def typed(prefix: str, tenant: str = "", **more: Any) -> Request:
    payload = Autocomplete(**{"prefix": prefix, "session": "s", **more})
    return Request(id="r", payload=payload, protocol="http", caller=Caller(tenant=tenant))


def asked(prefix: str, model: str = "m", tenant: str = "", **more: Any) -> Question:
    found = question(typed(prefix, tenant, **more), model)
    assert found is not None
    return found


def cache(**config: Any) -> Suggestions:
    return Suggestions(AutocompleteConfig(**config))


def rest(of: Suggestions, prefix: str, now: float = 0.0, **more: Any) -> str | None:
    found = of.find(asked(prefix, **more), now)
    return None if found is None else found.text


@given(before=TEXTS, suggested=TEXTS, after=TEXTS)
def test_it_answers_exactly_those_who_type_what_was_suggested(
    before: str, suggested: str, after: str
) -> None:
    one = cache()
    one.store(asked(before), Suggestion(suggested, STOP), 0.0)
    for typed_on in [suggested[:length] for length in range(len(suggested) + 1)]:
        left = suggested[len(typed_on) :]
        assert rest(one, before + typed_on) == (left if left.strip() else None)
    if not suggested.startswith(after):
        assert rest(one, before + after) is None


def test_a_word_that_was_begun_before_the_suggestion_goes_on() -> None:
    one = cache()
    one.store(asked("The capital of Fr"), Suggestion("ance is Paris", STOP), 0.0)
    assert rest(one, "The capital of Fr") == "ance is Paris"
    assert rest(one, "The capital of Franc") == "e is Paris"
    assert rest(one, "The capital of France is P") == "aris"
    # A letter less is another question than the one that was answered.
    assert rest(one, "The capital of F") is None
    assert rest(one, "The capital of Fra ") is None
    assert rest(one, "the capital of Fr") is None


def test_the_newer_suggestion_is_given() -> None:
    one = cache()
    one.store(asked("a "), Suggestion("b c d", STOP), 0.0)
    one.store(asked("a b "), Suggestion("x y", FinishReason.LENGTH), 0.0)
    assert one.find(asked("a b "), 0.0) == Suggestion("x y", FinishReason.LENGTH)
    assert rest(one, "a b x ") == "y"
    assert rest(one, "a ") == "b c d"


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": "other"},
        {"model": "other"},
        {"suffix": "other"},
        {"language": "python"},
        {"context": (ContextFile("a", "b"),)},
        {"stop_rule": StopRule.LINE},
        {"sampling": Sampling(max_tokens=9)},
        {"sampling": Sampling(stop=("x",))},
    ],
    ids=str,
)
def test_it_is_never_given_where_anything_else_differs(other: dict[str, Any]) -> None:
    one = cache()
    one.store(asked("a ", tenant="t"), Suggestion("b c", STOP), 0.0)
    assert rest(one, "a ", tenant="t") == "b c"
    assert rest(one, "a ", **{"tenant": "t", **other}) is None


@pytest.mark.parametrize(
    "request_",
    [
        typed("a", session=""),
        typed("", tokens=(1, 2)),
        typed("a", sampling=Sampling(temperature=0.5)),
        typed("a", sampling=Sampling(n=2)),
        typed("a", sampling=Sampling(logprobs=True)),
        msgspec.structs.replace(typed("a"), payload=Chat(messages=(Message("user", "a"),))),
    ],
    ids=str,
)
def test_what_is_left_to_chance_or_not_typed_is_not_remembered(request_: Request) -> None:
    assert question(request_, "m") is None


def test_it_forgets_after_its_time() -> None:
    one = cache(cache_ttl_s=10.0)
    one.store(asked("a "), Suggestion("b", STOP), 0.0)
    assert rest(one, "a ", now=9.9) == "b"
    assert rest(one, "a ", now=10.0) is None
    assert (len(one), one.size, one._anchors) == (0, 0, {})


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=30), st.integers(1, 5), st.integers(200, 3000))
def test_it_stays_within_its_bounds_and_forgets_whole(
    stored: list[tuple[str, str]], entries: int, size: int
) -> None:
    one = cache(cache_entries=entries, cache_bytes=size)
    for before, suggested in stored:
        one.store(asked(before), Suggestion(suggested, STOP), 0.0)
        assert len(one) <= entries
        assert one.size <= size
        assert one.size == sum(entry.size for entry in one._entries)
        assert all(entry in one._entries for entry, _ in one._anchors.values())


def test_the_least_used_leaves_first() -> None:
    one = cache(cache_entries=2)
    for name in "ab":
        one.store(asked(f"{name} "), Suggestion("x", STOP), 0.0)
    assert rest(one, "a ") == "x"
    one.store(asked("c "), Suggestion("x", STOP), 0.0)
    assert [rest(one, f"{name} ") for name in "abc"] == ["x", None, "x"]


def test_a_long_suggestion_has_a_bounded_number_of_places() -> None:
    one = cache()
    one.store(asked("a "), Suggestion("b " * 1000, STOP), 0.0)
    assert len(one._anchors) == MAX_ANCHORS
    assert rest(one, "a " + "b " * 10) == "b " * 990
