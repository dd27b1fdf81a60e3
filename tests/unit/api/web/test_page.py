"""The page in a real browser, over a small market with the real WebSocket sessions."""

import re
from dataclasses import replace
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, Route, expect

from api.times import wall_clock
from schemas.events import Candle
from tests.support.api import candle_json, utc
from tests.support.browser import watched_page
from tests.support.page_market import (
    Market,
    a_cancel,
    a_quote,
    a_trade,
    an_alert,
    next_version,
)
from tests.support.reading import eventually
from tests.unit.api.web.conftest import OpenPage

VIEWS = ("", "#/symbol/AAPL", "#/alerts", "#/latency")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


A_CHART = """async () => {
  const { PriceChart } = await import("/assets/js/chart/price_chart.js");
  const { fromJson } = await import("/assets/js/bars.js");
  const { catalogue } = await import("/assets/js/chart/catalogue.js");
  const { Theme } = await import("/assets/js/theme.js");
  const create = LightweightCharts.createChart;
  let chart;
  const createChart = (...all) => (chart = create(...all));
  window.LightweightCharts = { ...LightweightCharts, createChart };
  const box = document.createElement("div");
  document.body.append(box);
  box.style.width = "900px";
  box.style.height = "400px";
  const nothing = () => {};
  const made = new PriceChart(box, new Theme(), { onHistory: nothing, onHover: nothing, onAway: nothing });
  window.draw = async (bars, how) => {
    const all = bars.map(fromJson);
    made.build(all, catalogue(all), how);
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    return chart;
  };
}"""
"""A chart by itself: window.draw(bars, how) draws them and gives the library's chart."""


def as_json(bar: Candle) -> dict[str, Any]:
    return candle_json(bar) | {"indicators": dict(bar.indicators)}


def price(value: float | None) -> str:
    assert value is not None
    return f"{value:,.2f}"


def row(page: Page, symbol: str) -> "list[str]":
    """Symbol, price, change, change %, (the line,) low and high as the grid shows them."""
    cells = page.locator(f"#market tr[data-symbol='{symbol}'] > *").all_inner_texts()
    return [text.strip() for text in cells]


def newest_bar(page: Page) -> "list[str]":
    return page.locator("#bars tbody tr").first.locator("td").all_inner_texts()


def some_alerts(market: Market) -> None:
    market.alerts = [
        an_alert("AAPL", "price_spike", "critical", 1),
        an_alert("MSFT", "volume_anomaly", "medium", 2),
        an_alert("AAPL", "stale_feed", "high", 3, status="resolved"),
        an_alert("MSFT", "price_spike", "low", 4),
    ]


def shown_alerts(page: Page) -> list[str]:
    return page.locator("#alerts tbody tr").evaluate_all("rows => rows.map(row => row.dataset.alert)")


def test_the_market_shows_what_rest_says_and_then_every_live_bar(market: Market, open_page: OpenPage) -> None:
    """Price, change and change % of the previous close, high and low move with the newest version."""
    before = market.summary("AAPL")
    page = open_page()
    expect(page.locator("#market tbody tr")).to_have_count(len(market.symbols))
    cells = row(page, "AAPL")
    sign = "+" if before["change"] > 0 else "−"
    assert cells[:4] == [
        "AAPL",
        price(before["price"]),
        f"{sign}{abs(before['change']):,.2f}",
        f"{sign}{abs(before['change_percent']):,.2f}%",
    ]
    assert cells[5:7] == [price(before["low"]), price(before["high"])]
    top = round(before["high"] * 1.05, 2)
    market.publish(next_version(market.last("AAPL"), top))
    expect(page.locator("#market tr[data-symbol=AAPL] td").first).to_have_text(price(top))
    assert row(page, "AAPL")[6] == price(top)
    assert row(page, "AAPL")[2] == f"+{top - before['previous_close']:,.2f}"


def test_a_stale_symbol_is_marked_until_something_comes(market: Market, open_page: OpenPage) -> None:
    """In words, not by colour alone."""
    page = open_page()
    last = market.symbols[-1]
    expect(page.locator(f"#market tr[data-symbol={last}] th")).to_have_text(f"{last}stale")
    expect(page.locator("#market-facts")).to_contain_text("1 stale")
    market.publish(next_version(market.last(last), 50.0))
    expect(page.locator(f"#market tr[data-symbol={last}] .tag")).to_be_hidden()


def test_the_end_of_a_bar_is_no_news_of_a_symbol(market: Market, open_page: OpenPage) -> None:
    """Silent it stays, and as old as its last trade, be its bar at its end, corrected or of a snapshot."""
    last = market.symbols[-1]
    bar = market.last(last)
    summary = market.summary
    market.summary = lambda symbol: summary(symbol) | {"time": utc(wall_clock() - 600_000_000)}  # type: ignore[method-assign]
    market.publish(bar)  # the page gets it as what is newest
    page = open_page()
    line = page.locator(f"#market tr[data-symbol={last}]")
    corrected = replace(bar, close=50.0, version=bar.version + 2)
    final = replace(next_version(corrected, 51.0, final=True), trades=bar.trades)
    for version in (corrected, final):
        market.publish(version)
        expect(line).to_have_attribute("data-version", str(version.version))
        expect(line.locator("td").first).to_have_text(price(version.close))
        expect(line.locator(".tag")).to_be_visible()
        expect(line.locator("td").last).to_have_text("10 min")
    page.keyboard.press("a")
    page.wait_for_timeout(2_100)  # what came live counts more than a summary for so long
    market.publish(replace(final, close=52.0, version=final.version + 2))
    market.summary = lambda symbol: summary(symbol) | {"time": utc(wall_clock() - 1_200_000_000)}  # type: ignore[method-assign]

    def slowly(route: Route) -> None:
        page.wait_for_timeout(500)  # the snapshot comes first
        route.continue_()

    page.route("**/market-summary", slowly)
    page.keyboard.press("m")
    expect(line.locator("td").last).to_have_text("20 min", timeout=5_000)
    market.publish(next_version(market.last("AAPL"), 50.0))
    expect(page.locator("#market tr[data-symbol=AAPL] td").last).to_have_text(re.compile(r"^(now|\d+ s)$"))


