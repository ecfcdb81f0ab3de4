"""A real browser on other people's sites: nothing there uses a server that asks for no keys."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from tests.e2e.conftest import serve

CONFIG = """
access: {{keys: auto, origins: ["http://friend.example:{port}"]}}
models:
  - {{name: any, engine: fake, tasks: [translate], pairs: [en-pt]}}
"""
GLOSSARY = '{"name": "n", "source_lang": "EN", "target_lang": "PT", "entries": "a\\tb"}'
ASK = """async ([url, body]) => {
  // As any page may, without asking whether it may: the answer cannot be read, the request is sent.
  const headers = {"content-type": "text/plain"};
  await fetch(url, {method: "POST", mode: "no-cors", headers, body});
}"""


READ = """async ([url, body]) => {
  const headers = {"content-type": "application/json", authorization: "Bearer none"};
  try {
    return await (await fetch(url, {method: "POST", headers, body})).text();
  } catch (error) {
    return "";
  }
}"""
TEXT = '{"text": "one two", "source": "en", "target": "pt"}'


class Site(BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><link rel=icon href=data:,>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    """The port of a web server, on every ``*.example``."""
    server = HTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_elsewhere_can_neither_write_here_nor_read(
    chromium: Browser, site: int, tmp_path: Path
) -> None:
    path = tmp_path / "open.yaml"
    path.write_text(CONFIG.format(port=site))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEXKEY_STATE", str(tmp_path / "state"))
        with serve(path) as served, chromium.new_context() as context:
            page = context.new_page()

            def kept() -> int:
                return len(httpx.get(f"{served.http}/v2/glossaries").json()["glossaries"])

            for name, count in (("evil", 0), ("friend", 1)):
                page.goto(f"http://{name}.example:{site}/")
                page.evaluate(ASK, [f"{served.http}/v2/glossaries", GLOSSARY])
                assert kept() == count, name
                read = page.evaluate(READ, [f"{served.http}/v1/translate", TEXT])
                assert bool(read) == bool(count), name
            port = served.http.rpartition(":")[2]
            rebound = page.goto(f"http://evil.example:{port}/v1/models")
            assert rebound is not None
            assert rebound.status == 421
            ours = page.goto(f"http://localhost:{port}/v1/models")
            assert ours is not None
            assert ours.status == 200
