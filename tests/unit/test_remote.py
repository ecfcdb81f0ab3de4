"""Commands that ask a running server: whom they tell the operator's key."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from hexkey import cli
from hexkey.identity import state
from hexkey.identity.keyfile import write_private

KEY = "hk_operator"
MODELS = b'{"data": []}'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEXKEY_STATE", str(tmp_path))
    for name in ("HEXKEY_API_KEY", "http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Heard(HTTPServer):
    """A server that notes which keys it is sent and answers, or sends elsewhere."""

    def __init__(self, elsewhere: str, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.elsewhere = elsewhere
        self.body = body
        self.keys: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Heard

    def do_GET(self) -> None:
        self.server.keys.append(self.headers.get("authorization", ""))
        self.send_response(302 if self.server.elsewhere else 200)
        if self.server.elsewhere:
            self.send_header("location", self.server.elsewhere)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@contextmanager
def heard(elsewhere: str = "", body: bytes = MODELS) -> Iterator[Heard]:
    server = Heard(elsewhere, body)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        write_private(state.admin_key_path(server.server_port), KEY.encode())
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(url: str) -> int:
    return cli.main(["models", "--server", url])


def test_a_server_on_this_machine_gets_the_operators_key() -> None:
    with heard() as server:
        for host in ("127.0.0.1", "localhost"):
            assert ask(f"http://{host}:{server.server_port}") == 0
    assert server.keys == [f"Bearer {KEY}"] * 2


def test_another_machine_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with heard() as server:
        # What goes to another machine goes through the proxy, which is heard here.
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
        assert ask(f"http://other.example:{server.server_port}") == 0
        assert ask(f"http://127.0.0.1.other.example:{server.server_port}") == 0
    assert server.keys == ["", ""]


def test_nor_does_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with heard() as proxy, heard() as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        assert ask(f"http://127.0.0.1:{server.server_port}") == 0
    assert proxy.keys == []


def test_nor_does_whoever_a_server_points_at(capsys: pytest.CaptureFixture[str]) -> None:
    with heard() as other, heard(f"http://127.0.0.1:{other.server_port}/") as server:
        assert ask(f"http://127.0.0.1:{server.server_port}") == 1
    assert other.keys == []
    assert "answered 302" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "body", "why"),
    [
        ("http://127.0.0.1:none", MODELS, "expected http://host:port"),
        ("http://127.0.0.1:99999", MODELS, "expected http://host:port"),
        ("", b"<html>", "is no hexkey"),
        ("", b"[1]", "is no hexkey"),
    ],
)
def test_what_is_no_server_is_told_so(
    url: str, body: bytes, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with heard(body=body) as server:
        assert ask(url or f"http://127.0.0.1:{server.server_port}") == 1
    assert why in capsys.readouterr().err