def test_the_oldest_come_first_where_ages_descend(market: Market, open_page: OpenPage) -> None:
    """The arrow tells of what stands in the column."""
    summary = market.summary

    def ages(symbol: str) -> dict[str, object]:
        age_us = market.symbols.index(symbol) * 60_000_000
        return summary(symbol) | {"time": utc(wall_clock() - age_us)}

    market.summary = ages  # type: ignore[method-assign]
    page = open_page()
    expect(page.locator("#market tbody tr")).to_have_count(len(market.symbols))
    page.click("[data-column=age] button")
    assert page.get_attribute("[data-column=age]", "aria-sort") == "descending"
    expect(page.locator("#market tbody tr").first).to_have_attribute("data-symbol", market.symbols[-1])
    page.click("[data-column=age] button")
    expect(page.locator("#market tbody tr").first).to_have_attribute("data-symbol", market.symbols[0])


def test_the_head_of_the_market_stays_in_sight(open_page: OpenPage) -> None:
    """Below the bar at the top, while the page is scrolled."""
    page = open_page(viewport={"width": 1280, "height": 300})
    expect(page.locator("#market tbody tr")).to_have_count(10)
    page.evaluate("scrollTo(0, 200)")
    page.wait_for_function("() => scrollY > 100")
    head, bar = page.locator("#market thead th").first.bounding_box(), page.locator(".bar").bounding_box()
    assert head is not None
    assert bar is not None
    assert head["y"] == bar["height"]


def test_five_hundred_symbols_are_written_in_batches(browser: Browser) -> None:
    """20,000 bars are a few writes of the grid; at the end every row is right, seen or not."""
    market = Market([f"S{number:03}" for number in range(500)], bars=5)
    market.start()
    try:
        with watched_page(browser) as page:
            page.goto(market.address)
            expect(page.locator("#market tbody tr")).to_have_count(500)
            market.publish(next_version(market.last("S499"), 1.0))
            expect(page.locator("#market tr[data-symbol=S499] td").first).to_have_text("1.00")
            page.evaluate(
                """() => {
                  window.writes = 0;
                  const options = {subtree: true, childList: true, characterData: true};
                  new MutationObserver(() => { window.writes += 1; })
                    .observe(document.querySelector("#market tbody"), options);
                }"""
            )
            bars = 0
            for number in range(40):
                news = [next_version(market.last(name), 100 + number) for name in market.symbols]
                market.publish(*news)
                bars += len(news)
            page.wait_for_function(
                """() => [...document.querySelectorAll("#market tbody tr")]
                  .every(row => row.cells[1].textContent === "139.00")"""
            )
            writes = page.evaluate("window.writes")
            assert 0 < writes < bars / 100
            page.locator("[data-column=price] button").click()
            first = page.locator("#market tbody tr").first
            expect(first).to_have_attribute("data-symbol", "S000")
            assert page.locator("[data-column=price]").get_attribute("aria-sort") == "descending"
    finally:
        market.stop()


def test_the_symbol_view_shows_bars_quote_and_trades(market: Market, open_page: OpenPage) -> None:
    """The live bar moves, provisional until it is final; a trade that is cancelled is struck out; a bar that
    was observed in part says so."""
    page = open_page("#/symbol/MSFT?interval=1m")
    bar = market.last("MSFT")
    expect(page.locator("#bars tbody tr").first).to_have_attribute("data-state", "live")
    assert newest_bar(page)[2:6] == [price(bar.open), price(bar.high), price(bar.low), price(bar.close)]
    expect(page.locator("#chart canvas").first).to_be_visible()
    expect(page.locator("#legend [data-state=live]")).to_have_text("live")
    expect(page.locator("#legend span").first).to_have_text(re.compile(r"^\d\d-\d\d \d\d:\d\d UTC$"))
    moved = next_version(bar, (bar.high or 0) + 1)
    trades = [a_trade("MSFT", 100.25, 1), a_trade("MSFT", 100.5, 2, age_us=0)]
    market.publish(moved, a_quote("MSFT", 100.0, 100.5, 1), *trades)
    expect(page.locator("#bars tbody tr").first.locator("td").nth(5)).to_have_text(price(moved.close))
    expect(page.locator("#bid")).to_have_text("100.00")
    expect(page.locator("#spread")).to_have_text("0.50")
    expect(page.locator("#spread-bps")).to_have_text("49.9 bp")
    expect(page.locator("#symbol-price")).to_have_text("100.50")
    expect(page.locator("#tape tbody tr").first.locator("td").nth(1)).to_have_text("100.50")
    expect(page.locator("#legend")).not_to_contain_text("observed")
    partly = replace(next_version(moved, moved.close or 0, final=True), observed=0.75)
    market.publish(a_cancel(trades[1], 1), partly)
    expect(page.locator("#legend")).to_contain_text("observed75.0%")
    expect(page.locator("#tape tbody tr").first).to_have_attribute("data-state", "cancelled")
    expect(page.locator("#bars tbody tr").first).to_have_attribute("data-state", "final")


def test_what_became_of_a_trade_is_shown_after_a_reload_too(market: Market, open_page: OpenPage) -> None:
    """REST gives trades as they were first reported; of several corrections the latest counts."""
    trades = [a_trade("MSFT", 100.25, 1), a_trade("MSFT", 100.5, 2), a_trade("MSFT", 100.75, 3)]
    cancel = a_cancel(trades[0], 1)
    mended = replace(a_cancel(trades[1], 2), kind="correct", price=100.35, size=7.0)
    later = replace(mended, correction_id="c3", event_time=mended.event_time + 5, price=100.45)
    market.publish(*trades, cancel, mended, later)
    page = open_page("#/symbol/MSFT?interval=1m")
    rows = page.locator("#tape tbody tr")
    states = {"100.25": "cancelled", "100.45": "corrected", "100.75": None}
    expect(rows.filter(has_text="100.45")).to_have_count(1)
    for shown, state in states.items():
        row = rows.filter(has_text=shown)
        assert row.get_attribute("data-state") == state


def test_another_day_begins_while_the_page_is_open(market: Market, open_page: OpenPage) -> None:
    """From its first bar on the change is counted from the close of the day that is over."""
    page = open_page("#/symbol/AAPL?interval=1m")
    over = market.last("AAPL", "1d")
    assert over.close is not None
    expect(page.locator("#day")).to_contain_text(
        f"Prev. close{price(market.summary('AAPL')['previous_close'])}"
    )
    begun = replace(next_version(over, over.close), start=over.end, end=2 * over.end - over.start, version=2)
    market.publish(a_trade("AAPL", over.close + 1.5, 1), begun)
    expect(page.locator("#day")).to_contain_text(f"Prev. close{price(over.close)}")
    expect(page.locator("#symbol-change")).to_contain_text("+1.50")


