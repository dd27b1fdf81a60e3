"""Backfills against histories on loopback: every trade once, as the stream has it, and on from where it
was."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from producer.backfill.backfill import Backfill
from producer.backfill.catalogue import make_history
from producer.backfill.command import moment
from producer.backfill.covered import Covered
from producer.backfill.history import Asked
from producer.backfill.pull import Patience, Puller
from producer.backfill.settings import BackfillSettings
from producer.providers.backoff import Backoff
from producer.providers.contract import Frame
from producer.providers.http import RestClient, gate_of
from producer.recorded_file import RecordedFile
from producer.sources import Batch
from schemas.errors import ConfigurationError, UnavailableError
from schemas.events import Gap, ProviderBar, Trade
from tests.support.trade_history import Kept, TradeHistory
from tests.unit.producer.fakes import FakeClock, fake_runtime

KEY = "secret-key-of-polygon"
START_MS = 1_767_623_400_000
"""2026-01-05 14:30 UTC."""
NOW_US = (START_MS + 900_000) * 1000
SYMBOLS = {"polygon": "AAPL", "binance": "BTCUSDT", "coinbase": "BTC-USD"}
PROVIDERS = sorted(SYMBOLS)
MARKET = [Kept(1000 + n, START_MS + n * 250, 100.0 + n % 7, 1.0 + n % 3) for n in range(2500)]


class Topics:
    """Takes what is published, as a publisher does."""

    failed = 0

    def __init__(self) -> None:
        self.trades: list[Trade] = []
        self.gaps: list[Gap] = []
        self.bars: list[ProviderBar] = []

    def publish(self, batch: Batch) -> None:
        self.trades += batch.trades
        self.gaps += batch.gaps
        self.bars += batch.bars

    def settle(self) -> None:
        """Everything is acknowledged at once."""


def asked(provider: str, first_s: float, last_s: float) -> Asked:
    """Seconds after START."""
    start, end = ((START_MS + round(at * 1000)) * 1000 for at in (first_s, last_s))
    return Asked(SYMBOLS[provider], start, end)


def settings_for(server: TradeHistory, folder: Path, **changes: object) -> BackfillSettings:
    values: dict[str, object] = {f"{provider}_rest_url": server.url for provider in SYMBOLS}
    values |= {f"{provider}_requests_per_minute": 1e6 for provider in SYMBOLS}
    values |= {"polygon_api_key": KEY, "backfill_dir": folder, "backfill_attempts": 3}
    values |= {"horizon_seconds": 10_000}
    return BackfillSettings.model_validate(values | changes)


def running(
    provider: str, server: TradeHistory, folder: Path, work: Callable[[Backfill], Any], **changes: object
) -> Any:
    """What ``work`` gives, with a backfill from that provider; nothing waits."""

    async def now(_: float) -> None:
        await asyncio.sleep(0)

    async def run() -> Any:
        settings = settings_for(server, folder, **changes)
        runtime = fake_runtime(FakeClock(NOW_US))
        history = make_history(provider, settings)
        gate = gate_of(provider, history.limits, runtime.clock.now_us, now)
        async with RestClient(provider, gate, settings) as client:
            patience = Patience(settings.backfill_attempts, Backoff(0.1, 0.1, lambda: 0.0), now)
            puller = Puller(client, history, runtime.clock, patience)
            return await work(Backfill(settings, runtime, history, puller, lambda batch: batch))

    return asyncio.run(run())


def a_gap(what: Asked, **changes: object) -> Gap:
    gap = Gap("g", what.symbol, "polygon", what.start, what.end, True, "disconnect")
    return replace(gap, **changes)  # type: ignore[arg-type]


def identities(trades: Sequence[Trade]) -> list[tuple[str, int, float, float]]:
    return [(trade.trade_id, trade.event_time, trade.price, trade.size) for trade in trades]


def stream_frame(provider: str, kept: Kept) -> bytes:
    """The trade as the provider's stream has it."""
    if provider == "polygon":
        item = {"ev": "T", "sym": "AAPL", "x": 4, "i": str(kept.number), "z": 3, "p": kept.price,
                "s": kept.size, "t": kept.at_ms, "q": kept.number}  # fmt: skip
        return json.dumps([item]).encode()
    if provider == "binance":
        data = {"e": "trade", "s": "BTCUSDT", "t": kept.number, "p": str(kept.price), "q": str(kept.size),
                "T": kept.at_ms}  # fmt: skip
        return json.dumps({"stream": "btcusdt@trade", "data": data}).encode()
    seconds, thousandths = divmod(kept.at_ms, 1000)
    assert seconds * 1000 + thousandths == kept.at_ms
    time = f"2026-01-05T{14 + (seconds - START_MS // 1000 + 1800) // 3600:02d}:" + (
        f"{(30 + (seconds - START_MS // 1000) // 60) % 60:02d}:{seconds % 60:02d}.{thousandths:03d}000Z"
    )
    return json.dumps(
        {"type": "match", "product_id": "BTC-USD", "trade_id": kept.number, "sequence": kept.number * 3,
         "price": str(kept.price), "size": str(kept.size), "time": time}
    ).encode()  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_history_has_the_trades_of_its_time_as_the_stream_has_them(provider: str, tmp_path: Path) -> None:
    """All of them, once, in their order, under the same identity: what was seen already is known."""
    what, topics = asked(provider, 100, 500), Topics()
    with TradeHistory(lambda: MARKET, KEY) as server:
        published = running(
            provider, server, tmp_path, lambda backfill: backfill.fill(what, [a_gap(what)], topics)
        )
        adapter = make_history(provider, settings_for(server, tmp_path)).adapter
    inside = [kept for kept in MARKET if what.start <= kept.at_ms * 1000 < what.end]
    streamed = [
        trade for kept in inside for trade in adapter.parse(Frame(stream_frame(provider, kept), 0)).trades
    ]
    assert published == len(inside) == 1600
    assert identities(topics.trades) == identities(streamed)
    assert {(trade.symbol, trade.source) for trade in topics.trades} == {(SYMBOLS[provider], provider)}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "span", [(-7300, -7200), (700, 800), (10.01, 10.02)], ids=["before", "after", "between"]
)
def test_a_time_without_trades_is_filled_with_nothing(
    provider: str, span: tuple[float, float], tmp_path: Path
) -> None:
    """The provider had nothing either: the gap is filled all the same."""
    what, topics = asked(provider, *span), Topics()
    with TradeHistory(lambda: MARKET, KEY) as server:
        assert running(provider, server, tmp_path, lambda each: each.fill(what, [a_gap(what)], topics)) == 0
    assert topics.trades == []
    assert [gap.filled for gap in topics.gaps] == [True]


