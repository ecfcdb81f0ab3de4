"""What the page shows: two readings and the time between them, as JSON.

Shares and prices are of the time between the readings; totals are since the server started. What
cannot be said (a percentile of no requests, the cost of none) is null, never 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from hexkey.circuit import CircuitState
from hexkey.metering import Outcome
from hexkey.metrics import DURATION_S, PICO, TTFT_S
from hexkey.vitals.quantile import quantile
from hexkey.vitals.reading import KINDS, Places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from enum import StrEnum

    from hexkey.pool import Pool
    from hexkey.vitals.reading import Reading

HOUR_S = 3600.0
FAILED = {Outcome.ERROR.value, Outcome.REJECTED.value}
CALLERS = {Outcome.INVALID.value, Outcome.CANCELLED.value, Outcome.SUPERSEDED.value}


class Point(Struct):
    """One second of the charts: requests and money per time, milliseconds by task."""

    at_ms: int
    rate: dict[str, float]
    spend: dict[str, float]
    latency: dict[str, tuple[float, float, float]]


class TaskView(Struct):
    """One task: requests since the start by outcome and per second now, percentiles in seconds."""

    task: str
    outcomes: dict[str, int]
    rate: float
    p50: float | None
    p95: float | None
    p99: float | None
    first_p95: float | None


class ReferenceView(Struct):
    """What the traffic since the start would have cost elsewhere, less the whole bill."""

    name: str
    counterfactual: float
    savings: float


class DeviceView(Struct):
    """One part of the machine: its bill since the start and the share of it that was idle."""

    name: str
    price_per_hour: float
    bill: float
    kinds: dict[str, float]
    idle_share: float | None


class CostView(Struct):
    """Money: ``bill`` and ``kinds`` since the start, the rest of the time between the readings.

    ``idle_share`` is of the bill, ``waste_share`` of what settled requests cost. Without a price
    both are of the machine's time.
    """

    currency: str
    price_per_hour: float
    bill: float
    kinds: dict[str, float]
    per_thousand: float | None
    idle_share: float | None
    waste_share: float | None
    references: list[ReferenceView]
    devices: list[DeviceView]


class ModelView(Struct):
    """One model: its state, its work now and since the start, and what that cost.

    One that is not ``trusted`` failed lately, and others that can do the same go first.
    """

    name: str
    device: str
    state: str
    trusted: bool
    tasks: list[str]
    pairs: list[str]
    requests: int
    restarts: int
    in_flight: int
    running: int
    tokens_per_second: float
    busy_share: float | None
    cost: float | None


class Snapshot(Struct):
    """Everything on the page at ``at_ms`` of Unix time; ``window_s`` lie between the readings.

    ``without_costs`` leaves out all that is money, for who may not see it.
    """

    at_ms: int
    uptime_s: float
    window_s: float
    rate: float
    total: int
    failed_share: float | None
    tasks: list[TaskView]
    cost: CostView | None
    models: list[ModelView]
    point: Point


def without_costs(snapshot: Snapshot) -> Snapshot:
    """Return what is left of a snapshot for those who may not see costs."""
    return replace(
        snapshot,
        cost=None,
        models=[replace(one, cost=None) for one in snapshot.models],
        point=without_spend(snapshot.point),
    )


def without_spend(point: Point) -> Point:
    """Return a point of the charts without its money."""
    return replace(point, spend={})


def tasks(old: Reading, new: Reading) -> list[TaskView]:
    """Return one view for each task that was ever asked for, in their order."""
    views = []
    for task in sorted({task for task, _ in new.outcomes}):
        duration = _less(new.duration.get(task), old.duration.get(task), DURATION_S)
        first = _less(new.first_token.get(task), old.first_token.get(task), TTFT_S)
        p50, p95, p99 = (quantile(q, DURATION_S, duration) for q in (0.5, 0.95, 0.99))
        views.append(
            TaskView(
                task=task,
                outcomes={key[1]: int(n) for key, n in new.outcomes.items() if key[0] == task},
                rate=(_total(new, task) - _total(old, task)) / _seconds(old, new),
                p50=p50,
                p95=p95,
                p99=p99,
                first_p95=quantile(0.95, TTFT_S, first),
            )
        )
    return views


def cost(old: Reading, new: Reading, pool: Pool) -> CostView:
    """Return where the money went."""
    billing = pool.billing
    money, before = new.money, old.money
    requests = sum(new.outcomes.values()) - sum(old.outcomes.values())
    spent = money.bill - before.bill
    # Where there is no price there still is time to be shared.
    now, then = (money, before) if billing.rate else (new.time, old.time)
    settled = now.settled - then.settled
    bill = money.bill / PICO
    return CostView(
        currency=billing.currency,
        price_per_hour=billing.rate / PICO,
        bill=bill,
        kinds={kind: amount / PICO for kind, amount in money.kinds.items()},
        per_thousand=spent / PICO / requests * 1000 if requests > 0 else None,
        idle_share=_idle_share(then, now),
        waste_share=_share(now.wasted - then.wasted, settled),
        references=[
            ReferenceView(one.name, amount, amount - bill)
            for one in billing.references
            for amount in (new.counterfactual.get(one.name, 0.0),)
        ],
        devices=[
            DeviceView(
                name=name,
                price_per_hour=billing.devices[name].rate / PICO,
                bill=paid.bill / PICO,
                kinds={kind: amount / PICO for kind, amount in paid.kinds.items()},
                idle_share=_idle_share(_time(old, name), took),
            )
            for name, (paid, took) in new.devices.items()
        ],
    )


def models(
    old: Reading,
    new: Reading,
    pool: Pool,
    load: dict[str, tuple[int, int]],
    circuits: Mapping[str, StrEnum],
) -> list[ModelView]:
    """Return one view for each model; ``load`` is its requests in flight and in the engine."""
    states = pool.states()
    # Read once: a reload may come while this thread looks.
    catalog = pool.catalog
    places = {one.name: pool.billing.place(one.name) for one in catalog}
    elapsed = {name: time.bill - _time(old, name).bill for name, (_, time) in new.devices.items()}
    return [
        ModelView(
            name=one.name,
            device=places[one.name],
            state=str(states.get(one.name, "stopped")),
            trusted=circuits.get(one.name, CircuitState.CLOSED) is CircuitState.CLOSED,
            tasks=sorted(one.tasks),
            pairs=[f"{pair.source}-{pair.target}" for pair in one.pairs],
            requests=int(new.model_requests.get(one.name, 0)),
            restarts=int(new.restarts.get(one.name, 0)),
            in_flight=load.get(one.name, (0, 0))[0],
            running=load.get(one.name, (0, 0))[1],
            tokens_per_second=_per_second(old, new, one.name),
            busy_share=_share(
                new.time.models.get(one.name, 0) - old.time.models.get(one.name, 0),
                elapsed[places[one.name]],
            ),
            cost=new.money.models.get(one.name, 0) / PICO,
        )
        for one in catalog
    ]


def point(at_ms: int, old: Reading, new: Reading, views: Sequence[TaskView]) -> Point:
    """Return a point of the charts; percentiles are those of ``views``, over their window."""
    per_second = 1 / _seconds(old, new)
    return Point(
        at_ms=at_ms,
        rate={
            one.task: (_total(new, one.task) - _total(old, one.task)) * per_second for one in views
        },
        spend={
            kind: _grown(new.money, old.money, kind) / PICO * per_second * HOUR_S for kind in KINDS
        },
        latency={
            one.task: (one.p50 * 1e3, one.p95 * 1e3, one.p99 * 1e3)
            for one in views
            if one.p50 is not None and one.p95 is not None and one.p99 is not None
        },
    )


def failed_share(old: Reading, new: Reading) -> float | None:
    """Return the share of requests that failed, of those that callers neither spoilt nor left.

    The same as the recorded ``task:hexkey_errors:ratio_rate5m``, over all tasks.
    """
    failed, counted = 0.0, 0.0
    for (task, outcome), count in new.outcomes.items():
        more = count - old.outcomes.get((task, outcome), 0.0)
        failed += more if outcome in FAILED else 0.0
        counted += 0.0 if outcome in CALLERS else more
    return _share(failed, counted)


def _total(reading: Reading, task: str) -> float:
    return sum(count for (one, _), count in reading.outcomes.items() if one == task)


def _grown(new: Places, old: Places, kind: str) -> int:
    return new.kinds.get(kind, 0) - old.kinds.get(kind, 0)


def _time(reading: Reading, device: str) -> Places:
    return reading.devices[device][1] if device in reading.devices else Places()


def _idle_share(old: Places, new: Places) -> float | None:
    idle = sum(_grown(new, old, kind) for kind in ("idle", "unallocated"))
    return _share(idle, new.bill - old.bill)


def _less(new: list[float] | None, old: list[float] | None, edges: Sequence[float]) -> list[float]:
    zeros = [0.0] * (len(edges) + 1)
    return [a - b for a, b in zip(new or zeros, old or zeros, strict=True)]


def _per_second(old: Reading, new: Reading, model: str) -> float:
    made = new.model_tokens.get(model, 0.0) - old.model_tokens.get(model, 0.0)
    return made / _seconds(old, new)


def _seconds(old: Reading, new: Reading) -> float:
    return max(new.at_ns - old.at_ns, 1) / 1e9


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