def test_a_page_that_is_not_looked_at_keeps_no_more_trades_than_it_shows(open_page: OpenPage) -> None:
    """Browsers give a page in the background no frames, for hours: the newest trades are written then."""
    page = open_page()
    read, shown = page.evaluate(
        """async () => {
          const { Tape } = await import("/assets/js/views/tape.js");
          const tape = new Tape();
          let read = 0;
          for (let number = 0; number < 10_000; number += 1) {
            tape.take({
              get price() { read += 1; return number; }, size: 1, sequence: number, trade_id: `t${number}`,
              source: "s", event_time: new Date(number).toISOString(), updates_open_close: true,
            });
          }
          tape.write();
          return [read, tape.last.price];
        }"""
    )
    assert 200 <= read <= 400
    assert shown == 9_999


def test_a_new_version_of_an_old_bar_is_drawn(market: Market, open_page: OpenPage) -> None:
    """In the table and in the chart; an older version that comes late changes nothing."""
    page = open_page("#/symbol/AAPL?interval=1m")
    expect(page.locator("#bars tbody tr").first).to_be_visible()
    starts = sorted(market.candles("AAPL", "1m"))
    old = market.candles("AAPL", "1m")[starts[-4]]
    chart = page.locator("#chart")
    page.wait_for_timeout(500)
    before = chart.screenshot()
    revised = next_version(old, round((old.high or 0) * 1.2, 2), final=True, late=1)
    market.publish(revised, old)
    line = page.locator("#bars tbody tr").nth(3)
    expect(line).to_have_attribute("data-state", "revised")
    cells = line.locator("td").all_inner_texts()
    assert (cells[3], cells[5], cells[10]) == (
        price(revised.high),
        price(revised.close),
        str(revised.version),
    )
    assert chart.screenshot() != before


def test_bars_of_a_provider_are_marked_until_there_are_some_of_ours(
    market: Market, open_page: OpenPage
) -> None:
    """The first live bar of ours brings ours, and none of the provider's stays beside them."""
    market.provider = "yahoo"
    page = open_page("#/symbol/AAPL?interval=1m")
    expect(page.locator("#symbol-provider")).to_have_text("bars of yahoo")
    market.provider = None
    market.publish(next_version(market.last("AAPL"), 91.0))
    expect(page.locator("#symbol-provider")).to_be_hidden()
    expect(page.locator("#bars tbody tr").first.locator("td").nth(5)).to_have_text("91.00")


def test_history_loads_while_the_chart_is_scrolled(market: Market, open_page: OpenPage) -> None:
    """Page by page, by the cursor of the answer before, and no page twice."""
    page = open_page("#/symbol/AAPL?interval=1m")
    expect(page.locator("#bars tbody tr").first).to_be_visible()
    box = page.locator("#chart").bounding_box()
    assert box is not None
    starts = sorted(market.candles("AAPL", "1m"), reverse=True)

    def cursors() -> list[str]:
        found = [re.search(r"cursor=(\d+)", line) for line in market.requests if "/candles/AAPL" in line]
        return [each.group(1) for each in found if each]

    for _ in range(12):
        if cursors():
            break
        page.mouse.move(box["x"] + 100, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 100, box["y"] + 200, steps=4)
        page.mouse.up()
        page.wait_for_timeout(150)
    page.wait_for_timeout(300)
    assert cursors() == [str(starts[299])]


def test_the_chart_goes_back_by_keyboard_and_to_now_by_a_button(market: Market, open_page: OpenPage) -> None:
    """As long as the newest bar is out of sight the button is there, for touch, too."""
    page = open_page("#/symbol/AAPL?interval=1m")
    expect(page.locator("#bars tbody tr").first).to_be_visible()
    expect(page.locator("#chart canvas").first).to_be_visible()
    expect(page.locator("#to-now")).to_be_hidden()
    page.keyboard.press(",")
    expect(page.locator("#to-now")).to_be_visible()
    oldest = sorted(market.candles("AAPL", "1m"), reverse=True)[299]

    def further_back() -> bool:
        """How far each step goes depends on how wide the chart is by then."""
        page.keyboard.press(",")
        return any(f"cursor={oldest}" in line for line in market.requests)

    eventually(further_back, 30, "older bars are asked for")
    page.click("#to-now")
    expect(page.locator("#to-now")).to_be_hidden()


def test_what_was_missed_is_replayed_after_a_broken_connection(market: Market, open_page: OpenPage) -> None:
    """REST is not asked again."""
    page = open_page("#/symbol/AAPL?interval=1m")
    expect(page.locator("#bars tbody tr").first).to_be_visible()
    market.publish(next_version(market.last("AAPL"), 90.0))
    expect(page.locator("#bars tbody tr").first.locator("td").nth(5)).to_have_text("90.00")
    asked = [line for line in market.requests if "/candles/" in line]
    market.drop_connections()
    market.publish(next_version(market.last("AAPL"), 91.0))
    market.publish(next_version(market.last("AAPL"), 92.5))
    expect(page.locator("#bars tbody tr").first.locator("td").nth(5)).to_have_text("92.50")
    assert [line for line in market.requests if "/candles/" in line] == asked


def test_a_restart_of_the_server_is_survived(market: Market, open_page: OpenPage) -> None:
    """The page says that it is not live, comes back by itself, and reads by REST what it missed."""
    page = open_page("#/symbol/AAPL?interval=1m")
    expect(page.locator("#bars tbody tr").first).to_be_visible()
    page.evaluate("window.same = true")
    expect(page.locator("#view-symbol .when-lost")).to_be_hidden()
    market.stop()
    expect(page.locator("#connection")).to_have_text("Reconnecting")
    expect(page.locator("#view-symbol .when-lost")).to_have_text("not live")
    expect(page.locator("#view-symbol .when-lost")).to_be_visible()
    expect(page.locator("#legend")).to_contain_text("not live")
    expect(page.locator("#bars tbody tr").first.locator("td").nth(1)).to_have_text("not live")
    assert page.locator("main :is(.big, tbody, .book)").evaluate_all(
        "all => all.every((each) => getComputedStyle(each).opacity === '1')"
    )
    market.miss(next_version(market.last("AAPL"), 93.25))
    market.restart()
    expect(page.locator("#bars tbody tr").first.locator("td").nth(5)).to_have_text("93.25")
    expect(page.locator("#connection")).to_have_text("Live")
    market.publish(next_version(market.last("AAPL"), 94.5))
    expect(page.locator("#bars tbody tr").first.locator("td").nth(5)).to_have_text("94.50")
    expect(page.locator("#legend")).not_to_contain_text("not live")
    assert page.evaluate("window.same") is True


