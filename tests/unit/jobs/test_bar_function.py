"""The keyed function around the bars: state, timers and records, with Flink's part played by hand."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.domain import coverage, trade_log
from jobs.flink import bar_function
from jobs.flink.bar_function import BarFunction
from jobs.settings import JobSettings
from schemas.avro_codec import Decoder
from schemas.events import Alert, Candle, DeadLetter, Event, Gap
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.registry import our_schemas
from schemas.topics import Topics
from tests.unit.jobs.builders import (
    NO_WATERMARK,
    SECOND_US,
    START_US,
    a_cancel,
    a_gap,
    a_trade,
    slice_of,
)

TOPICS = Topics("market")
IDS = {name: number for number, name in enumerate(TOPICS.record_types, start=1)}
KNOWN = our_schemas(TOPICS, IDS)
BILLION = 10**9
NOW_US = START_US + 7
"""The wall clock of these tests."""


class FakeMapState:
    """A map state of one key."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.entries.get(key)

    def put(self, key: str, value: bytes) -> None:
        self.entries[key] = value

    def remove(self, key: str) -> None:
        self.entries.pop(key, None)

    def keys(self) -> Iterator[str]:
        return iter(self.entries)

    def items(self) -> Iterator[tuple[str, bytes]]:
        return iter(self.entries.items())


class FakeFlink:
    """One key's state, watermark (ms) and timers, as the function is given them."""

    def __init__(self, function: BarFunction, group: str) -> None:
        self.group = group
        self.values: dict[str, bytes | None] = {}
        self.maps: dict[str, FakeMapState] = {}
        self.watermark_ms = NO_WATERMARK // 1000
        self.timers: set[int] = set()
        self._function = function
        function.open(self)  # type: ignore[arg-type]

    def get_state(self, descriptor: Any) -> Any:
        name = descriptor.name
        self.values[name] = None
        return SimpleNamespace(
            value=lambda: self.values[name], update=lambda data: self.values.update({name: data})
        )

    def get_map_state(self, descriptor: Any) -> FakeMapState:
        return self.maps.setdefault(descriptor.name, FakeMapState())

    def context(self) -> Any:
        timers = SimpleNamespace(
            current_watermark=lambda: self.watermark_ms, register_event_time_timer=self.timers.add
        )
        return SimpleNamespace(timer_service=lambda: timers, get_current_key=lambda: self.group)

    def element(self, row: tuple[Any, ...]) -> list[Any]:
        return list(self._function.process_element(row, self.context()))

    def advance(self, watermark_ms: int) -> list[Any]:
        self.watermark_ms = watermark_ms
        records = []
        while due := [timer for timer in self.timers if timer <= watermark_ms]:
            self.timers.remove(min(due))
            records += list(self._function.on_timer(min(due), self.context()))
        return records


@pytest.fixture
def flink(monkeypatch: pytest.MonkeyPatch) -> FakeFlink:
    """Bars are final 500.5 ms after their end; no indicators, which others test."""
    return flink_with(monkeypatch)


def flink_with(monkeypatch: pytest.MonkeyPatch, group: str = "0", **changes: object) -> FakeFlink:
    monkeypatch.setattr(bar_function, "now_us", lambda: NOW_US)
    monkeypatch.setattr(bar_function, "prepare_worker", lambda: None)
    settings = JobSettings.model_validate({"indicators": "", "anomaly_stale_seconds": 1e9, **changes})
    return FakeFlink(BarFunction(settings, IDS), group)


def row(at: int, payload: bytes | None = None, delay: int = 0, **changes: object) -> tuple[Any, ...]:
    """A slice as SQL gives it; late ones carry their record."""
    part = slice_of(a_trade(at, **changes))  # type: ignore[arg-type]
    prices = part.first, part.last, part.high, part.low
    sums = *divmod(part.volume, BILLION), *divmod(part.notional, BILLION)
    counts = part.trades, part.events, part.skewed
    return ("AAPL", part.source, part.event_time, *prices, *sums, *counts, delay, part.log is not None,
            part.log, 3, 77, payload)  # fmt: skip


def correction_row(log: str) -> tuple[Any, ...]:
    """A correction as SQL gives it: nothing to sum, and its text."""
    return ("AAPL", "sim", START_US, None, None, None, None, 0, 0, 0, 0, 0, 1, 0, 0, True, log, 3, 78, b"c")