def test_only_what_lies_in_gaps_is_published_and_a_whole_gap_is_filled(tmp_path: Path) -> None:
    """One that reaches out of what was asked for stays as it is: part of it is still not known."""
    what, topics = asked("polygon", 100, 200), Topics()
    inside = asked("polygon", 120, 130)
    across = asked("polygon", 190, 210)
    gaps = [a_gap(inside, gap_id="a"), a_gap(across, gap_id="b")]
    with TradeHistory(lambda: MARKET, KEY) as server:
        running("polygon", server, tmp_path, lambda backfill: backfill.fill(what, gaps, topics))
    spans = [(inside.start, inside.end), (across.start, what.end)]
    expected = [kept for kept in MARKET if any(first <= kept.at_ms * 1000 < last for first, last in spans)]
    assert [trade.sequence for trade in topics.trades] == [kept.number for kept in expected]
    [filled] = topics.gaps
    assert replace(filled, updated_at=0) == replace(gaps[0], filled=True)


def test_a_gap_that_has_left_the_horizon_meanwhile_is_not_filled(tmp_path: Path) -> None:
    """Its trades are published, and are too late for their bars: the ledger must not say otherwise."""
    what, topics = asked("polygon", 100, 200), Topics()
    with TradeHistory(lambda: MARKET, KEY) as server:
        count = running(
            "polygon",
            server,
            tmp_path,
            lambda each: each.fill(what, [a_gap(what)], topics),
            horizon_seconds=799,
        )
    assert count == len(topics.trades) == 400
    assert topics.gaps == []


def test_a_backfill_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """Pages that are acknowledged are not asked for again."""
    what, topics = asked("polygon", 0, 600), Topics()
    gap = a_gap(what)

    class Dies(Topics):
        def publish(self, batch: Batch) -> None:
            if len(self.trades) >= 1000:
                raise UnavailableError("killed")
            super().publish(batch)

    first = Dies()
    with TradeHistory(lambda: MARKET, KEY, page=500) as server:
        with pytest.raises(UnavailableError, match="killed"):
            running("polygon", server, tmp_path, lambda backfill: backfill.fill(what, [gap], first))
        assert first.gaps == []
        before = len(server.asked)
        total = running("polygon", server, tmp_path, lambda backfill: backfill.fill(what, [gap], topics))
        assert len(server.asked) - before == 3
    assert total == 2400
    numbers = [trade.sequence for trade in (*first.trades, *topics.trades)]
    assert numbers == [kept.number for kept in MARKET[:2400]]
    assert [each.filled for each in topics.gaps] == [True]