def test_trades_that_were_skipped_are_counted(market: Market, open_page: OpenPage) -> None:
    """Where more come than the server keeps for one client, the list says so."""
    page = open_page("#/symbol/AAPL?interval=1m")
    expect(page.locator("#bars tbody tr").first).to_be_visible()
    expect(page.locator("#tape-hint")).to_have_text("none yet")
    market.flood(*(a_trade("AAPL", 100.0, number, age_us=9_000 - number) for number in range(6_000)))
    expect(page.locator("#tape-hint")).to_contain_text("skipped")


def test_a_key_is_asked_for_once_and_used_for_both(market: Market, open_page: OpenPage) -> None:
    """REST by its header, the WebSocket by its subprotocol; a reload in the same tab asks no more."""
    market.key = "ts_secret"
    page = open_page(live=False)
    dialog = page.locator("#key-dialog")
    expect(dialog).to_be_visible()
    page.fill("#key", "ts_secret")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#market tbody tr")).to_have_count(len(market.symbols))
    expect(page.locator("#connection")).to_have_text("Live")
    page.reload()
    expect(page.locator("#connection")).to_have_text("Live")
    expect(dialog).to_be_hidden()


def test_who_has_no_key_is_asked_once(market: Market, open_page: OpenPage) -> None:
    """After Cancel a notice offers to enter one; the dialog does not come back by itself."""
    market.key = "ts_secret"
    page = open_page(live=False)
    dialog = page.locator("#key-dialog")
    expect(dialog).to_be_visible()
    expect(page.locator("#key-notice")).to_be_hidden()
    page.click("#key-cancel")
    expect(dialog).to_be_hidden()
    tries = len(market.requests)
    eventually(lambda: len(market.requests) > tries + 2, 20, "the page tries again")
    expect(dialog).to_be_hidden()
    page.click("#key-again")
    page.fill("#key", "ts_secret")
    page.keyboard.press("Enter")
    expect(page.locator("#key-notice")).to_be_hidden()
    expect(page.locator("#market tbody tr")).to_have_count(len(market.symbols))
    expect(page.locator("#connection")).to_have_text("Live")


def test_a_symbol_that_is_being_typed_filters_nothing_yet(market: Market, open_page: OpenPage) -> None:
    """Half of a name would leave no alert: it counts when it is a name, or when Enter says that it is one."""
    some_alerts(market)
    page = open_page("#/alerts")
    expect(page.locator("#alerts tbody tr")).to_have_count(4)
    page.locator("#symbol-names option").first.wait_for(state="attached")
    page.focus("#alert-filters [name=symbol]")
    page.keyboard.type("aap")
    page.wait_for_timeout(500)
    assert len(shown_alerts(page)) == 4
    page.keyboard.type("l")
    expect(page.locator("#alerts tbody tr")).to_have_count(2)
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    expect(page.locator("#alerts tbody tr")).to_have_count(0)


def test_alerts_are_filtered_and_kept_up_to_date(market: Market, open_page: OpenPage) -> None:
    """By symbol, type and severity, also those that come; the address holds the filters."""
    some_alerts(market)
    one, two, three, four = (alert.alert_id for alert in market.alerts)
    page = open_page("#/alerts")
    expect(page.locator("#alerts tbody tr")).to_have_count(4)
    assert shown_alerts(page) == [one, two, three, four]
    page.select_option("#alert-filters [name=type]", "price_spike")
    expect(page.locator("#alerts tbody tr")).to_have_count(2)
    assert shown_alerts(page) == [one, four]
    page.select_option("#alert-filters [name=type]", "")
    page.check("#alert-filters [value=high]")
    page.check("#alert-filters [value=critical]")
    page.fill("#alert-filters [name=symbol]", "aapl")
    expect(page.locator(f"#alerts tr[data-alert='{three}']")).to_be_visible()
    expect(page.locator("#alerts tbody tr")).to_have_count(2)
    assert shown_alerts(page) == [one, three]
    assert page.evaluate("location.hash") == "#/alerts?symbol=AAPL&severity=high%2Ccritical"
    news = an_alert("AAPL", "price_outlier", "high", 0)
    market.publish(
        news, an_alert("AAPL", "price_outlier", "low", 5), an_alert("V", "price_outlier", "high", 6)
    )
    expect(page.locator("#alerts tbody tr")).to_have_count(3)
    assert shown_alerts(page) == [news.alert_id, one, three]
    market.publish(an_alert("AAPL", "price_spike", "critical", 1, status="retracted", revision=1))
    expect(page.locator(f"#alerts tr[data-alert='{one}']")).to_have_attribute("data-status", "retracted")
    page.reload()
    expect(page.locator("#alerts tbody tr")).to_have_count(3)
    page.click("#alert-filters button")
    expect(page.locator("#alerts tbody tr")).to_have_count(7)


def test_loud_alerts_are_announced_and_counted(market: Market, open_page: OpenPage) -> None:
    """For screen readers, in every view; ticks are not."""
    page = open_page()
    market.publish(an_alert("AAPL", "price_spike", "critical", 0), an_alert("V", "stale_feed", "low", 0))
    expect(page.locator("#announce")).to_contain_text("Alert, critical: AAPL price spike")
    expect(page.locator("#unseen")).to_have_text("2")
    assert page.locator("main [aria-live], main [role=log]").count() == 0


def test_a_new_alert_leaves_the_focus_where_it_is(market: Market, open_page: OpenPage) -> None:
    """In the table and in the lists: who reads by keyboard is not thrown back to the top of the page."""
    some_alerts(market)
    page = open_page("#/alerts")
    focused = "() => document.activeElement.closest('[data-alert]')?.dataset.alert"
    for place, item in (("#/alerts", "#alerts tr"), ("#/", "#market-alert-list li")):
        page.goto(market.address + place)
        held = market.alerts[2].alert_id
        page.locator(f"{item}[data-alert='{held}'] a").focus()
        news = an_alert("MSFT", "price_outlier", "low", -1 if place == "#/" else 0)
        market.publish(news)
        expect(page.locator(f"{item}[data-alert='{news.alert_id}']")).to_be_visible()
        assert page.evaluate(focused) == held
    revised = replace(market.alerts[2], revision=9, message="it goes on")
    market.publish(revised)
    expect(page.locator(f"{item}[data-alert='{held}']")).to_contain_text("it goes on")
    assert page.evaluate(focused) == held


