"""The overview in a real Chromium: its numbers are those of /metrics, whatever the screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from prometheus_client.parser import text_string_to_metric_families

from hexkey.circuit import COST, LIMIT
from tests.e2e.chromium import DESKTOP, PHONE, UNREADABLE, opened, shoot
from tests.e2e.conftest import Served, serve
from tests.waiting import until

CONFIG = """
cost:
  currency: USD
  price_per_hour: "3600"
  devices:
    - {name: cpu, share: "0.25"}
    - {name: npu, share: "0.75", memory_gib: 8}
  references:
    - {name: big, as_of: 2026-11-01, input_per_million: "1000000", output_per_million: "9000000"}
models:
  - {name: text, engine: fake, tasks: [autocomplete, chat], device: cpu, options: {step_ms: 5}}
  - {name: words, engine: fake, tasks: [translate], pairs: [en-pt, pt-en], device: npu}
"""
CUT_OFF = """() => [...document.querySelectorAll("#overview .scroll")]
    .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"""
SIZES = {"desktop": DESKTOP, "phone": PHONE}


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("page") / "fake.yaml"
    path.write_text(CONFIG)
    with serve(path) as served:
        with httpx.Client(base_url=served.http) as client:
            for _ in range(7):
                body = {"prefix": "a b", "max_tokens": 6}
                assert client.post("/v1/autocomplete", json=body).status_code == 200
            for _ in range(5):
                text = {"text": "one two", "source": "en", "target": "pt"}
                assert client.post("/v1/translate", json=text).status_code == 200
            assert client.post("/v1/autocomplete", json={"prefix": ""}).status_code == 400
        yield served


def scraped(served: Served, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """One metric's samples, added up by some of its labels."""
    sums: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(httpx.get(f"{served.http}/metrics").text):
        for sample in family.samples:
            if sample.name == name:
                key = tuple(sample.labels[label] for label in labels)
                sums[key] = sums.get(key, 0.0) + sample.value
    return sums


def row(page: Page, body: str, key: str) -> list[str]:
    cells = page.locator(f"#{body} [data-key='{key}']").locator("th, td")
    return [cell.strip() for cell in cells.all_inner_texts()]


def number(text: str) -> float:
    found = re.search(r"-?[\d,]*\.?\d+", text)
    assert found, text
    return float(found[0].replace(",", ""))


def test_the_numbers_of_the_page_are_those_of_metrics(chromium: Browser, fake: Served) -> None:
    with opened(chromium, f"{fake.http}/dashboard") as page:
        page.wait_for_selector("#tasks [data-key=translate]")
        settled = scraped(fake, "hexkey_requests_total", "task")
        assert settled == {("autocomplete",): 8, ("translate",): 5}
        for (task,), count in settled.items():
            assert row(page, "tasks", task)[-1] == f"{count:.0f}"
        title = page.locator("#tasks [data-key=autocomplete]").get_attribute("title")
        assert title == "7 ok, 1 invalid"
        before = scraped(fake, "hexkey_cost_total", "kind")
        kinds = ["active", "idle", "load", "overhead", "unallocated"]
        slack = {kind: 0.005 * max(before[(kind,)], 1) for kind in kinds}

        def told() -> dict[str, float]:
            texts = page.locator("#money li b").all_inner_texts()
            return dict(zip(kinds, map(number, texts), strict=True))

        # A second later or so, when a snapshot has come that is newer than the scrape.
        until(lambda: all(one >= before[(kind,)] - slack[kind] for kind, one in told().items()))
        seen = told()
        after = scraped(fake, "hexkey_cost_total", "kind")
        for kind, one in seen.items():
            assert before[(kind,)] - slack[kind] <= one <= after[(kind,)] + slack[kind], kind
        tokens = scraped(fake, "hexkey_counterfactual_cost_total", "reference")[("big",)]
        saved = page.locator("#savings [data-key=big] td").first.inner_text()
        assert number(saved) == pytest.approx(tokens, abs=0.005)


