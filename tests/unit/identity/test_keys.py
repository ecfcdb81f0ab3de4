"""Keys: what is made, what is kept, who is let in."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.errors import Code, ServeError
from hexkey.identity import keyring
from hexkey.identity.keyfile import KeyFile, KeyFileError
from hexkey.identity.keyring import Keyring
from hexkey.identity.keys import KeyRecord, digest, has_form, make
from hexkey.types import ANYBODY, Caller

PEPPER = b"p" * 32


def made(*scopes: str, tenant: str = "acme", expires: int = 0) -> tuple[str, KeyRecord]:
    return make(PEPPER, tenant, scopes, now=1, expires=expires)


def code(ring: Keyring, key: str) -> Code:
    with pytest.raises(ServeError) as caught:
        ring.identify(key)
    return caught.value.code


def test_a_key_is_told_once_and_only_its_digest_is_kept() -> None:
    key, record = made("task:translate")
    assert has_form(key)
    assert key.startswith(f"hk_{record.id}_")
    kept = repr(record)
    assert key not in kept
    assert key[12:] not in kept
    assert record.digest == digest(PEPPER, key) != digest(b"q" * 32, key)


@pytest.mark.parametrize("scope", ["", "translate", "task:", "task:a b", "ADMIN", "model:\n", "*"])
def test_a_scope_that_means_nothing_is_refused(scope: str) -> None:
    with pytest.raises(ValueError, match="expected task:NAME or model:NAME"):
        made(scope)


@pytest.mark.parametrize("tenant", ["", "a b", "é", "x" * 65, "../x"])
def test_a_tenant_has_a_plain_name(tenant: str) -> None:
    with pytest.raises(ValueError, match="64 at most"):
        made(tenant=tenant)


def test_a_key_opens_what_its_scopes_say() -> None:
    key, record = made("task:translate", "model:firefox-en-pt")
    caller = Keyring([record], PEPPER, required=True).identify(key)
    assert (caller.tenant, caller.key, caller.admin) == ("acme", record.id, False)
    keyring.ensure_task(caller, "translate")
    keyring.ensure_model(caller, "firefox-en-pt")
    for ensure, name in ((keyring.ensure_task, "chat"), (keyring.ensure_model, "smollm2")):
        with pytest.raises(ServeError) as caught:
            ensure(caller, name)
        assert caught.value.code is Code.PERMISSION_DENIED
        assert name in caught.value.message


def test_a_key_without_scopes_is_for_every_task_and_model_but_not_for_administration() -> None:
    key, record = made()
    caller = Keyring([record], PEPPER, required=True).identify(key)
    keyring.ensure_task(caller, "anything")
    keyring.ensure_model(caller, "anything")
    with pytest.raises(ServeError) as caught:
        keyring.ensure_admin(caller)
    assert caught.value.code is Code.PERMISSION_DENIED


def test_administration_needs_a_key_even_where_nothing_else_does() -> None:
    ring = Keyring()
    assert ring.identify("") == ANYBODY
    with pytest.raises(ServeError) as caught:
        keyring.ensure_admin(ANYBODY)
    assert caught.value.code is Code.UNAUTHENTICATED
    keyring.ensure_admin(ring.identify(ring.admin_key))


def test_who_is_unknown_late_or_empty_handed_is_refused() -> None:
    key, record = made()
    late, expired = made(expires=int(time.time()) - 1)
    ring = Keyring([record, expired], PEPPER, required=True)
    other, _ = made()
    shares_its_name = f"hk_{record.id}_{other[12:]}"
    for wrong in ("", late, other, shares_its_name, key + "x", key[:-1], "x" * 1_000_000, "clé"):
        assert code(ring, wrong) is Code.UNAUTHENTICATED
    assert code(ring, "'; drop table keys; --") is Code.UNAUTHENTICATED
    ring.replace([], PEPPER, required=True)
    assert code(ring, key) is Code.UNAUTHENTICATED


def test_without_required_keys_any_word_will_do_but_a_wrong_key_will_not() -> None:
    key, _ = made()
    ring = Keyring()
    assert ring.identify("none") == ring.identify("sk-abc") == ANYBODY
    assert code(ring, key) is Code.UNAUTHENTICATED


@given(st.text())
def test_no_text_but_a_key_is_let_in(text: str) -> None:
    _, record = made()
    assert code(Keyring([record], PEPPER, required=True), text) is Code.UNAUTHENTICATED


def test_a_file_keeps_keys_for_its_owner_only(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "state" / "keys.json")
    assert file.read() == []
    pepper = file.pepper()
    assert file.pepper() == pepper
    _, record = make(pepper, "acme", (), now=1)
    file.change(lambda keys: [*keys, record])
    assert file.read() == [record]
    for path in (tmp_path / "state").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_file_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    file.path.write_text("{}")
    file.path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        file.read()
    file.path.chmod(0o600)
    with pytest.raises(KeyFileError, match="not a file of keys"):
        file.read()


def test_a_caller_says_nothing_of_a_secret() -> None:
    key, record = made()
    caller = Keyring([record], PEPPER).identify(key)
    assert isinstance(caller, Caller)
    assert key not in repr(caller)