def test_the_arrows_scroll_what_has_the_focus(open_page: OpenPage) -> None:
    """A table that is wider than its box moves, and the symbol stays; elsewhere the new one is announced."""
    page = open_page("#/symbol/AAPL?interval=1m", **PHONE)
    expect(page.locator("#bars tbody tr").first).to_be_visible()
    expect(page.get_by_role("columnheader", name="Version")).to_be_visible()
    page.get_by_role("region", name="Table of bars").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.getElementById('bars').parentElement.scrollLeft > 0")
    expect(page.locator("#symbol-name")).to_have_text("AAPL")
    page.locator("#main").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#symbol-name")).to_have_text("AMZN")
    expect(page.locator("#announce")).to_have_text("AMZN")


def test_the_help_begins_at_its_beginning(open_page: OpenPage) -> None:
    """Also where it does not fit: the button at its end would scroll it there."""
    page = open_page(viewport={"width": 640, "height": 360})
    page.keyboard.press("?")
    expect(page.locator("#help-title")).to_be_focused()
    assert page.locator("#help-dialog").evaluate("dialog => dialog.scrollTop") == 0
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#help-dialog")).to_be_hidden()


def test_everything_can_be_done_by_keyboard(market: Market, open_page: OpenPage) -> None:
    """Search, rows, intervals, neighbours, views and help."""
    page = open_page()
    expect(page.locator("#market tbody tr")).to_have_count(len(market.symbols))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#symbol-name")).to_have_text("AMZN")
    page.keyboard.press("2")
    expect(page.locator("#intervals input[value='5m']")).to_be_checked()
    expect(page.locator("#bars tbody tr").first).to_be_visible()
    assert page.evaluate("location.hash") == "#/symbol/AMZN?interval=5m"
    page.keyboard.press("ArrowRight")
    expect(page.locator("#symbol-name")).to_have_text("GOOGL")
    expect(page.locator("#intervals input[value='5m']")).to_be_checked()
    page.keyboard.press("/")
    page.keyboard.type("ms")
    page.keyboard.press("Enter")
    expect(page.locator("#symbol-name")).to_have_text("MSFT")
    page.keyboard.press("a")
    expect(page.locator("#view-alerts")).to_be_visible()
    page.keyboard.press("l")
    expect(page.locator("#view-latency")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#view-market")).to_be_visible()
    page.keyboard.press("?")
    expect(page.locator("#help-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help-dialog")).to_be_hidden()


def test_every_price_of_a_symbol_has_the_decimals_that_its_prices_need(
    market: Market, open_page: OpenPage
) -> None:
    """In the title, the book, the trades, the legend, table and grid; one finer price refines all."""
    held = market.candles("V", "1m")
    for number, (start, bar) in enumerate(held.items()):
        rate = round(1.08 + number / 10_000, 4)
        held[start] = replace(bar, open=rate, high=rate + 0.0002, low=rate - 0.0002, close=rate)
    for start, bar in market.candles("V", "1d").items():
        market.candles("V", "1d")[start] = replace(bar, open=1.1, high=1.2, low=1.0, close=1.1)
    market.trades["V"] = [a_trade("V", 1.1, 1, age_us=2_000_000)]
    close, other = market.last("V").close, price(market.last("AAPL").close)
    page = open_page("#/symbol/V?interval=1m")
    expect(page.locator("#legend")).to_contain_text(f"C{close:.4f}")
    expect(page.locator("#tape tbody tr").first.locator("td").nth(1)).to_have_text("1.1000")
    market.publish(a_quote("V", 1.08455, 1.08457, 1), a_trade("V", 1.08, 2, age_us=0))
    expect(page.locator("#bid")).to_have_text("1.08455")
    expect(page.locator("#spread")).to_have_text("0.00002")
    expect(page.locator("#symbol-price")).to_have_text("1.08000")
    expect(page.locator("#tape tbody tr").first.locator("td").nth(1)).to_have_text("1.08000")
    expect(page.locator("#day")).to_contain_text("High1.20000")
    assert newest_bar(page)[5] == f"{close:.5f}"
    page.evaluate("location.hash = '#/symbol/AAPL'")
    expect(page.locator("#bars tbody tr").first.locator("td").nth(5)).to_have_text(other)
    page.evaluate("location.hash = '#/'")
    expect(page.locator("#market tr[data-symbol=V] td").first).to_have_text(f"{close:.4f}")


def test_numbers_are_never_rounded_to_nothing(open_page: OpenPage) -> None:
    """Nor to a thousand of a unit; and binary fractions are no decimals."""
    page = open_page()
    amounts, prices, decimals = page.evaluate(
        """async () => {
          const { Precision, amount, price, signed } = await import("/assets/js/format.js");
          const decimals = (...prices) => {
            const precision = new Precision();
            precision.see(...prices);
            return precision.decimals;
          };
          return [
            [0.00001, 0.5, 0.012345, 1.5, 150.25, 9_000, 999_949, 999_999, 999_999_999, 2e9].map(amount),
            [price(-0.001), price(-0.136, 3), signed(-0.001), signed(2), signed(null)],
            [
              decimals(), decimals(5), decimals(0.1 + 0.2), decimals(1.08455, 1.1), decimals(2.3451),
              decimals(171.2100067138672), decimals(65_000.1234), decimals(1e-10), decimals(null, undefined),
            ],
          ];
        }"""
    )
    assert amounts == [
        "0.00001", "0.5", "0.01235", "1.5000", "150.3", "9,000", "999.9K", "1.00M", "1.00B", "2.00B",
    ]  # fmt: skip
    assert prices == ["0.00", "−0.136", "+0.00", "+2.00", "–"]
    assert decimals == [2, 2, 2, 5, 4, 2, 4, 8, 2]


def test_indicators_are_chosen_and_remembered(open_page: OpenPage) -> None:
    """What bars carry is offered; what is chosen is in the legend, also after a reload."""
    page = open_page("#/symbol/AAPL?interval=1m")
    page.click("#indicator-menu summary")
    offered = page.locator("#indicators label").all_inner_texts()
    assert [text.strip() for text in offered] == [
        "Session VWAP", "Bollinger 20, 2", "SMA 20", "EMA 12", "RSI 14", "MACD 12, 26, 9", "ATR 14",
    ]  # fmt: skip
    page.check("#indicators [value=sma_20]")
    page.uncheck("#indicators [value=vwap]")
    expect(page.locator("#legend")).to_contain_text("SMA 20")
    expect(page.locator("#legend")).not_to_contain_text("VWAP")
    page.reload()
    expect(page.locator("#legend")).to_contain_text("SMA 20")
    expect(page.locator("#legend")).not_to_contain_text("VWAP")


def test_an_indicator_without_a_value_says_what_it_waits_for(market: Market, open_page: OpenPage) -> None:
    """The menu says how many bars are needed; what would have a value by now, but has none, is not there."""
    held = market.candles("V", "1m")
    for number, start in enumerate(sorted(held, reverse=True)):
        if number >= 25:
            del held[start]
        else:
            held[start] = replace(held[start], indicators={"session_vwap": 100.0})
    page = open_page("#/symbol/V?interval=1m")
    page.click("#indicator-menu summary")
    expect(page.locator("#indicators label")).to_have_text(
        ["Session VWAP", "SMA 50needs 50 bars", "SMA 200needs 200 bars", "EMA 26needs 26 bars",
         "MACD 12, 26, 9needs 34 bars"]
    )  # fmt: skip
    expect(page.locator("#indicators input:disabled")).to_have_count(4)
    page.keyboard.press("6")
    expect(page.locator("#indicators label").last).to_have_text("ATR 14")


def test_few_bars_are_shown_as_few(market: Market, open_page: OpenPage) -> None:
    """The chart has room for thirty, not for hours that never were; a sparkline of minutes is short."""
    held = market.candles("V", "1m")
    for start in sorted(held)[:-4]:
        del held[start]
    page = open_page()
    d = page.locator("#market tr[data-symbol=V] .spark path").get_attribute("d")
    assert d is not None
    assert d.startswith("M94.9 ")
    assert "L100.0 " in d
    page.evaluate(A_CHART)
    bars = [as_json(bar) for _, bar in sorted(market.candles("AAPL", "1m").items())]

    def seen(count: int, *, dates: bool) -> list[object]:
        found: list[object] = page.evaluate(
            """async ([bars, how]) => {
              const chart = await window.draw(bars, how);
              const { from, to } = chart.timeScale().getVisibleLogicalRange();
              return [Math.round(to - from), chart.timeScale().options().timeVisible];
            }""",
            [bars[-count:], {"dates": dates}],
        )
        return found

    assert seen(4, dates=True) == [34, False]
    assert seen(100, dates=False) == [104, True]
    assert seen(300, dates=False) == [144, True]


def test_the_tag_of_the_price_is_the_newest_wherever_the_chart_is(
    market: Market, open_page: OpenPage
) -> None:
    """The library's own is that of the last bar in sight."""
    page = open_page()
    page.evaluate(A_CHART)
    bars = [as_json(bar) for _, bar in sorted(market.candles("AAPL", "1m").items())]
    tags = page.evaluate(
        """async (bars) => {
          const chart = await window.draw(bars, {});
          chart.timeScale().scrollToPosition(-200, false);
          const candles = chart.panes()[0].getSeries().find((each) => each.seriesType() === "Candlestick");
          const lines = candles.priceLines().map((line) => line.options());
          const own = candles.options().lastValueVisible;
          return [own, ...lines.map(({ price, axisLabelVisible }) => [price, axisLabelVisible])];
        }""",
        bars,
    )
    assert tags == [False, [bars[-1]["close"], True]]


def test_no_name_covers_the_newest_values(market: Market, open_page: OpenPage) -> None:
    """The library would write it beside its value, over the end of the lines."""
    page = open_page()
    page.evaluate(A_CHART)
    titles = page.evaluate(
        """async (bars) => {
          const chart = await window.draw(bars, {});
          return chart.panes().flatMap((pane) => pane.getSeries()).map((each) => each.options().title);
        }""",
        [as_json(bar) for _, bar in sorted(market.candles("AAPL", "1m").items())],
    )
    assert titles == [""] * 13


def test_a_market_without_a_previous_day_says_so(market: Market, open_page: OpenPage) -> None:
    """Why there is no change yet; as soon as one symbol has one, nothing needs to be said."""
    summary = market.summary
    none = dict.fromkeys(("previous_close", "change", "change_percent"))
    market.summary = lambda symbol: summary(symbol) | none  # type: ignore[method-assign]
    page = open_page()
    expect(page.locator("#market tbody tr")).to_have_count(len(market.symbols))
    expect(page.locator("#market-note")).to_be_visible()
    market.summary = summary  # type: ignore[method-assign]
    page.reload()
    expect(page.locator("#market tbody tr")).to_have_count(len(market.symbols))
    expect(page.locator("#market-note")).to_be_hidden()


def test_a_finger_on_the_chart_scrolls_the_page(open_page: OpenPage) -> None:
    """Up and down: a chart that kept it would hold a phone's page where it is."""
    page = open_page("#/symbol/AAPL?interval=1m", **PHONE)
    expect(page.locator("#bars tbody tr").first).to_be_visible()
    expect(page.locator("#chart canvas").first).to_be_visible()
    box = page.locator("#chart").bounding_box()
    assert box is not None
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *at: float) -> None:
        points = [{"x": at[0], "y": at[1]}] if at else []
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 200, box["y"] + 200)
    for step in range(1, 21):
        touch("touchMove", 200, box["y"] + 200 - 10 * step)
        page.wait_for_timeout(16)
    touch("touchEnd")
    page.wait_for_function("() => scrollY > 50")


