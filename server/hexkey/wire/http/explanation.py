"""A plan as ``POST /v1/route`` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexkey.wire.http.schemas import (
    ExpectedAnswer,
    LanguagePair,
    LegAnswer,
    RouteAnswer,
    RouteOption,
    VerdictAnswer,
)

if TYPE_CHECKING:
    from hexkey.routing import Estimate, Pair, Plan

PICO = 1e12


def explanation(plan: Plan) -> RouteAnswer:
    """Return a plan with all that it says."""
    answer = RouteAnswer(
        model=plan.model if plan.routes else "",
        pair=_pair(plan.pair) if plan.routes else None,
        reason=plan.reason.value,
        routes=[
            RouteOption(
                [LegAnswer(leg.model, _pair(leg.pair)) for leg in route.legs],
                _expected(route.expected),
            )
            for route in plan.routes
        ],
        verdicts=[
            VerdictAnswer(
                model=one.model,
                kept=one.kept,
                reason=one.reason,
                up=one.live.up,
                ejected=one.live.ejected,
                in_flight=one.live.in_flight if one.open else None,
                waiting=one.live.waiting if one.open else None,
                measured=one.live.measured if one.open else None,
                expected=_expected(one.expected),
            )
            for one in plan.verdicts
        ],
        refusal=plan.refusal.message if plan.refusal else None,
    )
    if plan.detected is not None:
        answer.detected_source = plan.detected.language
    return answer


def _pair(pair: Pair | None) -> LanguagePair | None:
    return LanguagePair(pair.source, pair.target) if pair else None


def _expected(of: Estimate | None) -> ExpectedAnswer | None:
    return ExpectedAnswer(of.pico / PICO, of.device_s, of.latency_s * 1000) if of else None
