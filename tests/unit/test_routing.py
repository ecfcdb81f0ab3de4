"""Routing: the chosen model can do it, a named one wins, and errors say what there is."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hexkey.errors import Code, ServeError
from hexkey.routing import AUTO, Candidate, Pair, Plan, language, pairs, route, shorten
from hexkey.types import Payload, Request, Task, Translate
from tests.unit.requests import AUTOCOMPLETE, CHAT, request, translate

LANGUAGES = ("en", "pt", "de", "zh")
NAMES = tuple("abcdef")
PAIRS = st.builds(Pair, st.sampled_from(LANGUAGES), st.sampled_from(LANGUAGES))
CODES = st.sampled_from(
    [*LANGUAGES, "pt-BR", "EN_us", "zh-Hant-TW", "xx", "", AUTO, "Auto", "-", "_pt", "\u0131"]
)
PAYLOADS: st.SearchStrategy[Payload] = st.one_of(
    st.just(CHAT),
    st.just(AUTOCOMPLETE),
    st.builds(translate, target=CODES, source=CODES),
)
REQUESTS = st.builds(
    request, PAYLOADS, st.sampled_from(["", AUTO, *Task, *NAMES, "unknown", "x" * 500, "\n"])
)


@st.composite
def catalogs(draw: st.DrawFn) -> list[Candidate]:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5))
    made = []
    for name in names:
        tasks = draw(st.frozensets(st.sampled_from(Task), min_size=1))
        some = draw(st.lists(PAIRS, min_size=1, max_size=4)) if Task.TRANSLATE in tasks else []
        made.append(Candidate(name, tasks, tuple(some)))
    return made


def outcome(wanted: Request, catalog: list[Candidate]) -> Plan | ServeError:
    try:
        return route(wanted, catalog)
    except ServeError as error:
        return error


@given(REQUESTS, catalogs())
def test_the_chosen_model_can_do_it_and_no_earlier_one_could(
    wanted: Request, catalog: list[Candidate]
) -> None:
    plan = outcome(wanted, catalog)
    if not isinstance(plan, Plan):
        return
    chosen = next(one for one in catalog if one.name == plan.model)
    assert wanted.task in chosen.tasks
    if isinstance(wanted.payload, Translate):
        assert plan.pair in chosen.pairs
        assert plan.pair is not None
        assert plan.pair.target == language(wanted.payload.target)
        assert language(wanted.payload.source) in {"", plan.pair.source}
    else:
        assert plan.pair is None
    assert [one.model for one in plan.verdicts] == [one.name for one in catalog]
    assert plan.model == next(one.model for one in plan.verdicts if one.kept)
    assert all(one.reason for one in plan.verdicts)
    if wanted.model in NAMES:
        assert plan.model == wanted.model
        assert [one.model for one in plan.verdicts if one.kept] == [wanted.model]


@given(REQUESTS, catalogs())
def test_what_is_refused_could_not_be_served_and_the_error_says_what_could(
    wanted: Request, catalog: list[Candidate]
) -> None:
    error = outcome(wanted, catalog)
    assume(isinstance(error, ServeError))
    assert isinstance(error, ServeError)
    for candidate in catalog:
        if wanted.model not in {"", AUTO, *Task, candidate.name}:
            continue
        assert wanted.task not in candidate.tasks or isinstance(wanted.payload, Translate)
    assert (error.code, error.reason) in {
        (Code.NOT_FOUND, "MODEL_NOT_FOUND"),
        (Code.NOT_FOUND, "PAIR_NOT_FOUND"),
        (Code.NOT_FOUND, "TASK_NOT_FOUND"),
        (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
    }
    if error.reason == "MODEL_NOT_FOUND":
        assert error.param == "model"
        assert all(one.name in error.message for one in catalog)
    if error.reason == "PAIR_NOT_FOUND":
        able = [one for one in catalog if wanted.model in {"", AUTO, *Task, one.name}]
        assert all(str(pair) in error.message for pair in pairs(able))
    if error.reason == "TASK_NOT_FOUND":
        assert all(task in error.message for one in catalog for task in one.tasks)


CATALOG = [
    Candidate("talker", frozenset({Task.CHAT, Task.AUTOCOMPLETE})),
    Candidate("en-pt", frozenset({Task.TRANSLATE}), (Pair("en", "pt"),)),
    Candidate("many", frozenset({Task.TRANSLATE}), (Pair("en", "pt"), Pair("de", "pt"))),
]


@pytest.mark.parametrize("model", ["", "auto", "chat", "translate", "autocomplete"])
def test_the_name_of_a_task_leaves_the_choice_to_what_is_asked(model: str) -> None:
    assert route(request(CHAT, model), CATALOG).model == "talker"
    assert route(request(translate(), model), CATALOG).model == "en-pt"


def test_a_named_model_wins_over_an_earlier_one() -> None:
    assert route(request(translate(), "many"), CATALOG).model == "many"


def test_a_model_that_does_another_task_says_so() -> None:
    with pytest.raises(ServeError, match="'talker' does not do translate; it does: auto") as caught:
        route(request(translate(), "talker"), CATALOG)
    assert (caught.value.code, caught.value.param) == (Code.INVALID_ARGUMENT, "model")


def test_a_named_model_lists_its_own_pairs_only() -> None:
    with pytest.raises(ServeError, match=r"'de-pt'; the pairs there are: en-pt$"):
        route(request(translate(source="de"), "en-pt"), CATALOG)


@pytest.mark.parametrize(
    ("code", "primary"),
    [("pt-BR", "pt"), ("PT_br", "pt"), ("zh-Hant-TW", "zh"), ("auto", ""), ("AUTO", ""), ("", "")],
)
def test_a_regional_code_stands_for_its_language(code: str, primary: str) -> None:
    assert language(code) == primary


@pytest.mark.parametrize(
    ("source", "target", "pair"),
    [
        ("en-US", "pt-BR", Pair("en", "pt")),
        ("", "pt", Pair("en", "pt")),
        ("auto", "PT", Pair("en", "pt")),
        ("de", "pt", Pair("de", "pt")),
    ],
)
def test_the_plan_says_the_pair(source: str, target: str, pair: Pair) -> None:
    assert route(request(translate("x", target, source)), CATALOG).pair == pair


@pytest.mark.parametrize("character", ["a", "\n", "\U0001f600", "'\"", "\x1b"])
def test_what_a_caller_sent_is_shown_short(character: str) -> None:
    endless = character * (1 << 20)
    for wanted in (request(CHAT, endless), request(translate("x", endless, endless))):
        with pytest.raises(ServeError) as caught:
            route(wanted, CATALOG)
        assert len(caught.value.message) < 1000
        assert "\n" not in caught.value.message
        assert "\x1b" not in caught.value.message


@given(st.text(max_size=200), st.integers(0, 100))
def test_shorten_keeps_what_fits(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) <= limit + 1
    assert short == text or short[:-1] == text[:limit]


def test_an_empty_catalog_is_told() -> None:
    with pytest.raises(ServeError, match="there is: none"):
        route(request(CHAT, "m"), [])
    with pytest.raises(ServeError, match="no model does chat"):
        route(request(CHAT), [])