@pytest.mark.parametrize("width", [320, 390, 640, 710, 860, 1440])
def test_the_menu_of_indicators_is_on_the_screen(open_page: OpenPage, width: int) -> None:
    """However the title wraps."""
    page = open_page("#/symbol/AAPL?interval=1m", viewport={"width": width, "height": 800})
    page.click("#indicator-menu summary")
    box = page.locator("#indicator-menu fieldset").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_the_values_of_every_pane_are_in_words(market: Market, open_page: OpenPage) -> None:
    """Also of those below the candles, with decimals that show something where prices are small."""
    held = market.candles("V", "1m")
    for start, bar in held.items():
        prices = {name: round(getattr(bar, name) / 1000, 4) for name in ("open", "high", "low", "close")}
        small = {name: value if name == "rsi_14" else value / 1000 for name, value in bar.indicators.items()}
        held[start] = replace(bar, **prices, indicators=small)
    page = open_page("#/symbol/V?interval=1m")
    values = market.last("V").indicators
    macd, signal = values["macd_12_26_9"], values["macd_signal_12_26_9"]
    expect(page.locator("#legend")).to_contain_text(f"RSI 14{values['rsi_14']:.1f}")
    shown = f"MACD 12, 26, 9{macd:.5f} / {signal:.5f}".replace("-", "−")
    expect(page.locator("#legend")).to_contain_text(shown)
    page.click("#indicator-menu summary")
    page.uncheck("#indicators [value=rsi_14]")
    expect(page.locator("#legend")).not_to_contain_text("RSI")


