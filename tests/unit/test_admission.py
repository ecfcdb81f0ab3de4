"""Admission: never more permits out than the bound, and every one comes back."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from hexkey.admission import Gate, Permit
from hexkey.errors import Code, ServeError

LIMITS = {"small": 1, "large": 3}
MODELS = st.sampled_from(list(LIMITS))


class Admitting(RuleBasedStateMachine):
    """Permits taken and given back in any order, against a plain count."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(LIMITS)
        self.expected = dict.fromkeys(LIMITS, 0)

    permits = Bundle("permits")

    @rule(target=permits, model=MODELS, deadline=st.none() | st.floats(0, 10))
    def admit(self, model: str, deadline: float | None) -> object:
        full = self.expected[model] == LIMITS[model]
        late = deadline is not None and deadline <= 5
        if full or late:
            with pytest.raises(ServeError) as caught:
                self.gate.admit(model, deadline, 5)
            assert caught.value.code is (Code.DEADLINE_EXCEEDED if late else Code.UNAVAILABLE)
            assert late or (caught.value.retry_after_s or 0) > 0
            return multiple()
        permit = self.gate.admit(model, deadline, 5)
        self.expected[model] += 1
        assert permit.model == model
        return permit

    @rule(permit=consumes(permits), fails=st.booleans())
    def leave(self, permit: Permit, fails: bool) -> None:  # noqa: FBT001 - hypothesis names it
        if fails:
            with pytest.raises(RuntimeError), permit:
                raise RuntimeError
        else:
            with permit as entered:
                assert entered is permit
        self.expected[permit.model] -= 1

    @invariant()
    def as_counted(self) -> None:
        for model, limit in LIMITS.items():
            assert 0 <= self.gate.out(model) == self.expected[model] <= limit


TestAdmitting = Admitting.TestCase


def test_models_do_not_share_permits() -> None:
    gate = Gate(LIMITS)
    with gate.admit("small", None, 0), ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(gate.admit("large", None, 0))
        with pytest.raises(ServeError, match="'large' has 3 requests in work") as caught:
            gate.admit("large", None, 0)
        assert caught.value.reason == "OVERLOADED"
    assert gate.out("large") == gate.out("small") == 0


def test_a_deadline_of_this_moment_has_passed() -> None:
    gate = Gate(LIMITS)
    with pytest.raises(ServeError) as caught:
        gate.admit("small", 5.0, 5.0)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert gate.out("small") == 0
    with gate.admit("small", 5.1, 5.0):
        assert gate.out("small") == 1
