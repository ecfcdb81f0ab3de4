"""The page of a server with keys: it asks for one, and says why another is not enough."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.chromium import opened, shoot
from tests.e2e.conftest import ROOT, Served, serve

CONFIG = """
access: {keys: "on"}
models:
  - {name: text, engine: fake, tasks: [autocomplete]}
  - {name: any, engine: fake, tasks: [translate], pairs: ["*-en", en-pt]}
"""


def key(*scopes: str) -> str:
    command = [sys.executable, "-m", "hexkey.cli", "keys", "create", "acme"]
    command += [f"--scope={scope}" for scope in scopes]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)
    return done.stdout.strip()


@dataclass
class Locked:
    """A server that needs keys, and four: one that may look, two that may not, one unknown."""

    served: Served
    whole: str
    narrow: str
    typist: str
    unknown: str = "hk_00000000_unknown"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("page-keys")
    path = folder / "keys.yaml"
    path.write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEXKEY_STATE", str(folder / "state"))
        whole, narrow, typist = key(), key("task:chat"), key("task:autocomplete")
        with serve(path) as served:
            yield Locked(served, whole, narrow, typist)


def test_the_page_asks_for_a_key_until_it_has_one_that_may(
    chromium: Browser, locked: Locked
) -> None:
    with opened(chromium, f"{locked.served.http}/dashboard", refusals=True) as page:
        dialog, why = page.locator("#key-dialog"), page.locator("#key-why")
        expect(dialog).to_be_visible()
        assert page.inner_text("#tiles") == ""
        shoot(page, "key")
        page.fill("#key", locked.unknown)
        page.keyboard.press("Enter")
        expect(why).to_contain_text("not an API key of this server")
        expect(dialog).to_be_visible()
        page.fill("#key", locked.narrow)
        page.keyboard.press("Enter")
        expect(why).to_contain_text("metrics")
        expect(dialog).to_be_visible()
        page.fill("#key", locked.whole)
        page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        expect(page.locator("#link")).to_have_text("Live")
        page.click("#tab-playground")
        page.fill("#prefix", "one two")
        expect(page.locator("#calls [data-outcome=ok]")).to_have_count(1)
        page.reload()
        expect(page.locator("#link")).to_have_text("Live")
        assert locked.whole not in page.content()


def test_a_key_that_opens_less_opens_the_playground(chromium: Browser, locked: Locked) -> None:
    with opened(chromium, f"{locked.served.http}/dashboard", refusals=True) as page:
        dialog, why = page.locator("#key-dialog"), page.locator("#key-why")
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_be_visible()
        page.fill("#key", locked.typist)
        page.keyboard.press("Enter")
        expect(why).to_contain_text("metrics")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(page.locator("#link")).to_contain_text("metrics")
        page.click("#tab-playground")
        page.fill("#prefix", "one two")
        expect(page.locator("#calls [data-outcome=ok]")).to_have_count(1)
        page.fill("#text", "one two")
        expect(page.locator("#calls [data-outcome=failed]")).to_have_count(1)
        expect(dialog).to_be_hidden()
        assert page.locator("#source option").all_inner_texts() == ["English"]
