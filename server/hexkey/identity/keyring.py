"""From what a caller presents to who it is."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from hexkey.errors import Code, ServeError
from hexkey.identity.keys import ADMIN, METRICS, PEPPER_BYTES, KeyRecord, digest, has_form, make
from hexkey.types import ALL, ANYBODY, Caller

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

OPERATOR = "operator"


class Keyring:
    """The keys in force.

    Where keys are not ``required`` a caller without one may use everything but the administration;
    a key that is presented must be good in any case. ``admin_key`` is of this run of the server
    only: whoever can read the file it is written to is the operator.
    """

    def __init__(
        self, records: Iterable[KeyRecord] = (), pepper: bytes = b"", *, required: bool = False
    ) -> None:
        self._own_pepper = secrets.token_bytes(PEPPER_BYTES)
        now = int(time.time())
        self.admin_key, operator = make(self._own_pepper, OPERATOR, (ADMIN,), now=now)
        self._operator = {operator.digest: (_caller(operator), 0)}
        self.required = required
        self._by_digest: dict[str, tuple[Caller, int]] = {}
        self._pepper = pepper
        self.replace(records, pepper, required=required)

    def replace(self, records: Iterable[KeyRecord], pepper: bytes, *, required: bool) -> None:
        """Put other keys in force; calls under way keep what they were let in with."""
        self._pepper, self.required = pepper, required
        self._by_digest = {record.digest: (_caller(record), record.expires) for record in records}

    def identify(self, presented: str) -> Caller:
        """Return who presents a key, which may be empty; ``ServeError`` UNAUTHENTICATED.

        A key is hashed before it is looked up, so how long that takes tells nothing about keys.
        """
        if not presented:
            if self.required:
                raise _refused("an API key is needed; send it as: Authorization: Bearer KEY")
            return ANYBODY
        if not has_form(presented):
            if self.required:
                raise _refused("this is not an API key of this server")
            # Clients that cannot do without a key send any word, such as "none".
            return ANYBODY
        nobody = (None, 0)
        caller, expires = self._by_digest.get(digest(self._pepper, presented), nobody)
        if caller is None:
            caller, _ = self._operator.get(digest(self._own_pepper, presented), nobody)
        if caller is None:
            raise _refused("this API key is not known here")
        if expires and time.time() >= expires:
            raise _refused("this API key has expired")
        return caller


def ensure_task(caller: Caller, task: str) -> None:
    """Return if a caller may use a task; ``ServeError`` PERMISSION_DENIED if not."""
    if not _covers(caller.tasks, task):
        raise _forbidden(f"this API key is not for the task {task}", "TASK_FORBIDDEN")


def ensure_any_task(caller: Caller, tasks: Sequence[str]) -> None:
    """Return if a caller may use one of several tasks; ``ServeError`` PERMISSION_DENIED if not."""
    if not any(_covers(caller.tasks, task) for task in tasks):
        ensure_task(caller, tasks[0])


def ensure_model(caller: Caller, model: str) -> None:
    """Return if a caller may use a model; ``ServeError`` PERMISSION_DENIED if not."""
    if not may_use(caller, model):
        raise _forbidden(f"this API key is not for the model {model}", "MODEL_FORBIDDEN")


def ensure_metrics(caller: Caller) -> None:
    """Return if a caller may read metrics, as one without a key may where none is needed."""
    if caller.key and not caller.metrics:
        raise _forbidden("this API key does not have the scope metrics", "METRICS_FORBIDDEN")


def ensure_admin(caller: Caller) -> None:
    """Return if a caller may administer; ``ServeError`` if not."""
    if caller.admin:
        return
    if not caller.key:
        raise _refused("this needs an API key with the scope admin")
    raise _forbidden("this API key does not have the scope admin", "ADMIN_ONLY")


def may_use(caller: Caller, model: str) -> bool:
    """Whether a caller's key covers a model."""
    return _covers(caller.models, model)


def _covers(names: frozenset[str], name: str) -> bool:
    return ALL in names or name in names


def _caller(record: KeyRecord) -> Caller:
    return Caller(
        tenant=record.tenant,
        key=record.id,
        # One that is for Prometheus lies in its configuration, and runs nothing.
        tasks=frozenset() if set(record.scopes) == {METRICS} else _named(record.scopes, "task:"),
        models=_named(record.scopes, "model:"),
        metrics=not record.scopes or not {ADMIN, METRICS}.isdisjoint(record.scopes),
        admin=ADMIN in record.scopes,
    )


def _named(scopes: tuple[str, ...], kind: str) -> frozenset[str]:
    """Return the names of a kind of scope; a key without such a scope is for all."""
    return frozenset(one.removeprefix(kind) for one in scopes if one.startswith(kind)) or frozenset(
        {ALL}
    )


def _refused(message: str) -> ServeError:
    return ServeError(Code.UNAUTHENTICATED, message, reason="API_KEY_INVALID")


def _forbidden(message: str, reason: str) -> ServeError:
    return ServeError(Code.PERMISSION_DENIED, message, reason=reason)
