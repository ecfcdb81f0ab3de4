"""Properties of the router: what it plans can be done, and what it refuses cannot."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hexkey.errors import Code
from hexkey.routing import (
    ANY,
    AUTO,
    Candidate,
    Live,
    Pair,
    Rules,
    decide,
    language,
    languages,
    normal,
    pairs,
    pivots,
    sources,
)
from hexkey.routing.languages import closeness
from hexkey.routing.ways import pivoted, straight
from hexkey.types import Request, Task, Translate
from tests.unit.requests import request, translate
from tests.unit.routing.worlds import CODES, REQUESTS, RULES, WORLDS, catalogs


def serves(model: Candidate, pair: Pair) -> bool:
    """Whether a leg is one of the model's directions, found without the router's own matching."""
    spelled = {ANY: set(model.languages)} if model.languages else {}
    for one in model.pairs:
        fits = [
            offered == code or code in spelled.get(offered, ()) or (offered == ANY and not spelled)
            for offered, code in ((one.source, pair.source), (one.target, pair.target))
        ]
        if all(fits):
            return True
    return False


@given(REQUESTS, catalogs(), WORLDS, RULES)
def test_every_route_of_a_plan_can_be_gone(
    wanted: Request, catalog: list[Candidate], world: dict[str, Live], rules: Rules
) -> None:
    plan = decide(wanted, catalog, world.__getitem__, rules)
    assert bool(plan.routes) is (plan.refusal is None)
    assert [one.model for one in plan.verdicts] == [one.name for one in catalog]
    assert all(one.reason for one in plan.verdicts)
    used = {leg.model for one in plan.routes for leg in one.legs}
    assert {one.model for one in plan.verdicts if one.kept} == used
    models = {one.name: one for one in catalog}
    for one in plan.routes:
        assert 1 <= len(one.legs) <= (2 if rules.pivot else 1)
        for leg in one.legs:
            model = models[leg.model]
            assert wanted.task in model.tasks
            assert wanted.constraints.labels.items() <= model.labels.items()
            assert wanted.model in {"", AUTO, *Task, model.name}
        if not isinstance(wanted.payload, Translate):
            assert one.pair is None
            continue
        assert one.pair is not None
        assert all(leg.pair and serves(models[leg.model], leg.pair) for leg in one.legs)
        assert closeness(normal(wanted.payload.target), one.pair.target) is not None
        if source := normal(wanted.payload.source):
            assert closeness(source, one.pair.source) is not None
        if len(one.legs) > 1:
            assert language(one.pair.source) != language(one.pair.target)
            into, out_of = (leg.pair for leg in one.legs)
            assert into is not None
            assert out_of is not None
            assert closeness(into.target, out_of.source) is not None
            assert ANY not in {into.target, out_of.source}


@given(REQUESTS, catalogs(), WORLDS, RULES)
def test_a_plan_depends_on_nothing_else_and_orders_by_what_matters_first(
    wanted: Request, catalog: list[Candidate], world: dict[str, Live], rules: Rules
) -> None:
    plan = decide(wanted, catalog, world.__getitem__, rules)
    assert plan.routes == decide(wanted, catalog, world.__getitem__, rules).routes
    tiers = [
        (not all(world[leg.model].serving for leg in one.legs), len(one.legs), one.distance)
        for one in plan.routes
    ]
    assert tiers == sorted(tiers)
    for one in plan.routes:
        expected = one.expected
        if expected is not None and wanted.constraints.max_cost_pico is not None:
            assert expected.pico <= wanted.constraints.max_cost_pico
        if expected is not None and wanted.constraints.max_latency_s is not None:
            assert expected.latency_s <= wanted.constraints.max_latency_s


@given(REQUESTS, catalogs(), WORLDS)
def test_nobody_is_refused_for_the_state_of_an_engine(
    wanted: Request, catalog: list[Candidate], world: dict[str, Live]
) -> None:
    calm = decide(wanted, catalog, lambda _: Live())
    if wanted.constraints.max_cost_pico is wanted.constraints.max_latency_s is None:
        ill = decide(wanted, catalog, world.__getitem__)
        assert {*map(str, ill.routes)} == {*map(str, calm.routes)}


@given(REQUESTS, catalogs())
def test_what_is_refused_could_not_be_served_and_the_error_says_what_could(
    wanted: Request, catalog: list[Candidate]
) -> None:
    error = decide(wanted, catalog).refusal
    if error is None:
        return
    possible = [
        one
        for one in catalog
        if wanted.model in {"", AUTO, *Task, one.name}
        and wanted.task in one.tasks
        and wanted.constraints.labels.items() <= one.labels.items()
    ]
    assert not possible or isinstance(wanted.payload, Translate)
    if isinstance(wanted.payload, Translate):
        source, target = normal(wanted.payload.source), normal(wanted.payload.target)
        assert not any(Pair(source, target) in one.pairs for one in possible)
    assert (error.code, error.reason) in {
        (Code.NOT_FOUND, "MODEL_NOT_FOUND"),
        (Code.NOT_FOUND, "PAIR_NOT_FOUND"),
        (Code.NOT_FOUND, "TASK_NOT_FOUND"),
        (Code.NOT_FOUND, "CONSTRAINTS_NOT_MET"),
        (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
    }
    if error.reason == "MODEL_NOT_FOUND":
        assert error.param == "model"
        assert all(one.name in error.message for one in catalog)
    if error.reason == "PAIR_NOT_FOUND":
        assert all(str(pair) in error.message for pair in pairs(possible)[:50])
    if error.reason == "TASK_NOT_FOUND":
        assert all(task in error.message for one in catalog for task in one.tasks)
    assert len(error.message) < 2000
    assert "\x1b" not in error.message


@given(catalogs(), st.sampled_from(CODES))
def test_what_is_told_of_a_whole_catalog_is_what_its_ways_are(
    catalog: list[Candidate], target: str
) -> None:
    direct = [pair for one in catalog for pair in one.directions()]
    assert pairs(catalog) == tuple(sorted(set(direct), key=str))
    assert pivots(catalog) == tuple(
        Pair(source, to)
        for source in sorted({pair.source for pair in direct} - {ANY})
        for to in sorted({pair.target for pair in direct} - {ANY})
        if language(source) != language(to)
        and not straight(catalog, source, to)
        and pivoted(catalog, source, to)
    )
    into = [match.pair.source for one in catalog for match in one.matches(None, target)]
    through = [
        match.pair.source
        for code in into
        if language(code) != language(target)
        for one in catalog
        for match in one.matches(None, code)
        if language(match.pair.source) not in {language(code), language(target)}
    ]
    for found, pivot in ((into, False), (into + through, True)):
        plain = set(map(language, found)) - {language(target)}
        among = sources(catalog, target, pivot=pivot)
        assert among is None if ANY in found else set(among or ()) - {language(target)} == plain
    spoken = {language(one.source) for one in direct}
    among = languages(catalog)
    assert among is None if ANY in spoken else set(among or ()) == spoken


@given(catalogs())
def test_what_coverage_tells_is_what_is_served(catalog: list[Candidate]) -> None:
    translators = [one for one in catalog if Task.TRANSLATE in one.tasks]
    for pair in [*pairs(translators), *pivots(translators)]:
        source, target = (code if code != ANY else "fr" for code in (pair.source, pair.target))
        if language(source) == language(target) and ANY in {pair.source, pair.target}:
            continue
        plan = decide(request(translate("x", target, source)), translators)
        assert plan.routes, pair
        assert (len(plan.routes[0].legs) > 1) is (pair not in pairs(translators)) or ANY in {
            *str(pairs(translators))
        }
        among = sources(translators, target, pivot=True)
        plain = language(source)
        assert among is None or plain in among or plain == language(target)