def test_the_parts_of_the_machine_are_told_apart(chromium: Browser, fake: Served) -> None:
    with opened(chromium, f"{fake.http}/dashboard") as page:
        page.wait_for_selector("#devices [data-key=npu]")
        before = scraped(fake, "hexkey_bill_total", "device")
        names = ("cpu", "npu")

        def newer(name: str) -> bool:
            return number(row(page, "devices", name)[2]) >= before[(name,)] * 0.995

        until(lambda: all(map(newer, names)), what="a snapshot that is newer than the scrape")
        told = {name: row(page, "devices", name) for name in names}
        after = scraped(fake, "hexkey_bill_total", "device")
        assert [number(told[name][1]) for name in names] == [900, 2700]
        for name, cells in told.items():
            assert before[(name,)] * 0.995 <= number(cells[2]) <= after[(name,)] * 1.005

        def idles(name: str) -> bool:
            return 50 < number(row(page, "devices", name)[3]) <= 100

        # Sooner or later: on a busy machine the start of their models has taken most of the time.
        until(lambda: all(map(idles, names)), what="parts that idle")
        notes = page.locator("#models .model > .note").all_inner_texts()
        assert [note.rpartition(" on ")[2] for note in notes] == ["cpu", "npu"]


def test_costs_that_nobody_may_see_are_not_on_the_page(chromium: Browser, tmp_path: Path) -> None:
    path = tmp_path / "secret.yaml"
    path.write_text(CONFIG.replace("currency: USD", "currency: USD\n  expose: none"))
    with serve(path) as served, opened(chromium, f"{served.http}/dashboard") as page:
        body = {"prefix": "a b", "max_tokens": 6}
        assert httpx.post(f"{served.http}/v1/autocomplete", json=body).status_code == 200
        page.wait_for_selector("#tasks [data-key=autocomplete]")
        page.wait_for_timeout(1500)
        for place in ("money", "savings"):
            assert "not shown to you" in page.inner_text(f"#{place}")
        assert not page.is_visible("#devices")
        assert "Costs are not shown to you" in page.inner_text("#spend")
        assert not re.search(r"[$€]|USD", page.inner_text("main"))
        shoot(page, "overview-withheld")
        page.click("#tab-playground")
        page.fill("#prefix", "one two")
        expect(page.locator("#calls [data-outcome=ok]")).to_have_count(1)
        assert not re.search(r"[$€]|USD", page.inner_text("main"))


def test_percentiles_are_what_prometheus_makes_of_the_buckets(
    chromium: Browser, fake: Served
) -> None:
    with opened(chromium, f"{fake.http}/dashboard") as page:
        page.wait_for_selector("#tasks [data-key=translate]")
        cells = row(page, "tasks", "autocomplete")
    counts: dict[float, float] = {}
    for family in text_string_to_metric_families(httpx.get(f"{fake.http}/metrics").text):
        for sample in family.samples:
            ours = {"task": "autocomplete", "outcome": "ok"}.items() <= sample.labels.items()
            if sample.name == "hexkey_request_duration_seconds_bucket" and ours:
                counts[float(sample.labels["le"])] = sample.value
    edges = sorted(counts)
    for text, q in zip(cells[2:5], (0.5, 0.95, 0.99), strict=True):
        rank = q * counts[edges[-1]]
        at = next(index for index, edge in enumerate(edges) if counts[edge] >= rank)
        low, before = (edges[at - 1], counts[edges[at - 1]]) if at else (0.0, 0.0)
        expected = low + (edges[at] - low) * (rank - before) / (counts[edges[at]] - before)
        assert number(text) == pytest.approx(expected * 1000, rel=0.01), text


def test_the_page_lives(chromium: Browser, fake: Served) -> None:
    with opened(chromium, f"{fake.http}/dashboard") as page:
        page.wait_for_selector("#tasks [data-key=translate]")
        assert page.locator("#link").inner_text() == "Live"
        assert page.locator("#models .badge").all_inner_texts() == ["ready", "ready"]
        before = int(row(page, "tasks", "translate")[-1])
        text = {"text": "one two", "source": "en", "target": "pt"}
        assert httpx.post(f"{fake.http}/v1/translate", json=text).status_code == 200
        total = page.locator("#tasks [data-key=translate] td").last
        expect(total).to_have_text(str(before + 1))
        for chart in ("traffic", "spend", "latency"):
            label = page.locator(f"#{chart} .plot").get_attribute("aria-label") or ""
            assert re.search(r"\d", label), label
            assert page.locator(f"#{chart} canvas").count() == 1