def test_a_recording_is_what_a_replay_reads(tmp_path: Path) -> None:
    """Stopped in the middle, with half a page behind what was noted, it is whole all the same."""
    what = asked("polygon", 0, 600)
    with TradeHistory(lambda: MARKET, KEY, page=500) as server:
        with pytest.raises(ConfigurationError, match="broken"):
            running("polygon", server, tmp_path, lambda backfill: _broken_off(backfill, what))
        [part] = tmp_path.glob("*.part")
        with part.open("ab") as file:
            file.write(b'{"half a li')
        path, count = running("polygon", server, tmp_path, lambda backfill: backfill.record(what))
    assert {each.name for each in tmp_path.iterdir()} == {path.name, path.name + ".covers"}
    covered = Covered.of(path)
    assert covered is not None
    assert (covered.symbol, covered.source, covered.start, covered.end) == (
        "AAPL", "polygon", what.start, what.end,
    )  # fmt: skip
    recorded = RecordedFile(path, "auto", 2**62)
    events = [row.event for row in recorded.rows()]
    recorded.close()
    assert count == len(events) == 2400
    assert [event.sequence for event in events if isinstance(event, Trade)] == [
        kept.number for kept in MARKET[:2400]
    ]


async def _broken_off(backfill: Backfill, what: Asked) -> None:
    pages = 0

    def gate(batch: Batch) -> Batch:
        nonlocal pages
        pages += 1
        if pages == 3:
            raise ConfigurationError("broken")
        return batch

    backfill._gate = gate
    await backfill.record(what)


def test_a_provider_that_fails_for_a_while_is_asked_again(tmp_path: Path) -> None:
    """Up to the number of attempts; then it says that the same command goes on."""
    what = asked("polygon", 0, 10)
    with TradeHistory(lambda: MARKET, KEY, refusals=[500, 502]) as server:
        topics = Topics()
        assert running("polygon", server, tmp_path, lambda each: each.fill(what, [a_gap(what)], topics)) == 40
    with (
        TradeHistory(lambda: MARKET, KEY, refusals=[500] * 9) as server,
        pytest.raises(UnavailableError, match="3 attempts have failed: the same command goes on"),
    ):
        running("polygon", server, tmp_path, lambda each: each.fill(what, [a_gap(what)], Topics()))


def test_a_refusal_is_told_without_the_key(tmp_path: Path) -> None:
    """However the provider words it."""
    what = asked("polygon", 0, 10)
    with TradeHistory(lambda: MARKET, "another") as server, pytest.raises(ConfigurationError) as refused:
        running("polygon", server, tmp_path, lambda each: each.fill(what, [a_gap(what)], Topics()))
    assert "HTTP 403" in str(refused.value)
    assert KEY not in str(refused.value)


def test_what_is_no_history_is_refused(tmp_path: Path) -> None:
    """By name: what the provider answers is not ours to guess at."""
    what = asked("coinbase", 0, 10)
    with TradeHistory(lambda: MARKET, KEY) as server:
        elsewhere = f"{server.url}/v3/trades/x?apiKey={KEY}&cursor=0-1-0&x="
        with pytest.raises(ConfigurationError, match="coinbase"):
            running("coinbase", server, tmp_path, lambda each: each.record(what), coinbase_rest_url=elsewhere)