def test_what_is_open_is_closed_before_the_view_is_left(open_page: OpenPage) -> None:
    """By Escape, with the focus where it was, or by a click elsewhere."""
    page = open_page("#/symbol/AAPL?interval=1m")
    expect(page.locator("#bars tbody tr").first).to_be_visible()
    menu = page.locator("#indicator-menu")
    page.click("#indicator-menu summary")
    page.focus("#indicators [value=sma_20]")
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(page.locator("#indicator-menu summary")).to_be_focused()
    page.click("#indicator-menu summary")
    page.click("#symbol-name")
    expect(menu).not_to_have_attribute("open", "")
    page.keyboard.press("Escape")
    expect(page.locator("#view-market")).to_be_visible()


def test_the_colours_follow_the_system_until_they_are_chosen(open_page: OpenPage) -> None:
    """Dark, light, and remembered."""
    background = "getComputedStyle(document.body).backgroundColor"
    dark, light = "rgb(13, 17, 23)", "rgb(244, 245, 247)"
    page = open_page(color_scheme="light")
    assert page.evaluate(background) == light
    page.keyboard.press("t")
    assert page.evaluate(background) == dark
    page.reload()
    assert page.evaluate(background) == dark
    assert page.locator("#theme").get_attribute("aria-label") == "Colours: dark"
    assert open_page(color_scheme="dark").evaluate(background) == dark


def test_a_phone_shows_all_of_it_without_scrolling_sideways(market: Market, open_page: OpenPage) -> None:
    """In each view."""
    some_alerts(market)
    page = open_page(**PHONE)
    for view in VIEWS:
        page.goto(market.address + view)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, view
    page.goto(f"{market.address}#/alerts")
    resolved = page.locator("#alerts tr[data-status=resolved] .message")
    assert resolved.evaluate("cell => getComputedStyle(cell, '::after').content") == '" · resolved"'
    table = page.locator("#view-alerts .scroll")
    assert table.evaluate("box => box.scrollWidth - box.clientWidth") == 0


@pytest.mark.parametrize(("scheme", "device"), [("dark", {}), ("light", {}), ("light", PHONE)])
def test_nothing_keeps_anybody_out(
    market: Market, open_page: OpenPage, scheme: str, device: dict[str, object]
) -> None:
    """axe finds no fault in any view: names, roles, contrast, order."""
    some_alerts(market)
    page = open_page(color_scheme=scheme, reduced_motion="reduce", **device)
    for view in VIEWS:
        page.goto(market.address + view)
        page.wait_for_timeout(500)
        found = Axe().run(page).response["violations"]
        assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == [], view


def test_without_the_chart_library_the_numbers_are_there(market: Market, browser: Browser) -> None:
    """And the page says what is missing, and what to do."""
    with watched_page(browser) as page:

        def missing(route: Route, request: Request) -> None:
            assert request.resource_type == "script"
            route.fulfill(status=404)

        page.route("**/lightweight-charts.js", missing)
        page.goto(f"{market.address}#/symbol/AAPL")
        expect(page.locator("#chart-note")).to_contain_text("pip install litecharts")
        expect(page.locator("#bars tbody tr").first).to_be_visible()
        expect(page.locator("#chart canvas")).to_have_count(0)


def test_latency_is_measured_from_the_trade_to_the_page(market: Market, open_page: OpenPage) -> None:
    """By the server's clock; while the view is open nothing is gathered on the way."""
    page = open_page("#/latency")
    expect(page.locator("#connection-facts")).to_contain_text("taken out")
    market.publish(*(a_trade(market.symbols[0], 100.0, number, age_us=3_000_000) for number in range(20)))
    expect(page.locator("#latency-facts div").first.locator("dd")).to_have_text(re.compile(r"^3,?\d{3} ms$"))
    expect(page.locator("#latency-facts div").nth(4)).to_have_text("Trades20")
    expect(page.locator("#latency-facts")).to_contain_text("Gathered by the server fornothing")


def test_the_latency_says_what_it_measures_and_mixes_nothing(market: Market, open_page: OpenPage) -> None:
    """Samples of another symbol, or gathered for another time, are none of the last minute's."""
    page = open_page()
    page.wait_for_timeout(1_000)  # for the server's clock
    market.publish(a_trade(market.symbols[0], 100.0, 1, age_us=3_000_000))
    expect(page.locator("#latency-median")).to_have_text(re.compile(r"^3,?\d{3} ms$"))
    expect(page.locator("#latency-how")).to_have_text("incl. gathering")
    name = re.compile(r"^Latency, trade to browser 3,?\d{3} ms incl. gathering$")
    expect(page.get_by_role("link", name=name)).to_be_visible()
    assert "up to 250 ms" in (page.get_attribute("#latency-now", "title") or "")
    page.keyboard.press("l")
    expect(page.locator("#latency-facts")).to_contain_text("Gathered by the server fornothing")
    expect(page.locator("#latency-facts div").nth(4)).to_have_text("Trades0")
    market.publish(a_trade(market.symbols[0], 100.0, 2))
    expect(page.locator("#latency-facts div").nth(4)).to_have_text("Trades1")
    expect(page.locator("#latency-now")).not_to_contain_text("gathering")
    page.evaluate("""() => import("/assets/js/router.js").then(({ go }) => go("#/symbol/MSFT"))""")
    expect(page.locator("#latency-median")).to_have_text("–")


def test_a_second_by_itself_is_seen_in_the_latency_graph(market: Market, open_page: OpenPage) -> None:
    """A quiet symbol has no two seconds in a row that a line could join."""
    page = open_page()
    expect(page.locator("#latency-median")).to_have_text("–")
    drawn = """() => {
      const canvas = document.querySelector("#latency-now canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.some((value) => value > 0);
    }"""
    assert page.evaluate(drawn) is False
    page.wait_for_timeout(1_000)  # for the server's clock
    market.publish(a_trade(market.symbols[0], 100.0, 1))
    expect(page.locator("#latency-median")).to_contain_text("ms")
    page.wait_for_function(drawn)