def gap_row(gap: Gap) -> tuple[Any, ...]:
    """A gap as SQL gives it: nothing to sum, and its text."""
    sums = (None, None, None, None, 0, 0, 0, 0, 0, 0, 0, 0, False)
    return ("AAPL", "sim", gap.end, *sums, coverage.pack(gap), 0, 5, b"g")


def events(records: list[Any], topic: str, event_type: type[Event]) -> list[Any]:
    """What was sent to a topic, keyed by symbol."""
    decoder = Decoder(event_type, lambda _: None, KNOWN)
    found = [record for record in records if record[0] == topic]
    assert all(record[1] in (b"AAPL", b"*") for record in found)
    return [decoder.decode(record[2]) for record in found]


def candles(records: list[Any]) -> list[Candle]:
    return events(records, "market.candles", Candle)


def letters(records: list[Any]) -> list[DeadLetter]:
    decoder = Decoder(DeadLetter, lambda _: None, KNOWN)
    return [decoder.decode(record[2]) for record in records if record[0] == "market.dead-letter"]  # type: ignore[misc]


def test_a_gap_makes_a_version_that_says_so_and_nothing_else(flink: FakeFlink) -> None:
    """No bar by itself, no alert and no letter; of the bar that is final, a greater version."""
    assert flink.element(gap_row(a_gap(0, 15 * SECOND_US))) == []
    flink.element(row(20 * SECOND_US))
    [before] = [bar for bar in candles(flink.advance(START_US // 1000 + 61_000)) if bar.interval == "1m"]
    assert (before.final, before.observed, before.version) == (True, 0.75, 5)
    records = flink.element(gap_row(a_gap(30 * SECOND_US, 45 * SECOND_US)))
    assert [record[0] for record in records] == ["market.candles"] * len(records)
    [after] = [bar for bar in candles(records) if bar.interval == "1m"]
    assert after == replace(before, observed=0.5, version=7)


@pytest.mark.parametrize(("reason", "raised"), [("stopped", 0), ("disconnect", 1)])
def test_a_stopped_symbol_is_not_stale(monkeypatch: pytest.MonkeyPatch, reason: str, raised: int) -> None:
    """The ledger says so, in the stream that the bars have anyway; any other gap is no excuse."""
    flink = flink_with(monkeypatch, anomaly_stale_seconds=30, latency_alerts=False)
    for second in range(20):
        flink.element(row(second * SECOND_US))
    flink.element(gap_row(a_gap(20 * SECOND_US, 20 * SECOND_US + 1, reason=reason, closed=False)))
    alerts = events(flink.advance(START_US // 1000 + 60_000), "market.alerts", Alert)
    assert [(alert.type, alert.status) for alert in alerts] == [("stale_feed", "raised")] * raised


def test_a_slice_becomes_candles_in_the_wire_format(flink: FakeFlink) -> None:
    """One record for each interval, keyed by symbol, under the schema id of the topic."""
    assert candles(flink.element(row(0, price=2.5, size=4.0))) == [
        Candle("AAPL", interval, START_US, START_US + length, 2.5, 2.5, 2.5, 2.5, 4.0, 10.0, 2.5, 1, False, 2,
               ("sim",), 0, NOW_US)
        for interval, length in INTERVALS.items()
    ]  # fmt: skip


def test_amounts_beyond_64_bits_come_through(flink: FakeFlink) -> None:
    """Two columns of 64 bits each, summed to one exact number, in the state too."""
    most = 2**62
    big = (*row(0)[:7], most, 1, most, 1, *row(0)[11:])
    flink.element(big)
    bar = candles(flink.element(big))[0]
    assert (bar.volume, bar.notional, bar.trades) == (float(2**63), float(2**63), 2)


def test_a_bar_is_final_when_the_watermark_has_passed_its_grace(flink: FakeFlink) -> None:
    """And not a millisecond before."""
    flink.element(row(0))
    final_ms = (START_US + MINUTE_US) // 1000 + 500
    assert min(flink.timers) == final_ms
    assert flink.advance(final_ms - 1) == []
    final = candles(flink.advance(final_ms))
    assert [(bar.interval, bar.final, bar.version) for bar in final] == [("1m", True, 3)]


def test_what_is_no_gap_makes_nothing(flink: FakeFlink) -> None:
    """Not even state."""
    assert flink.element(("", *gap_row(a_gap(0, 1))[1:])) == []
    assert flink.maps["symbols"].entries == {}


def test_symbols_of_a_group_have_bars_and_timers_of_their_own(flink: FakeFlink) -> None:
    """One that trades a minute later is final a minute later, at the same key."""
    flink.element(row(0, price=1.5))
    flink.element(("MSFT", *row(7, price=2.5)[1:]))
    flink.element(("NVDA", *row(MINUTE_US, price=3.5)[1:]))
    final_ms = (START_US + MINUTE_US) // 1000 + 500

    def finals(at_ms: int) -> list[tuple[str, float | None, int]]:
        decoder = Decoder(Candle, lambda _: None, KNOWN)
        bars = [decoder.decode(record[2]) for record in flink.advance(at_ms)]
        return [(bar.symbol, bar.close, bar.trades) for bar in bars if bar.final and bar.interval == "1m"]

    assert finals(final_ms) == [("AAPL", 1.5, 1), ("MSFT", 2.5, 1)]
    assert finals(final_ms + 60_000) == [("NVDA", 3.5, 1)]
    flink.element(("MSFT", *row(2 * MINUTE_US, price=4.5)[1:]))
    assert finals(final_ms + 2 * 60_000) == [("MSFT", 4.5, 1)]


def test_state_is_kept_between_elements_and_timers(flink: FakeFlink) -> None:
    """And no timer is left after the last bar is final."""
    flink.element(row(0))
    flink.element(row(1))
    flink.advance((START_US + 2 * INTERVALS["1d"]) // 1000)
    assert flink.timers == set()
    again = candles(flink.element(row(INTERVALS["1d"] * 2, trade_id="next day")))
    assert again[0].version == 2 * 3
    assert again[0].late_trades == 0


def test_a_trade_that_is_too_late_becomes_a_dead_letter(flink: FakeFlink) -> None:
    """With its reason, where it lay and its payload; the state stays as it was."""
    flink.element(row(10 * MINUTE_US))
    flink.advance((START_US + MINUTE_US) // 1000)
    before = dict(flink.values)
    [record] = flink.element(row(0, payload=b"the record"))
    assert (record[0], record[1]) == ("market.dead-letter", b"market.trades/3/77")
    [letter] = letters([record])
    assert letter.detail.startswith("AAPL: 600.000 s behind the symbol's latest trade")
    assert letter == DeadLetter("too_late", letter.detail, "bars", "market.trades", 3, 77, b"the record")
    assert flink.values == before


def test_a_slice_is_never_too_late(flink: FakeFlink) -> None:
    """Only what has come round the windows, with its record, is judged by the horizon."""
    flink.element(row(10 * MINUTE_US, payload=b"overtakes"))
    assert [bar.trades for bar in candles(flink.element(row(0))) if bar.interval == "1m"] == [1]


def test_a_cancelled_trade_leaves_its_bar(flink: FakeFlink) -> None:
    """The trades that may be cancelled are kept in a state of their own until they are out of reach."""
    flink.element(row(0, price=5.0, size=2.0, correctable=True, trade_id="kept"))
    flink.element(row(1, price=9.0, size=1.0, correctable=True, trade_id="gone"))
    assert len(flink.maps["trades"].entries) == 2
    cancel = trade_log.pack_correction(asdict(a_cancel("gone", 2, correction_id="c1")), 3, 78)
    minute = candles(flink.element(correction_row(cancel)))[0]
    assert (minute.high, minute.close, minute.volume, minute.trades) == (5.0, 5.0, 2.0, 1)
    flink.advance((START_US + 2 * INTERVALS["1d"]) // 1000)
    assert flink.maps["trades"].entries == {}


def test_a_correction_without_its_trade_becomes_a_dead_letter(flink: FakeFlink) -> None:
    """When its trade can no longer come; it names where the correction lies."""
    cancel = trade_log.pack_correction(asdict(a_cancel("never", 2, correction_id="c1")), 3, 78)
    assert flink.element(correction_row(cancel)) == []
    flink.element(row(0))
    later = [*flink.element(row(7 * MINUTE_US)), *flink.advance((START_US + 20 * MINUTE_US) // 1000)]
    [letter] = letters(later)
    assert (letter.reason, letter.partition, letter.offset) == ("unmatched_correction", 3, 78)
    assert "never" in letter.detail


def test_a_spike_is_an_alert_that_names_its_bar(flink: FakeFlink) -> None:
    """In the wire format, keyed by symbol, after the candle that it names."""
    flink.element(row(0, price=100.0))
    records = flink.element(row(SECOND_US, price=106.0))
    [alert] = events(records, "market.alerts", Alert)
    minute = candles(records)[0]
    assert (alert.type, alert.symbol, alert.status) == ("price_spike", "AAPL", "raised")
    assert (alert.interval, alert.bar_start, alert.bar_version) == ("1m", START_US, minute.version)
    assert alert.updated_at == NOW_US


def test_a_silent_symbol_is_reported_by_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """By event time, and again when trades come."""
    flink = flink_with(monkeypatch, anomaly_stale_seconds=30)
    for second in range(20):
        flink.element(row(second * SECOND_US))
    [stale] = events(flink.advance((START_US + 60 * SECOND_US) // 1000), "market.alerts", Alert)
    assert (stale.type, stale.status) == ("stale_feed", "raised")
    [over] = events(flink.element(row(61 * SECOND_US)), "market.alerts", Alert)
    assert (over.alert_id, over.status, over.revision) == (stale.alert_id, "resolved", stale.revision + 1)


@pytest.mark.parametrize("judged", [True, False])
def test_latency_is_judged_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch, judged: bool) -> None:
    """Over windows of the wall clock; of history it would say nothing."""
    flink = flink_with(monkeypatch, latency_alerts=judged)
    for number in range(10):
        flink.element(row(number * SECOND_US, delay=250_000))
    monkeypatch.setattr(bar_function, "now_us", lambda: NOW_US + 11 * SECOND_US)
    flink._function._latency._clock = lambda: NOW_US + 11 * SECOND_US
    alerts = events(flink.element(row(10 * SECOND_US, delay=250_000)), "market.alerts", Alert)
    assert [(alert.symbol, alert.type, alert.value) for alert in alerts] == (
        [("*", "latency", 250.0)] if judged else []
    )


def test_live_bars_keep_to_their_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over it waits; final bars do not."""
    flink = flink_with(monkeypatch, live_budget_per_second=6)
    monkeypatch.setattr(bar_function.time, "monotonic", lambda: 0.0)
    assert len(candles(flink.element(row(0)))) == 6
    assert candles(flink.element(row(1))) == []
    finals = candles(flink.advance((START_US + MINUTE_US) // 1000 + 500))
    assert [(bar.interval, bar.final, bar.trades) for bar in finals if bar.final] == [("1m", True, 2)]


@pytest.mark.parametrize(("group", "shown_ms"), [("0", 1999), ("1", 1199), ("4", 1799), ("5", 1999)])
def test_groups_show_their_longer_live_bars_in_turns(
    monkeypatch: pytest.MonkeyPatch, group: str, shown_ms: int
) -> None:
    """With the slice whose turn it is, once a second has passed since they were shown."""
    flink = flink_with(monkeypatch, group=group)
    flink.element(row(0))
    assert [bar.interval for bar in candles(flink.element(row(200_000)))] == ["1m"]
    assert flink.advance(START_US // 1000 + shown_ms - 1) == []
    shown = candles(flink.advance(START_US // 1000 + shown_ms))
    assert [(bar.interval, bar.trades) for bar in shown] == [
        (interval, 2) for interval in INTERVALS if interval != "1m"
    ]


def test_a_class_of_symbols_has_its_own_market(monkeypatch: pytest.MonkeyPatch) -> None:
    """4h bars by the clock of New York, thresholds of the class."""
    flink = flink_with(
        monkeypatch, symbol_classes="AAPL=us_equities", anomaly_price_spike_percent="5,us_equities=1"
    )
    bars = {bar.interval: bar for bar in candles(flink.element(row(0)))}
    assert (bars["4h"].start, bars["1d"].start) == (START_US, START_US - 20 * 60 * MINUTE_US)
    alerts = events(flink.element(row(SECOND_US, price=102.0)), "market.alerts", Alert)
    assert [alert.type for alert in alerts] == ["price_spike"]


def test_indicators_are_on_every_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live and final, from the first bar on that has them."""
    flink = flink_with(monkeypatch, indicators="sma:2")
    for minute in range(3):
        flink.element(row(minute * MINUTE_US, price=10.0 + minute))
    finals = candles(flink.advance((START_US + 3 * MINUTE_US) // 1000 + 500))
    assert [bar.indicators for bar in finals if bar.interval == "1m"] == [
        {}, {"sma_2": 10.5}, {"sma_2": 11.5}
    ]  # fmt: skip
    assert replace(finals[0], indicators={}).final
