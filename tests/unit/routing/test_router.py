"""The router by example: variants, languages between, labels, errors that say what there is."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hexkey.errors import Code, ServeError
from hexkey.routing import (
    ANY,
    Candidate,
    Live,
    Pair,
    Plan,
    Reason,
    Rules,
    decide,
    language,
    remarks,
    route,
    shorten,
    sources,
)
from hexkey.types import Constraints, Task
from tests.unit.requests import CHAT, request, translate
from tests.unit.routing.worlds import asked

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


def test_a_variant_falls_back_to_its_language_and_the_other_way_round() -> None:
    catalog = [
        Candidate("plain", frozenset({Task.TRANSLATE}), (Pair("en", "pt"), Pair("en", "zh"))),
        Candidate("brazil", frozenset({Task.TRANSLATE}), (Pair("en", "pt-BR"),)),
        Candidate("taiwan", frozenset({Task.TRANSLATE}), (Pair("zh-Hant", "en"),)),
    ]

    def found(source: str, target: str) -> tuple[str, str, tuple[str, ...]]:
        payload = translate("x", target, source)
        plan = route(request(payload), catalog)
        return plan.model, str(plan.pair), remarks(payload, plan.routes[0])

    assert found("en", "pt") == ("plain", "en-pt", ())
    assert found("en", "PT-br") == ("brazil", "en-pt-BR", ())
    assert found("en-GB", "pt-PT") == (
        "plain",
        "en-pt",
        ("en-GB is served as en", "pt-PT is served as pt"),
    )
    assert found("zh", "en") == ("taiwan", "zh-Hant-en", ("zh is served as zh-Hant",))
    assert found("zh_TW", "en")[1:] == ("zh-Hant-en", ("zh-Hant-TW is served as zh-Hant",))
    assert found("en", "zh-HK")[1:] == ("en-zh", ("zh-Hant-HK is served as zh",))
    with pytest.raises(ServeError, match="'zh-CN-en'"):
        route(request(translate("x", "en", "zh-CN")), catalog)


def test_a_language_between_joins_two_models() -> None:
    catalog = [
        Candidate("en-de", frozenset({Task.TRANSLATE}), (Pair("en", "de"),)),
        Candidate("pt-en", frozenset({Task.TRANSLATE}), (Pair("pt", "en"),)),
    ]
    payload = translate("x", "de", "pt")
    plan = route(request(payload), catalog)
    assert [leg.model for leg in plan.routes[0].legs] == ["pt-en", "en-de"]
    assert plan.pair == Pair("pt", "de")
    assert remarks(payload, plan.routes[0]) == (
        "translated in 2 steps: pt-en by pt-en, en-de by en-de",
    )
    with pytest.raises(ServeError, match="no model translates"):
        route(request(payload), catalog, rules=Rules(pivot=False))
    # A model that is named does it alone, and nobody goes round in a circle.
    with pytest.raises(ServeError, match="no model translates"):
        route(request(payload, "en-de"), catalog)
    with pytest.raises(ServeError, match="no model translates"):
        route(request(translate("x", "en", "en")), catalog)


def test_a_straight_way_goes_before_one_of_two_legs() -> None:
    both = [
        Candidate("pt-en", frozenset({Task.TRANSLATE}), (Pair("pt", "en"),)),
        Candidate("en-de", frozenset({Task.TRANSLATE}), (Pair("en", "de"),)),
        Candidate("many", frozenset({Task.TRANSLATE}), (Pair(ANY, ANY),), ("pt", "de", "fr")),
    ]
    plan = route(request(translate("x", "de", "pt")), both)
    assert [str(one) for one in plan.routes] == ["pt-de by many", "pt-en by pt-en, en-de by en-de"]
    assert plan.reason is Reason.ONLY
    plan = route(request(translate("x", "fr", "en")), both)
    assert str(plan.routes[0]) == "en-de by en-de, de-fr by many"


def test_where_no_straight_way_serves_one_around_it_goes_first() -> None:
    both = [
        Candidate("pt-de", frozenset({Task.TRANSLATE}), (Pair("pt", "de"), Pair("pt", "fr"))),
        Candidate("pt-en", frozenset({Task.TRANSLATE}), (Pair("pt", "en"),)),
        Candidate("en-de", frozenset({Task.TRANSLATE}), (Pair("en", "de"),)),
        Candidate("fr-de", frozenset({Task.TRANSLATE}), (Pair("fr", "de"),)),
    ]
    asked_for = request(translate("x", "de", "pt"))
    around = "pt-en by pt-en, en-de by en-de"
    # Not through French: that leg is the very model that is down.
    plan = route(asked_for, both, lambda name: Live(up=name != "pt-de"))
    assert [str(one) for one in plan.routes] == [around, "pt-de by pt-de"]
    plan = route(asked_for, both, lambda name: Live(ejected=name == "pt-de"))
    assert str(plan.routes[0]) == around
    plan = route(asked_for, both, lambda name: Live(up=name != "en-de"))
    assert [str(one) for one in plan.routes] == ["pt-de by pt-de", around]
    assert len(route(asked_for, both, rules=Rules(pivot=False)).routes) == 1


def test_a_star_takes_any_language_and_a_list_bounds_it() -> None:
    into = [Candidate("into", frozenset({Task.TRANSLATE}), (Pair(ANY, "en"),))]
    assert route(request(translate("x", "en", "sw")), into).pair == Pair("sw", "en")
    assert sources(into, "en", pivot=True) is None
    bound = [Candidate("into", frozenset({Task.TRANSLATE}), (Pair(ANY, "en"),), ("sw", "fr"))]
    assert sources(bound, "en", pivot=True) == ("sw", "fr")
    with pytest.raises(ServeError, match="there are: fr-en, sw-en"):
        route(request(translate("x", "en", "de")), bound)


def test_a_catalog_of_hundreds_of_languages_answers_at_once() -> None:
    letters = "abcdefghijklmnop"
    codes = tuple(a + b for a in letters for b in letters)
    couples = [pair for code in codes[:50] for pair in (Pair(code, "en"), Pair("en", code))]
    catalog = [
        Candidate("many", frozenset({Task.TRANSLATE}), (Pair(ANY, ANY),), codes),
        *(Candidate(str(pair), frozenset({Task.TRANSLATE}), (pair,)) for pair in couples),
    ]
    begun = perf_counter()
    for code in codes[:20]:
        assert len(sources(catalog, code, pivot=True) or ()) == len(codes) - 1
        with pytest.raises(ServeError, match=r"no model translates 'en-xx'.* and more$"):
            route(request(translate("x", "xx", "en")), catalog)
    # It was a second for each language, and eight for each refusal.
    assert perf_counter() - begun < 5


def test_a_model_that_is_busy_is_told_apart_from_one_that_is_too_slow() -> None:
    catalog = [Candidate(name, frozenset({Task.CHAT})) for name in ("busy", "slow")]
    measured = Live(measured=9, units=1, s_per_unit=0.1)
    world = {"busy": replace(measured, wait_s=5.0), "slow": replace(measured, s_per_unit=3.0)}
    wanted = asked(CHAT, "", Constraints(max_latency_s=1.0), 1)
    with pytest.raises(ServeError, match=r"soon enough .*busy: it is expected to take") as caught:
        route(wanted, catalog, world.__getitem__)
    error = caught.value
    assert (error.code, error.reason) == (Code.UNAVAILABLE, "OVERLOADED")
    assert error.retry_after_s == pytest.approx(4.1)
    with pytest.raises(ServeError) as caught:
        route(wanted, catalog[1:], world.__getitem__)
    assert (caught.value.code, caught.value.retry_after_s) == (Code.NOT_FOUND, None)


def test_labels_say_where_it_may_run() -> None:
    catalog = [
        Candidate("us", frozenset({Task.CHAT}), labels={"region": "us"}),
        Candidate("eu", frozenset({Task.CHAT}), labels={"region": "eu", "tier": "a"}),
        Candidate("bare", frozenset({Task.CHAT})),
    ]

    def plan(**labels: str) -> Plan:
        wanted = asked(CHAT, "", Constraints(labels=labels), 1)
        return decide(wanted, catalog)

    assert [one.model for one in plan(region="eu").routes] == ["eu"]
    assert [one.model for one in plan(region="eu", tier="a").routes] == ["eu"]
    assert {one.model: one.reason for one in plan(region="eu").verdicts} == {
        "us": "its label region is 'us'",
        "eu": "can serve this",
        "bare": "it has no label region",
    }
    refusal = plan(region="mars").refusal
    assert refusal is not None
    assert refusal.reason == "CONSTRAINTS_NOT_MET"
    assert "its label region is 'us'" in refusal.message


def test_who_serves_now_goes_first_and_who_does_not_stays_as_a_last_resort() -> None:
    catalog = [Candidate(name, frozenset({Task.CHAT})) for name in ("down", "sick", "well")]
    world = {"down": Live(up=False), "sick": Live(ejected=True), "well": Live()}
    plan = decide(request(CHAT), catalog, world.__getitem__)
    assert [one.model for one in plan.routes] == ["well", "down", "sick"]
    assert plan.reason is Reason.CLOSEST
    reasons = [one.reason for one in plan.verdicts]
    assert "down now" in reasons[0]
    assert "failed lately" in reasons[1]


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
