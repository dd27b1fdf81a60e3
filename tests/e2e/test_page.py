"""The live page over the whole system, in Chromium: what it shows is what REST answers, whatever happens.

The tests build on each other: one page lives through all of it.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from schemas.events import Trade
from schemas.settings import KafkaSettings
from tests.support.browser import launch, watched_page
from tests.support.live import Market
from tests.support.servers import LiveSystem

pytestmark = pytest.mark.servers
SYMBOLS = ("AAPL", "MSFT", "NVDA")
PATIENCE_MS = 60_000
SHOWN = ("state", "open", "high", "low", "close", "vwap", "trades", "version")
COLUMNS = (1, 2, 3, 4, 5, 7, 8, 10)
"""Of the table of bars, in the order of SHOWN."""


@dataclass(frozen=True)
class Trader:
    """A page, and a client of the same API."""

    page: Page
    api: httpx.Client
    address: str

    def get(self, path: str, **parameters: str | int) -> Any:
        response = self.api.get(f"/api/v1/{path}", params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    def bars(self) -> dict[str, tuple[str, ...]]:
        """Start -> what the table of bars shows of it, bars that still grow apart."""
        rows = self.page.locator("#bars tbody tr[data-start]").evaluate_all(
            "rows => rows.map(row => [row.dataset.start, [...row.cells].map(cell => cell.textContent)])"
        )
        return {
            start: tuple(cells[each] for each in COLUMNS) for start, cells in rows if "live" not in cells[1]
        }

    def stored_bars(self, symbol: str) -> dict[str, tuple[str, ...]]:
        """The same of REST."""
        found = self.get(f"candles/{symbol}", interval="1m", limit=31)["candles"]
        return {bar["start"]: as_shown(bar) for bar in found if bar["final"]}

    def storage_answers(self) -> bool:
        response = self.api.get("/api/v1/candles/AAPL", params={"interval": "1m", "limit": 1})
        return response.status_code != httpx.codes.SERVICE_UNAVAILABLE

    def open_symbol(self, symbol: str) -> None:
        """By keyboard, as a trader does."""
        self.page.keyboard.press("/")
        self.page.keyboard.type(symbol.lower())
        self.page.keyboard.press("Enter")
        expect(self.page.locator("#symbol-name")).to_have_text(symbol)

    def agrees(self, symbol: str) -> bool:
        """Whether every final bar of REST that the table has room for is in it, number by number."""
        stored = self.stored_bars(symbol)
        shown = self.bars()
        newest = sorted(stored)[-20:]
        return bool(newest) and all(shown.get(start) == stored[start] for start in newest)

    def eventually(self, check: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not check():
            assert time.monotonic() < deadline, what
            self.page.wait_for_timeout(200)


def as_shown(bar: dict[str, Any]) -> tuple[str, ...]:
    state = "revised" if bar["late_trades"] else "final"
    prices = [f"{bar[name]:,.2f}" for name in ("open", "high", "low", "close", "vwap")]
    return (state, *prices, f"{bar['trades']:,}", str(bar["version"]))


@pytest.fixture(scope="module")
def trader(live_system: LiveSystem) -> Iterator[Trader]:
    """On the market overview. At the end no rule may have been broken."""
    address = live_system.settings.api_url
    with sync_playwright() as playwright:
        browser = launch(playwright)
        with (
            httpx.Client(base_url=address, trust_env=False, timeout=30) as api,
            watched_page(browser, viewport={"width": 1440, "height": 900}) as page,
        ):
            page.set_default_timeout(PATIENCE_MS)
            expect.set_options(timeout=PATIENCE_MS)
            page.goto(address)
            page.wait_for_selector("#connection[data-state=live]")
            page.evaluate("window.sameDocument = true")
            yield Trader(page, api, address)
        expect.set_options(timeout=5_000)
        browser.close()


def test_the_market_shows_every_symbol_as_rest_has_it(trader: Trader) -> None:
    """Price, change % and the extremes of the day, read at the same moment."""
    every = sorted(each["symbol"] for each in trader.get("symbols")["symbols"])
    shown = trader.page.locator("#market tbody tr").evaluate_all
    trader.eventually(lambda: shown("rows => rows.map(row => row.dataset.symbol)") == every, "all symbols")

    def agrees(symbol: str) -> bool:
        # Both within the page: a price lasts for a tenth of a second.
        cells, lines = trader.page.evaluate(
            """async symbol => {
              const summary = await (await fetch("/api/v1/market-summary")).json();
              const row = document.querySelector(`#market tr[data-symbol="${symbol}"]`);
              return [[...row.cells].map(cell => cell.textContent), summary.symbols];
            }""",
            symbol,
        )
        line = next(each for each in lines if each["symbol"] == symbol)
        wanted = [f"{line['price']:,.2f}", f"{line['low']:,.2f}", f"{line['high']:,.2f}"]
        return [cells[1], cells[5], cells[6]] == wanted

    for symbol in SYMBOLS:
        trader.eventually(lambda symbol=symbol: agrees(symbol), f"{symbol} as REST has it")  # type: ignore[misc]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_bars_are_those_of_rest(trader: Trader, symbol: str) -> None:
    """Each final bar, number by number; and the live one moves."""
    trader.open_symbol(symbol)
    trader.eventually(lambda: trader.agrees(symbol), f"the bars of {symbol}")
    live = trader.page.locator("#bars tbody tr").first
    before = live.inner_text()
    trader.eventually(lambda: live.inner_text() != before, "the live bar moves")
    expect(trader.page.locator("#chart canvas").first).to_be_visible()


def test_a_late_trade_is_a_new_version_on_the_page(trader: Trader, live_system: LiveSystem) -> None:
    """The bar that was final already gets its new high, in words and numbers as REST has it."""
    trader.open_symbol("AAPL")
    trader.eventually(lambda: trader.agrees("AAPL"), "the bars before")
    bar = next(bar for bar in trader.get("candles/AAPL", interval="1m", limit=5)["candles"] if bar["final"])
    at = int(time.time()) * 1_000_000 // 60_000_000 * 60_000_000 - 30_000_000
    late = Trade(
        "AAPL", at, time.time_ns() // 1000, bar["high"] + 1, 10.0, f"late-{at}", 1 << 52, "simulator", "SIM"
    )
    kafka = KafkaSettings(
        kafka_bootstrap_servers=live_system.environment["KAFKA_BOOTSTRAP_SERVERS"],
        schema_registry_url=live_system.environment["SCHEMA_REGISTRY_URL"],
    )
    Market(kafka).publish(late)
    high = f"{late.price:,.2f}"

    def revised() -> bool:
        return any((cells[0], cells[2]) == ("revised", high) for cells in trader.bars().values())

    trader.eventually(revised, f"a revised bar with the high {high}")
    trader.eventually(lambda: trader.agrees("AAPL"), "the bars afterwards")


def test_the_page_survives_the_death_of_the_api(trader: Trader, live_system: LiveSystem) -> None:
    """Without being loaded again: it says that it is not live, and then shows what REST has."""
    trader.open_symbol("MSFT")
    trader.eventually(lambda: trader.agrees("MSFT"), "the bars before")
    os.kill(live_system.process("api").pid, signal.SIGKILL)
    expect(trader.page.locator("#connection")).to_have_text("Reconnecting")
    expect(trader.page.locator("#connection")).to_have_text("Live")
    for symbol in SYMBOLS:
        trader.open_symbol(symbol)
        # The API may not have its storage yet: then the page asks again, as REST tells it to.
        trader.eventually(trader.storage_answers, "the API has its storage again")
        trader.eventually(lambda symbol=symbol: trader.agrees(symbol), f"the bars of {symbol}")  # type: ignore[misc]
    assert trader.page.evaluate("window.sameDocument") is True


def test_the_keyboard_reaches_every_interval(trader: Trader) -> None:
    """1 to 6; the newest bar is the one that REST has under that interval."""
    for key, interval in enumerate(("1m", "5m", "15m", "1h", "4h", "1d"), start=1):
        trader.page.keyboard.press(str(key))
        newest = trader.get("candles/NVDA", interval=interval, limit=1)["candles"][0]["start"]
        trader.page.wait_for_selector(f"#bars tr[data-start='{newest}']")


@pytest.mark.parametrize(
    "filters", [{}, {"severity": "high,critical"}, {"type": "volume_anomaly"}, {"symbol": "AAPL"}]
)
def test_the_alerts_are_those_of_rest(trader: Trader, filters: dict[str, str]) -> None:
    """The newest twenty, under each filter."""
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    trader.page.evaluate("place => { location.hash = place; }", f"#/alerts?{query}")

    def agrees() -> bool:
        stored = [alert["alert_id"] for alert in trader.get("alerts", limit=20, **filters)["alerts"]]
        rows = trader.page.locator("#alerts tbody tr")
        shown = json.loads(rows.evaluate_all("rows => JSON.stringify(rows.map(row => row.dataset.alert))"))
        return sorted(shown[: len(stored)]) == sorted(stored)

    trader.eventually(agrees, f"the alerts of {filters}")


def test_the_latency_of_the_way_is_shown(trader: Trader) -> None:
    """Trades were measured, and the page knows the server's clock."""
    trader.page.keyboard.press("l")
    expect(trader.page.locator("#latency-facts")).to_contain_text("ms")
    expect(trader.page.locator("#connection-facts")).to_contain_text("taken out")
