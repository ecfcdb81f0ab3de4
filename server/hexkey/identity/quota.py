"""How much a tenant may use: rates by token buckets, a number at once, money by day and month.

Pure: times come in as arguments, monotonic seconds for rates, UTC for budgets. A request
reserves what it may take at most, and settles for what it took; the rest goes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from hexkey.errors import Code, ServeError

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE_S = 60.0
NOTHING: Mapping[str, tuple[int, int]] = {}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one tenant may use; 0 is no bound. Budgets are in pico-units of the currency."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrent: int = 0
    budget_per_day: int = 0
    budget_per_month: int = 0

    @property
    def budgeted(self) -> bool:
        """Whether money is bounded."""
        return bool(self.budget_per_day or self.budget_per_month)


@dataclass(slots=True)
class Bucket:
    """A token bucket that holds a minute's worth; its level may fall below 0, as a debt."""

    per_minute: int
    level: float = 0.0
    at: float = 0.0

    def wait_s(self, amount: float, now: float) -> float:
        """Return the seconds until ``amount`` is there; more than it can hold is never asked."""
        if not self.per_minute:
            return 0.0
        self._fill(now)
        missing = min(amount, self.per_minute) - self.level
        return max(0.0, missing) * MINUTE_S / self.per_minute

    def take(self, amount: float, now: float) -> None:
        """Take ``amount``; a negative one gives back, never above a full bucket."""
        if self.per_minute:
            self._fill(now)
            self.level = min(self.level - amount, float(self.per_minute))

    def bound(self, per_minute: int, now: float) -> None:
        """Hold this much from now on; what was used stays used."""
        self._fill(now)
        self.level = min(self.level, per_minute) if self.per_minute else float(per_minute)
        self.per_minute = per_minute

    def _fill(self, now: float) -> None:
        gone = max(0.0, now - self.at)
        self.level = min(self.level + gone * self.per_minute / MINUTE_S, float(self.per_minute))
        self.at = max(self.at, now)


@dataclass(slots=True)
class Budget:
    """Money spent in the current day and month, UTC, in pico-units."""

    day: date
    spent_today: int = 0
    spent_this_month: int = 0

    def turn(self, today: date) -> None:
        """Begin a new day, and month, where one has begun; a clock set back changes nothing."""
        if today <= self.day:
            return
        if (today.year, today.month) != (self.day.year, self.day.month):
            self.spent_this_month = 0
        self.day, self.spent_today = today, 0


@dataclass(slots=True)
class _Account:
    budget: Budget
    requests: Bucket
    tokens: Bucket
    allowance: Allowance = Allowance()
    running: int = 0


@dataclass(slots=True)
class Reservation:
    """What one request holds until it settles, in the account that it was reserved in.

    Of its ``tokens``, ``input_tokens`` are there from the start. ``placed`` says that it counts
    among its tenant's requests in work.
    """

    tokens: int = 0
    input_tokens: int = 0
    account: _Account | None = None
    placed: bool = False

    def leave(self) -> None:
        """Give the place back; once counts."""
        if self.account is not None and self.placed:
            self.account.running -= 1
            self.placed = False


@dataclass(slots=True)
class Quotas:
    """The accounts of the tenants that have an allowance; all others are unbounded."""

    _accounts: dict[str, _Account] = field(default_factory=dict)

    def allow(
        self,
        allowances: dict[str, Allowance],
        now: float,
        utc: datetime,
        spent: Mapping[str, tuple[int, int]] = NOTHING,
    ) -> None:
        """Put these allowances in force; a tenant that stays keeps what it has used.

        ``spent`` is what those that are new had spent before, today and this month.
        """
        kept, self._accounts = self._accounts, {}
        for tenant, allowance in allowances.items():
            account = kept.get(tenant) or _Account(
                Budget(utc.date(), *spent.get(tenant, (0, 0))), Bucket(0, at=now), Bucket(0, at=now)
            )
            account.allowance = allowance
            account.requests.bound(allowance.requests_per_minute, now)
            account.tokens.bound(allowance.tokens_per_minute, now)
            self._accounts[tenant] = account

    def reserve(
        self,
        tenant: str,
        tokens: int,
        now: float,
        utc: datetime,
        *,
        input_tokens: int = 0,
        older: Reservation | None = None,
    ) -> Reservation:
        """Reserve a request of at most ``tokens``; ``ServeError`` RESOURCE_EXHAUSTED and when.

        It takes the place of an ``older`` one that it is about to end.
        """
        account = self._accounts.get(tenant)
        if account is None:
            return Reservation(tokens, input_tokens)
        allowance = account.allowance
        _ensure_budget(account, utc)
        leaves = older is not None and older.placed and older.account is account
        if allowance.concurrent and account.running - leaves >= allowance.concurrent:
            raise _exhausted(
                f"tenant {tenant!r} has {account.running} requests in work, as many as it may",
                "CONCURRENCY_EXHAUSTED",
                1.0,
            )
        for bucket, amount, what in (
            (account.requests, 1, "requests"),
            (account.tokens, tokens, "tokens"),
        ):
            wait_s = bucket.wait_s(amount, now)
            if wait_s > 0:
                raise _exhausted(
                    f"tenant {tenant!r} has used its {bucket.per_minute} {what} per minute",
                    f"{what.upper()}_EXHAUSTED",
                    wait_s,
                )
        account.requests.take(1, now)
        account.tokens.take(tokens, now)
        account.running += 1
        if older is not None and leaves:
            older.leave()
        return Reservation(tokens, input_tokens, account, placed=True)

    def settle(
        self, reservation: Reservation, tokens: int, pico: int, now: float, utc: datetime
    ) -> None:
        """Settle a reservation, once, for what the request really took."""
        account = reservation.account
        if account is None:
            return
        reservation.leave()
        account.tokens.take(tokens - reservation.tokens, now)
        account.budget.turn(utc.date())
        account.budget.spent_today += pico
        account.budget.spent_this_month += pico

    def concurrent(self, tenant: str) -> int:
        """Return how many requests a tenant may have in work; 0 is any number."""
        account = self._accounts.get(tenant)
        return account.allowance.concurrent if account is not None else 0

    def spent(self, tenant: str, today: int, this_month: int) -> None:
        """Tell what a tenant had spent before this server started."""
        if tenant in self._accounts:
            budget = self._accounts[tenant].budget
            budget.spent_today += today
            budget.spent_this_month += this_month


def _ensure_budget(account: _Account, utc: datetime) -> None:
    budget, allowance, today = account.budget, account.allowance, utc.date()
    budget.turn(today)
    next_month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    for spent, bound, period, renewed in (
        (budget.spent_this_month, allowance.budget_per_month, "month", next_month),
        (budget.spent_today, allowance.budget_per_day, "day", today + timedelta(days=1)),
    ):
        if bound and spent >= bound:
            wait = datetime.combine(renewed, time(), utc.tzinfo) - utc
            raise _exhausted(
                f"the budget of this {period} is spent; it is renewed on {renewed} at 0:00 UTC",
                "BUDGET_EXHAUSTED",
                wait.total_seconds(),
            )


def _exhausted(message: str, reason: str, retry_after_s: float) -> ServeError:
    return ServeError(Code.RESOURCE_EXHAUSTED, message, reason=reason, retry_after_s=retry_after_s)