YAHOO = {
    "chart": {
        "error": None,
        "result": [
            {
                "meta": {"symbol": "BRK-B", "dataGranularity": "1m", "regularMarketPrice": 1.0,
                         "regularMarketTime": START_MS // 1000},
                "timestamp": [START_MS // 1000 + 60 * n for n in range(5)],
                "indicators": {"quote": [{name: [float(n + 1) for n in range(5)] for name in
                                          ("open", "high", "low", "close", "volume")}]},
            }
        ],
    }
}  # fmt: skip
ALPHA_VANTAGE = {
    "Meta Data": {"2. Symbol": "BRK-B", "4. Interval": "1min", "6. Time Zone": "US/Eastern"},
    "Time Series (1min)": {
        f"2026-01-05 09:{30 + n}:00": {"1. open": f"{n + 1}", "2. high": f"{n + 1}", "3. low": f"{n + 1}",
                                       "4. close": f"{n + 1}", "5. volume": f"{n + 1}"}
        for n in reversed(range(5))
    },
}  # fmt: skip


@pytest.mark.parametrize(("provider", "document"), [("yahoo", YAHOO), ("alpha_vantage", ALPHA_VANTAGE)])
def test_bars_of_a_provider_are_published_as_its_own(provider: str, document: Any, tmp_path: Path) -> None:
    """Those that begin in what was asked for, and no trade."""
    what, topics = Asked("BRK.B", START_MS * 1000 + 60_000_000, START_MS * 1000 + 240_000_000), Topics()
    with TradeHistory(list, documents=[document]) as server:
        count = running(
            provider, server, tmp_path, lambda backfill: backfill.publish(what, topics), yahoo_url=server.url,
            alpha_vantage_url=server.url, alpha_vantage_api_key=KEY,
        )  # fmt: skip
    assert count == 3
    assert topics.trades == []
    assert sorted((bar.symbol, bar.source, bar.start - what.start, bar.volume) for bar in topics.bars) == [
        ("BRK.B", provider, n * 60_000_000, n + 2.0) for n in range(3)
    ]


def test_a_long_time_is_asked_for_in_parts(tmp_path: Path) -> None:
    """Yahoo's by weeks, Alpha Vantage's by months in New York, across the end of a year."""
    what = Asked("IBM", (START_MS - 20 * 86_400_000) * 1000, START_MS * 1000)
    with TradeHistory(list, documents=[YAHOO, YAHOO, YAHOO]) as server:
        running("yahoo", server, tmp_path, lambda each: each.publish(what, Topics()), yahoo_url=server.url)
        spans = [dict(parse_qsl(urlsplit(path).query)) for path in server.asked]
    assert [int(span["period1"]) for span in spans[1:]] == [int(span["period2"]) for span in spans[:-1]]
    assert (int(spans[0]["period1"]), int(spans[-1]["period2"])) == (what.start // 10**6, what.end // 10**6)
    changes: dict[str, object] = {"alpha_vantage_api_key": KEY}
    with TradeHistory(list, documents=[ALPHA_VANTAGE, ALPHA_VANTAGE]) as server:
        changes["alpha_vantage_url"] = server.url
        running("alpha_vantage", server, tmp_path, lambda each: each.publish(what, Topics()), **changes)
        asked_for = [dict(parse_qsl(urlsplit(path).query))["month"] for path in server.asked]
    assert asked_for == ["2025-12", "2026-01"]


def test_a_limit_that_is_said_in_an_answer_is_waited_for(tmp_path: Path) -> None:
    """With status 200, and with the key in it; what is no limit is a refusal, told without the key."""
    what = Asked("IBM", START_MS * 1000, START_MS * 1000 + 240_000_000)
    limit = {"Note": f"your key {KEY}: our standard API call frequency is 5 calls per minute"}
    wrong = {"Error Message": f"the parameter apikey {KEY} is invalid or missing"}
    changes: dict[str, object] = {"alpha_vantage_api_key": KEY}
    with TradeHistory(list, documents=[limit, ALPHA_VANTAGE]) as server:
        changes["alpha_vantage_url"] = server.url
        running("alpha_vantage", server, tmp_path, lambda each: each.publish(what, Topics()), **changes)
        assert len(server.asked) == 2
    with TradeHistory(list, documents=[wrong]) as server:
        changes["alpha_vantage_url"] = server.url
        with pytest.raises(ConfigurationError, match="refuses") as refused:
            running("alpha_vantage", server, tmp_path, lambda each: each.publish(what, Topics()), **changes)
    assert KEY not in str(refused.value)


def test_a_source_without_a_history_is_refused(tmp_path: Path) -> None:
    """With those that have one; and a key that is missing is asked for."""
    with TradeHistory(lambda: MARKET, KEY) as server:
        settings = settings_for(server, tmp_path, polygon_api_key="")
    with pytest.raises(ConfigurationError, match="polygon, binance, coinbase, yahoo, alpha_vantage"):
        make_history("finnhub", settings)
    with pytest.raises(ConfigurationError, match="POLYGON_API_KEY"):
        make_history("polygon", settings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05T14:30", START_MS * 1000),
        ("2026-01-05T09:30-05:00", START_MS * 1000),
        ("2026-01-05T14:30:00.000001Z", START_MS * 1000 + 1),
        ("2026-01-05", (START_MS - 52_200_000) * 1000),
        (str(START_MS), START_MS * 1000),
    ],
)
def test_times_are_iso_or_milliseconds(text: str, expected: int) -> None:
    """UTC where nothing else is said."""
    assert moment(text) == expected