def test_after_a_lost_connection_the_clock_is_measured_anew(open_page: OpenPage) -> None:
    """The old offset holds until then, and counts no more afterwards, however quick its answer was."""
    page = open_page()
    offsets = page.evaluate(
        """async () => {
          const { ServerClock } = await import("/assets/js/clock.js");
          const clock = new ServerClock();
          clock.add(0, 2, 1001);
          clock.renew();
          const before = clock.offset;
          clock.add(0, 20, 5010);
          return [before, clock.offset];
        }"""
    )
    assert offsets == [1000, 5000]


def test_an_unknown_symbol_is_said_to_be_one(open_page: OpenPage) -> None:
    """In the place of its chart, once; and no word of it stays when another one is opened."""
    page = open_page("#/symbol/NOPE")
    expect(page.locator("#chart-note")).to_have_text("There is no symbol NOPE here.")
    expect(page.locator("#notice")).to_be_hidden()
    page.evaluate("location.hash = '#/symbol/AAPL'")
    expect(page.locator("#bars tbody tr").first).to_be_visible()
    expect(page.locator("#chart-note")).to_be_hidden()
    expect(page.locator("#notice")).to_be_hidden()


def test_an_address_that_is_no_text_is_no_symbol(market: Market, browser: Browser) -> None:
    """Its percent signs lead nowhere; the page is there all the same."""
    with watched_page(browser) as page:
        page.goto(market.address + "#/symbol/%E0%A4%A")
        expect(page.locator("#chart-note")).to_contain_text("There is no symbol %E0%A4%A here.")


def test_symbols_that_cannot_be_read_are_a_notice_until_another_view_is_opened(
    market: Market, browser: Browser
) -> None:
    """What is wrong is seen, and is not said for ever."""
    with watched_page(browser) as page:
        wrong = {"error": {"code": "broken", "message": "it is broken", "request_id": "1"}}
        page.route("**/api/v1/symbols", lambda route: route.fulfill(status=400, json=wrong))
        page.goto(market.address)
        expect(page.locator("#notice")).to_have_text("The names of the symbols cannot be read: it is broken")
        expect(page.locator("#notice")).to_be_visible()
        page.keyboard.press("a")
        expect(page.locator("#notice")).to_be_hidden()


def test_what_failed_for_a_moment_is_no_longer_said(market: Market, browser: Browser) -> None:
    """As soon as the same request succeeds."""
    answers = iter([503, 503])

    def fail_twice(route: Route, _: Request) -> None:
        if (status := next(answers, None)) is None:
            route.continue_()
        else:
            wrong = {"error": {"code": "busy", "message": "the storage is busy", "request_id": "1"}}
            route.fulfill(status=status, json=wrong)

    with watched_page(browser) as page:
        page.route("**/api/v1/quotes/*", fail_twice)
        page.goto(market.address + "#/symbol/AAPL")
        expect(page.locator("#bars tbody tr").first).to_be_visible()
        expect(page.locator("#chart-note")).to_have_text("the storage is busy")
        expect(page.locator("#chart-note")).to_be_hidden()
        expect(page.locator("#day")).to_contain_text("simulator")


def test_a_browser_that_keeps_nothing_shows_everything(market: Market, browser: Browser) -> None:
    """Where storage is forbidden even to ask for it is an error."""
    market.key = "ts_secret"
    with watched_page(browser) as page:
        page.add_init_script(
            """for (const name of ["localStorage", "sessionStorage"]) {
              const get = () => { throw new DOMException("no", "SecurityError"); };
              Object.defineProperty(window, name, { get });
            }"""
        )
        page.goto(market.address + "#/symbol/AAPL?interval=5m")
        page.fill("#key", "ts_secret")
        page.keyboard.press("Enter")
        expect(page.locator("#bars tbody tr").first).to_be_visible()
        expect(page.locator("#connection")).to_have_text("Live")
        page.click("#indicator-menu summary")
        page.check("#indicators [value=sma_20]")
        page.keyboard.press("t")
        page.evaluate("location.hash = '#/symbol/MSFT'")
        expect(page.locator("#symbol-name")).to_have_text("MSFT")
        expect(page.locator("#intervals input[value='5m']")).to_be_checked()
        expect(page.locator("#legend")).to_contain_text("SMA 20")


def test_a_class_of_shares_is_live_however_its_address_is_spelt(browser: Browser) -> None:
    """Under the name that REST answers with: bars, trades and what of them is late."""
    market = Market(["AAPL", "BRK.B"])
    market.start()
    try:
        with watched_page(browser) as page:
            page.goto(market.address + "#/symbol/BRK-B?interval=1m")
            expect(page.locator("#symbol-name")).to_have_text("BRK.B")
            expect(page.locator("#latency-symbol")).to_have_text("BRK.B")
            assert page.url.endswith("#/symbol/BRK.B?interval=1m")
            page.wait_for_selector("#connection[data-state=live]")
            bar = next_version(market.last("BRK.B"), 77.5)
            expect(page.locator("#bars tbody tr").first).to_be_visible()
            market.publish(bar, a_trade("BRK.B", 78.25, 1))
            expect(page.locator("#bars tbody tr").first.locator("td").nth(5)).to_have_text("77.50")
            expect(page.locator("#tape tbody tr").first.locator("td").nth(1)).to_have_text("78.25")
            page.keyboard.press("2")
            market.publish(a_trade("BRK.B", 79.5, 2, age_us=0))
            expect(page.locator("#tape tbody tr").first.locator("td").nth(1)).to_have_text("79.50")
    finally:
        market.stop()


def test_an_interval_is_changed_while_bars_come(market: Market, open_page: OpenPage) -> None:
    """The chart of one interval is never given a bar of another, and the numbers are those of the new one."""
    page = open_page("#/symbol/AAPL?interval=1m")
    expect(page.locator("#bars tbody tr").first).to_be_visible()
    for interval, key in (("1d", "6"), ("1m", "1"), ("1h", "4"), ("5m", "2")):
        page.keyboard.press(key)
        bar = next_version(market.last("AAPL", interval), 95.0)
        market.publish(bar)
        expect(page.locator("#bars tbody tr").first).to_have_attribute("data-start", utc(bar.start))
        expect(page.locator("#bars tbody tr").first.locator("td").nth(5)).to_have_text("95.00")
