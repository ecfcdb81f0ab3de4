"""Who may call this server: the keys in force, kept up to date, and what each tenant has left."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import structlog

from hexkey.errors import ServeError
from hexkey.identity import state
from hexkey.identity.characters import Characters
from hexkey.identity.keyfile import KeyFile, KeyFileError, write_private
from hexkey.identity.keyring import Keyring
from hexkey.identity.quota import NOTHING, Allowance, Quotas

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from hexkey.identity.keys import KeyRecord
    from hexkey.identity.quota import Reservation
    from hexkey.types import Caller

AUTO, ON, OFF = "auto", "on", "off"
WATCH_S = 2.0

log = structlog.get_logger("hexkey.access")


class Access:
    """Keys from a file, in a mode: ``on``, ``off``, or ``auto``, which is on once there was a key.

    So to revoke the last one, or to lose the file under a running server, lets nobody in. Without
    a file nobody needs a key. ``start`` and ``stop`` it once each. ``refused`` is told of whoever
    is not let in.
    """

    def __init__(self, mode: str = OFF, file: KeyFile | None = None) -> None:
        self._mode = mode
        self._file = file
        self._task: asyncio.Task[None] | None = None
        self._admin_path: Path | None = None
        self._read_at = 0.0
        self.refused: Callable[[ServeError], None] = lambda _error: None
        self.quotas = Quotas()
        self._characters = Characters()
        if file is None or mode == OFF:
            self.keyring = Keyring()
            return
        self._read_at = file.changed_at()
        records, pepper = _read(file)
        required = mode == ON or file.path.exists()
        self.keyring = Keyring(records, pepper, required=required)

    def ensure_safe(self, hosts: Sequence[str]) -> None:
        """Return if the server may listen at ``hosts``; ``KeyFileError`` says what to do if not."""
        public = [host for host in hosts if not is_loopback(host)]
        if public and self._mode != OFF and not self.keyring.required:
            raise KeyFileError(
                f"other machines can reach {public[0]}, and there are no API keys; make one with "
                "`hexkey keys create TENANT`, or let anybody in with access.keys: off (--keys off)"
            )

    def identify(self, credential: str) -> Caller:
        """Return who presents an API key, which may be empty; ``ServeError`` UNAUTHENTICATED."""
        try:
            return self.keyring.identify(credential)
        except ServeError as error:
            self.refused(error)
            raise

    def allow(
        self, allowances: dict[str, Allowance], spent: Mapping[str, tuple[int, int]] = NOTHING
    ) -> None:
        """Put these bounds on tenants in force; ``spent`` tells what new ones had spent before."""
        self.quotas.allow(allowances, time.monotonic(), datetime.now(UTC), spent)

    def reserve(
        self, tenant: str, tokens: int, input_tokens: int = 0, older: Reservation | None = None
    ) -> Reservation:
        """Reserve a request of a tenant; ``ServeError`` RESOURCE_EXHAUSTED says when to come."""
        now, utc = time.monotonic(), datetime.now(UTC)
        return self.quotas.reserve(tenant, tokens, now, utc, input_tokens=input_tokens, older=older)

    def concurrent(self, tenant: str) -> int:
        """Return how many requests a tenant may have in work; 0 is any number."""
        return self.quotas.concurrent(tenant)

    def spent(self, before: dict[str, tuple[int, int]]) -> None:
        """Take in what tenants had spent, today and this month, before this server started."""
        for tenant, (today, this_month) in before.items():
            self.quotas.spent(tenant, today, this_month)

    def settle(self, reservation: Reservation, tokens: int, pico: int) -> None:
        """Settle what was reserved for what was used; once."""
        self.quotas.settle(reservation, tokens, pico, time.monotonic(), datetime.now(UTC))

    def translated(self, tenant: str, characters: int = 0) -> int:
        """Count more characters that a tenant had translated; return those of this month, UTC."""
        today = datetime.now(UTC).date()
        self._characters.add(tenant, characters, today)
        return self._characters.of(tenant, today)

    def translated_before(self, before: dict[str, int]) -> None:
        """Take in what tenants had translated this month before this server started."""
        self._characters.add_all(before, datetime.now(UTC).date())

    async def start(self, port: int) -> None:
        """Write the operator's key of this run and take changes of the key file in from now on."""
        path = state.admin_key_path(port)
        try:
            await asyncio.to_thread(write_private, path, self.keyring.admin_key.encode())
            self._admin_path = path
        except OSError as error:
            log.warning("no operator's key is written", path=str(path), why=error.strerror)
        if self._file is not None and self._mode != OFF:
            self._task = asyncio.create_task(self._watch(self._file), name="keys")

    async def stop(self) -> None:
        """End the watch and take the operator's key away."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        path, self._admin_path = self._admin_path, None
        if path is not None:
            path.unlink(missing_ok=True)

    async def _watch(self, file: KeyFile) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            changed_at = await asyncio.to_thread(file.changed_at)
            if changed_at == self._read_at:
                continue
            self._read_at = changed_at
            try:
                records, pepper = await asyncio.to_thread(_read, file)
            except (KeyFileError, OSError) as error:
                # The keys of before stay: a slip of an editor must not lock everybody out or in.
                log.error("the keys are not taken in", why=str(error))
                continue
            self.keyring.replace(records, pepper, required=True)
            log.info("keys", count=len(records))


def _read(file: KeyFile) -> tuple[list[KeyRecord], bytes]:
    """Return the keys and their pepper, which is made where keys are: looking leaves no trace."""
    records = file.read()
    return records, file.pepper() if records else b""


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host's name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
