"""Access: keys that are made or revoked while the server runs count at once."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from unittest.mock import Mock

import msgspec
import pytest

from hexkey import cli
from hexkey.errors import ServeError
from hexkey.identity import access as module
from hexkey.identity.access import AUTO, OFF, ON, Access
from hexkey.identity.keyfile import KeyFile, KeyFileError
from hexkey.identity.state import key_file
from hexkey.types import ANYBODY


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEXKEY_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(module, "WATCH_S", 0.01)
    return tmp_path / "state"


def create(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["keys", "create", *arguments]) == 0
    return capsys.readouterr().out.strip()


async def until(access: Access, key: str, *, good: bool) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                access.keyring.identify(key)
                if good:
                    return
            except ServeError:
                if not good:
                    return
            await asyncio.sleep(0.01)


async def test_keys_come_and_go_while_the_server_runs(capsys: pytest.CaptureFixture[str]) -> None:
    access = Access(AUTO, key_file())
    await access.start(1)
    try:
        assert access.keyring.identify("") is ANYBODY
        key = create(capsys, "acme", "--scope", "task:chat", "--expires", "90d")
        await until(access, "", good=False)
        assert access.keyring.identify(key).tenant == "acme"
        assert cli.main(["keys", "list"]) == 0
        listed = capsys.readouterr().out
        assert "acme" in listed
        assert "task:chat" in listed
        assert key not in listed
        assert cli.main(["keys", "revoke", key[3:11]]) == 0
        await until(access, key, good=False)
    finally:
        await access.stop()


@pytest.mark.parametrize("gone", ["revoked", "file"])
async def test_nobody_gets_in_because_the_last_key_is_gone(
    gone: str, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = create(capsys, "acme")
    access = Access(AUTO, key_file())
    await access.start(1)
    try:
        if gone == "revoked":
            assert cli.main(["keys", "revoke", key[3:11]]) == 0
            assert "last key" in capsys.readouterr().err
        else:
            (state / "keys.json").unlink()
        await until(access, key, good=False)
        with pytest.raises(ServeError):
            access.identify("")
    finally:
        await access.stop()
    assert Access(AUTO, key_file()).keyring.required is (gone == "revoked")


async def test_a_folder_that_cannot_be_read_leaves_the_keys_of_before(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, other = create(capsys, "acme"), create(capsys, "other")
    access = Access(AUTO, key_file())
    await access.start(1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(KeyFile, "pepper", Mock(side_effect=PermissionError("read-only")))
            (state / "keys.json").touch()
            await asyncio.sleep(0.1)
        assert access.identify(key).tenant == "acme"
        assert cli.main(["keys", "revoke", other[3:11]]) == 0
        await until(access, other, good=False)
    finally:
        await access.stop()


async def test_a_spoilt_file_leaves_the_keys_of_before(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = create(capsys, "acme")
    access = Access(AUTO, key_file())
    await access.start(1)
    try:
        (state / "keys.json").write_text("{")
        await asyncio.sleep(0.1)
        assert access.keyring.identify(key).tenant == "acme"
        with pytest.raises(ServeError):
            access.keyring.identify("")
    finally:
        await access.stop()


async def test_the_operator_finds_a_key_for_this_run_only(state: Path) -> None:
    access = Access(ON, key_file())
    await access.start(8080)
    path = state / "admin-8080.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert access.keyring.identify(path.read_text()).admin
    await access.stop()
    assert not path.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])  # noqa: S104
def test_a_public_address_needs_keys_or_a_plain_word(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyFileError, match="hexkey keys create"):
        Access(AUTO, key_file()).ensure_safe([host])
    Access(OFF, key_file()).ensure_safe([host])
    create(capsys, "acme")
    Access(AUTO, key_file()).ensure_safe([host])


def test_loopback_needs_none(state: Path) -> None:
    Access(AUTO, key_file()).ensure_safe(["127.0.0.1", "::1", "localhost"])
    assert not state.exists()


def test_a_mistake_makes_no_key(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["keys", "create", "a b"]) == 2
    assert cli.main(["keys", "create", "acme", "--scope", "everything"]) == 2
    assert "expected task:NAME" in capsys.readouterr().err
    assert cli.main(["keys", "revoke", "nosuchid"]) == 1
    for expires in ("1000y", "0h", "soon"):
        with pytest.raises(SystemExit):
            cli.main(["keys", "create", "acme", "--expires", expires])
    assert not (state / "keys.json").exists()


def test_a_key_of_a_far_year_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    create(capsys, "acme")
    file = key_file()
    file.change(lambda keys: [msgspec.structs.replace(one, expires=1 << 60) for one in keys])
    assert cli.main(["keys", "list"]) == 0
    assert "never" in capsys.readouterr().out
