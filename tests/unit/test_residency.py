"""Who makes room for whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.errors import Code, ServeError
from hexkey.residency import GIB, Resident, make_room


def resident(
    name: str, gib: float, *, used: float, users: int = 0, pinned: bool = False
) -> Resident:
    return Resident(name, int(gib * GIB), pinned=pinned, users=users, last_used=used)


def test_nobody_leaves_where_there_is_room() -> None:
    assert make_room("new", GIB, 3 * GIB, [resident("a", 2, used=1)]) == ()


def test_the_longest_unused_leave_first_and_no_more_than_needed() -> None:
    here = [resident("a", 1, used=3), resident("b", 1, used=1), resident("c", 1, used=2)]
    assert make_room("new", GIB, 3 * GIB, here) == ("b",)
    assert make_room("new", 2 * GIB, 3 * GIB, here) == ("b", "c")


def test_who_cannot_fit_is_told_who_stays_and_why() -> None:
    here = [
        resident("kept", 1, used=1, pinned=True),
        resident("busy", 1, used=2, users=3),
        resident("idle", 1, used=3),
    ]
    with pytest.raises(ServeError) as caught:
        make_room("new", 2 * GIB, 3 * GIB, here)
    assert caught.value.code is Code.UNAVAILABLE
    assert caught.value.reason == "OUT_OF_MEMORY"
    assert caught.value.message == (
        "model 'new' needs 2.00 GiB and 1.00 GiB of 3.00 GiB can be had; "
        "in memory stay: kept (1.00 GiB, pinned), busy (1.00 GiB, in use)"
    )


@given(
    st.lists(
        st.builds(
            Resident,
            st.uuids().map(str),
            st.integers(0, 50),
            st.booleans(),
            st.integers(0, 2),
            st.floats(0, 100),
        ),
        max_size=8,
    ),
    st.integers(0, 100),
    st.integers(0, 200),
)
def test_what_leaves_is_idle_and_enough(here: list[Resident], need: int, budget: int) -> None:
    try:
        gone = make_room("new", need, budget, here)
    except ServeError:
        fixed = sum(one.memory for one in here if one.pinned or one.users)
        assert fixed + need > budget
        return
    left = [one for one in here if one.name not in gone]
    assert sum(one.memory for one in left) + need <= budget
    assert not any(one.pinned or one.users for one in here if one.name in gone)