def test_a_model_that_fails_is_not_called_ready(chromium: Browser, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    with serve(path) as served, opened(chromium, f"{served.http}/dashboard") as page:
        badges = page.locator("#models .badge")
        expect(badges).to_have_text(["ready", "ready"])
        text = {"text": "[[bug]]", "source": "en", "target": "pt"}
        for _ in range(LIMIT // COST):
            assert httpx.post(f"{served.http}/v1/translate", json=text).status_code == 500
        expect(badges).to_have_text(["ready", "failing"])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen_and_can_be_read(
    chromium: Browser, fake: Served, size: str, scheme: str
) -> None:
    url = f"{fake.http}/dashboard"
    with opened(chromium, url, SIZES[size], dark=scheme == "dark", still=True) as page:
        page.wait_for_selector("#tasks [data-key=translate]")
        page.wait_for_selector("#spend canvas")
        assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
        assert page.evaluate(CUT_OFF) == []
        assert page.evaluate(UNREADABLE) == []
        assert page.evaluate("document.getAnimations().length") == 0
        shoot(page, f"overview-{size}-{scheme}")


def test_a_server_without_traffic_price_or_reference_says_so(
    chromium: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text("models:\n  - {name: text, engine: fake, tasks: [chat]}\n")
    with serve(path) as served, opened(chromium, f"{served.http}/dashboard", loss=True) as page:
        page.wait_for_selector("#models li")
        assert "No request has settled yet" in page.inner_text("#tasks")
        assert "cost.price_per_hour" in page.inner_text("#money")
        assert page.locator("#models dd").last.inner_text() == "\N{EN DASH}"
        assert "cost.references" in page.inner_text("#savings")
        assert "NaN" not in page.inner_text("main")
        shoot(page, "overview-empty")
        page.click("#tab-playground")
        assert "serves autocomplete" in page.inner_text("#autocomplete")
        assert "serves translate" in page.inner_text("#translate")
        # A server that stops ends its feeds; the page waits for it to come back.
        served.process.terminate()
        assert served.process.wait(20) == 0
        page.wait_for_function("document.querySelector('#link').dataset.state === 'lost'")


def test_everything_can_be_reached_by_keyboard_and_has_a_name(
    chromium: Browser, fake: Served
) -> None:
    with opened(chromium, f"{fake.http}/dashboard") as page:
        page.wait_for_selector("#models li")
        page.focus("#tab-overview")
        page.keyboard.press("ArrowRight")
        assert page.is_visible("#playground")
        assert not page.is_visible("#overview")
        assert page.evaluate("document.activeElement.id") == "tab-playground"
        assert page.url.endswith("#playground")
        stops = []
        for _ in range(8):
            page.keyboard.press("Tab")
            stops.append(page.evaluate("document.activeElement.id"))
        assert stops == ["theme", "stop-rule", "prefix", "source", "swap", "target", "text", ""]
        nameless = """() => [...document.querySelectorAll("button, select, textarea, [role]")]
            .filter((one) => one.checkVisibility() && !(one.ariaLabel || one.labels?.length
                || one.getAttribute("aria-labelledby") || one.textContent.trim()))
            .map((one) => one.outerHTML)"""
        assert page.evaluate(nameless) == []


def test_the_theme_can_be_chosen_and_stays(chromium: Browser, fake: Served) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened(chromium, f"{fake.http}/dashboard", dark=True) as page:
        page.wait_for_selector("#spend canvas")
        auto = page.evaluate(ground)
        page.click("#theme")
        assert page.inner_text("#theme") == "Theme: light"
        light = page.evaluate(ground)
        assert light != auto
        page.reload()
        assert page.evaluate(ground) == light
        page.click("#theme")
        assert page.evaluate(ground) == auto
