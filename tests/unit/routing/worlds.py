"""Requests, catalogs and states of engines, as hypothesis makes them up."""

from __future__ import annotations

from hypothesis import strategies as st

from hexkey.routing import (
    ANY,
    AUTO,
    Candidate,
    Live,
    Pair,
    Policy,
    PolicyName,
    Rules,
)
from hexkey.types import Constraints, Payload, Request, Task
from tests.unit.requests import AUTOCOMPLETE, CHAT, translate

CODES = ("en", "pt", "pt-BR", "pt-PT", "de", "zh", "zh-Hant")
NAMES = tuple("abcdef")
LABELS = st.dictionaries(st.sampled_from(["region", "tier"]), st.sampled_from(["eu", "us"]))
ASKED = st.sampled_from(
    [*CODES, "PT_br", "EN_us", "zh-TW", "xx", "", AUTO, "Auto", "-", "_pt", "\u0131"]
)
PAYLOADS: st.SearchStrategy[Payload] = st.one_of(
    st.just(CHAT),
    st.just(AUTOCOMPLETE),
    st.builds(translate, target=ASKED, source=ASKED),
)
LIVE = st.builds(
    Live,
    up=st.booleans(),
    ejected=st.booleans(),
    in_flight=st.integers(0, 3),
    measured=st.integers(0, 5),
    units=st.floats(1, 100),
    pico_per_unit=st.floats(0, 1e6),
    device_s_per_unit=st.floats(0, 1),
    fixed_s=st.floats(0, 1),
    s_per_unit=st.floats(0, 1),
    spread=st.floats(1, 3),
)
RULES = st.builds(
    Rules,
    st.dictionaries(
        st.sampled_from(Task),
        st.builds(
            Policy,
            st.sampled_from(PolicyName),
            st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9)),
            st.sampled_from(NAMES),
        ),
    ),
    pivot=st.booleans(),
)
NAMED = st.sampled_from(["", "", "", AUTO, *Task, *NAMES, "unknown", "x" * 500, "\n"])
CONSTRAINTS = st.builds(
    Constraints,
    max_cost_pico=st.none() | st.integers(0, 10**7),
    max_latency_s=st.none() | st.floats(0.01, 5),
    labels=LABELS,
)


@st.composite
def catalogs(draw: st.DrawFn) -> list[Candidate]:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5))
    side = st.sampled_from([*CODES, ANY])
    made = []
    for name in names:
        tasks = draw(st.frozensets(st.sampled_from(Task), min_size=1))
        some: list[Pair] = []
        spoken: list[str] = []
        if Task.TRANSLATE in tasks:
            some = draw(st.lists(st.builds(Pair, side, side), min_size=1, max_size=4))
            spoken = draw(st.lists(st.sampled_from(CODES), unique=True, max_size=4))
        made.append(Candidate(name, tasks, tuple(some), tuple(spoken), draw(LABELS)))
    return made


WORLDS = st.fixed_dictionaries(dict.fromkeys(NAMES, LIVE))


def asked(payload: Payload, model: str, constraints: Constraints, number: int) -> Request:
    return Request(
        id=f"r{number}", payload=payload, protocol="http", model=model, constraints=constraints
    )


REQUESTS = st.builds(asked, PAYLOADS, NAMED, CONSTRAINTS, st.integers(0, 99))
