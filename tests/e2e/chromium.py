"""A real Chromium, steered by Playwright; every page it opens must be free of complaints."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.programs import TOOLS, found

PHONE = (390, 844)
DESKTOP = (1440, 900)
SHOTS = Path(os.environ.get("HEXKEY_SCREENSHOTS", TOOLS.parent / "screenshots"))
"""Where screenshots go, for a person to look at."""
WAIT_MS = 20_000
expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser a module: Playwright holds the thread's event loop, which others want back."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found("chromium-headless-shell", "chromium", "google-chrome"),
            # Sites of others, and what DNS rebinding makes of their names.
            args=["--no-sandbox", "--host-resolver-rules=MAP *.example 127.0.0.1"],
            env={**os.environ, **_unpacked()},
        )
        yield browser
        browser.close()


def _unpacked() -> dict[str, str]:
    """What a Chromium that was unpacked, and not installed, needs to find its own."""
    libraries = sorted({str(one.parent) for one in (TOOLS / "usr" / "lib").rglob("*.so*")})
    env = {"LD_LIBRARY_PATH": os.pathsep.join([*libraries, os.environ.get("LD_LIBRARY_PATH", "")])}
    if (TOOLS / "etc" / "fonts").is_dir():
        env["FONTCONFIG_PATH"] = str(TOOLS / "etc" / "fonts")
        env["XDG_DATA_HOME"] = str(TOOLS / "usr" / "share")
    return env


@contextlib.contextmanager
def opened(
    chromium: Browser,
    url: str,
    size: tuple[int, int] = DESKTOP,
    *,
    dark: bool = False,
    still: bool = False,
    loss: bool = False,
    refusals: bool = False,
) -> Iterator[Page]:
    """Open a page; nothing may be logged or thrown while it is open.

    But, with ``loss``, that the server is gone; with ``refusals``, that it wants another key.
    """
    allowed = ["ERR_CONNECTION"] * loss + ["status of 401", "status of 403"] * refusals
    complaints: list[str] = []
    with chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce" if still else "no-preference",
        locale="en-GB",
    ) as context:
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        yield page
    assert [one for one in complaints if not any(text in one for text in allowed)] == []


def shoot(page: Page, name: str) -> None:
    """Keep a picture of the whole page."""
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


UNREADABLE = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const bad = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const style = getComputedStyle(element);
    const shown = texts.currentNode.textContent.trim() && element.getClientRects().length;
    const colour = parse(style.color);
    if (!shown || colour[3] === 0 || element.closest(":disabled, .hidden")) continue;
    const [high, low] = [light(colour), light(ground(element))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < needed) bad.push([texts.currentNode.textContent, contrast]);
  }
  return bad;
}"""
"""Finds text whose contrast is below WCAG 2.2 AA, as the browser really paints it."""
