"""The playground in a real Chromium, on the quickstart's real models."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.chromium import DESKTOP, PHONE, UNREADABLE, opened, shoot
from tests.e2e.conftest import Served

SIZES = {"desktop": DESKTOP, "phone": PHONE}
PROMPT = "The capital of France is"
PAUSE_MS = 160
"""How long the page waits for another key."""


def cells(page: Page) -> list[str]:
    return [
        cell.strip() for cell in page.locator("#calls tr").first.locator("td").all_inner_texts()
    ]


def test_what_the_model_would_write_is_seen_and_taken(
    chromium: Browser, quickstart: Served
) -> None:
    with opened(chromium, f"{quickstart.http}/dashboard#playground") as page:
        page.wait_for_selector("#source option", state="attached")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        # However slowly the keys arrive: the page's clock goes on when the test says so.
        page.clock.install()
        page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
        page.locator("#prefix").press_sequentially(PROMPT, delay=10)
        page.clock.run_for(PAUSE_MS // 2)
        assert asked == []
        page.clock.resume()
        expect(page.locator("#ghost")).to_contain_text("Paris")
        expect(page.locator("#calls tr")).to_have_count(1)
        assert page.input_value("#prefix") == PROMPT
        _, task, model, outcome, first, total, tokens, cost = cells(page)
        assert (task, model, outcome) == ("autocomplete", "smollm2-135m-instruct", "ok")
        assert first.endswith("s")
        assert total.endswith("s")
        assert tokens.startswith("5 + ")
        assert float(cost.removeprefix("$")) > 0
        assert cost in page.inner_text("#autocomplete-meter")
        expect(page.locator("#suggested")).to_contain_text("Paris")
        ghost = page.inner_text("#ghost")
        page.keyboard.press("Tab")
        assert page.input_value("#prefix") == PROMPT + ghost
        assert page.evaluate("document.activeElement.id") == "prefix"


def test_a_suggestion_can_be_dropped_and_the_field_left(
    chromium: Browser, quickstart: Served
) -> None:
    with opened(chromium, f"{quickstart.http}/dashboard#playground") as page:
        page.wait_for_selector("#source option", state="attached")
        page.fill("#prefix", PROMPT)
        expect(page.locator("#ghost")).to_contain_text("Paris")
        page.keyboard.press("Escape")
        assert page.inner_text("#ghost") == ""
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "source"
        assert page.input_value("#prefix") == PROMPT


def test_the_ghost_lies_where_the_text_will_be(chromium: Browser, quickstart: Served) -> None:
    """Text is laid out alike in the field and behind it, so taking it moves nothing."""
    with opened(chromium, f"{quickstart.http}/dashboard#playground") as page:
        page.wait_for_selector("#source option", state="attached")
        page.fill("#prefix", "A long line that has to be broken somewhere. " * 20 + PROMPT)
        expect(page.locator("#ghost")).not_to_be_empty()
        sizes = page.evaluate(
            """() => ["#prefix", ".mirror"].map((one) => document.querySelector(one))
                .map((one) => [one.clientWidth, one.clientHeight, getComputedStyle(one).font])"""
        )
        assert sizes[0] == sizes[1]
        scroll = page.evaluate("document.querySelector('#prefix').scrollHeight")
        assert scroll <= sizes[0][1]


def test_it_translates_while_one_types_and_back(chromium: Browser, quickstart: Served) -> None:
    with opened(chromium, f"{quickstart.http}/dashboard#playground") as page:
        page.wait_for_selector("#source option", state="attached")
        assert page.locator("#source option").all_inner_texts() == ["English", "Portuguese"]
        page.locator("#text").press_sequentially("Good morning, my friend.", delay=10)
        expect(page.locator("#translation")).to_contain_text("Bom dia")
        expect(page.locator("#translation")).to_have_attribute("aria-busy", "false")
        assert cells(page)[1:4] == ["translate", "firefox-en-pt", "ok"]
        assert "$" in page.inner_text("#translate-meter")
        page.click("#swap")
        assert page.input_value("#source") == "pt"
        assert page.input_value("#text").startswith("Bom dia")
        expect(page.locator("#translation")).to_contain_text("Good morning")
        page.fill("#text", "")
        assert page.inner_text("#translation") == ""


def test_newer_text_replaces_what_is_under_way(chromium: Browser, quickstart: Served) -> None:
    with opened(chromium, f"{quickstart.http}/dashboard#playground") as page:
        page.wait_for_selector("#source option", state="attached")
        page.select_option("#stop-rule", "block")
        host = quickstart.host_of("smollm2-135m-instruct")
        host.suspend()  # or the first answer may be complete before the second text is there
        try:
            with page.expect_request("**/v1/autocomplete"):
                page.fill("#prefix", "Once upon a time there was a king who")
            page.fill("#prefix", PROMPT)
        finally:
            host.resume()
        expect(page.locator("#calls [data-outcome=ok]")).to_have_count(1)
        assert page.locator("#calls [data-outcome=superseded]").count() == 1
        assert "1 superseded" in page.inner_text("#calls-note")


def test_an_error_is_told_in_the_servers_words(chromium: Browser, quickstart: Served) -> None:
    with opened(chromium, f"{quickstart.http}/dashboard#playground") as page:
        page.wait_for_selector("#source option", state="attached")
        body = '{"error": {"message": "the house is full"}}'
        answer = {"status": 200, "content_type": "text/event-stream", "body": f"data: {body}\n\n"}
        page.route("**/v1/autocomplete", lambda route: route.fulfill(**answer))
        page.fill("#prefix", PROMPT)
        expect(page.locator("#autocomplete-meter")).to_have_text("the house is full")
        assert page.inner_text("#ghost") == ""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen_and_can_be_read(
    chromium: Browser, quickstart: Served, size: str, scheme: str
) -> None:
    url = f"{quickstart.http}/dashboard#playground"
    with opened(chromium, url, SIZES[size], dark=scheme == "dark", still=True) as page:
        page.wait_for_selector("#source option", state="attached")
        page.fill("#text", "Good morning! The train to Lisbon leaves at 8:45 from platform 3.")
        page.fill("#prefix", PROMPT)
        expect(page.locator("#calls tr")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
        assert page.evaluate(UNREADABLE) == []
        shoot(page, f"playground-{size}-{scheme}")
