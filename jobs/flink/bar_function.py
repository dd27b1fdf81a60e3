"""The keyed function that keeps the bars of a symbol: load state, ask the domain, save state."""

import os
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from jobs.domain import bar_state, coverage, order_key, trade_log
from jobs.domain.amounts import join
from jobs.domain.anomalies import LatencyMonitor, SliceSeen, SymbolAnomalies
from jobs.domain.bars import SymbolBars
from jobs.domain.context import Change, Memory, Now, TooLateError
from jobs.domain.indicator_cache import IndicatorCache
from jobs.domain.live_budget import LiveBudget
from jobs.domain.shelf import Shelf
from jobs.domain.totals import Slice
from jobs.flink.keyed import Merge
from jobs.flink.markets import Markets
from jobs.flink.records import Records
from jobs.flink.state_mapping import StateMapping
from jobs.flink.symbol_groups import GroupTimers, SymbolEntries
from jobs.flink.worker import prepare_worker
from jobs.settings import JobSettings
from schemas.events import Alert, Candle
from schemas.topics import Topics

SLICE_COLUMNS = {
    "symbol": Merge.KEY, "source": Merge.KEY, "event_time": Merge.MINUTE,
    "first_key": Merge.LEAST, "last_key": Merge.GREATEST, "high": Merge.GREATEST, "low": Merge.LEAST,
    "volume_units": Merge.SUM, "volume_billionths": Merge.SUM,
    "notional_units": Merge.SUM, "notional_billionths": Merge.SUM,
    "trades": Merge.SUM, "events": Merge.SUM, "skewed": Merge.SUM, "delay": Merge.LEAST,
    "correctable": Merge.KEY, "log": Merge.LINES,
    "from_partition": Merge.GREATEST, "from_offset": Merge.GREATEST, "payload": Merge.ALONE,
}  # fmt: skip
"""Of a slice, and how several of a symbol that wait for Python become one, as they were made of trades.
``payload`` is null but for a late trade, a correction or a gap, each of which is a slice by itself. ``delay``
is the least time (us) from an event to its being decoded."""

BARS, ANOMALIES = "bars", "anomalies"
"""Entries of a symbol in the state of its group."""


class BarFunction(KeyedProcessFunction):
    """Slices of a group of symbols in, encoded candles, alerts and dead letters out. Timers are in event
    time."""

    def __init__(self, settings: JobSettings, schema_ids: Mapping[str, int]) -> None:
        self._settings = settings
        self._schema_ids = schema_ids

    def open(self, runtime_context: RuntimeContext) -> None:
        prepare_worker()
        settings = self._settings
        self._state = StateMapping(runtime_context, "symbols")
        self._timers = GroupTimers(self._state)
        self._indicators = StateMapping(runtime_context, "indicators")
        self._trades = StateMapping(runtime_context, "trades")
        self._cache = IndicatorCache()
        self._books: Shelf[SymbolBars] = Shelf()
        self._anomalies: Shelf[SymbolAnomalies] = Shelf()
        self._read: set[str] = set()
        self._rules = settings.rules
        self._markets = Markets(settings)
        self._records = Records(Topics(settings.topic_prefix), self._schema_ids)
        self._budget = LiveBudget(settings.live_budget_per_second / settings.parallelism, time.monotonic)
        self._latency = LatencyMonitor(settings.latency_limits, now_us, str(os.getpid()))
        self._slice_us = settings.slice_ms * 1000

    def process_element(self, row: Any, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        symbol, log = row[0], row[16]
        if not symbol:
            return  # what was decoded is no gap for these bars
        group = ctx.get_current_key()
        self._read_group(group)
        timers, state = ctx.timer_service(), SymbolEntries(self._state, symbol)
        now = self._now(symbol, timers.current_watermark() * 1000, row[2], group)
        book = self._load_book(symbol, state)
        try:
            if log is not None and trade_log.is_correction(log):
                seen, change = None, book.correct(symbol, log, now)
            elif log is not None and coverage.is_gap(log):
                seen, change = None, book.miss(symbol, log, now)
            else:
                seen, change = _seen(row), book.apply(symbol, _slice(row), now)
        except TooLateError as error:
            yield self._records.letter("too_late", f"{symbol}: {error}", row[17], row[18], row[19])
            return
        self._save_book(symbol, state, book)
        anomalies = self._load_anomalies(symbol, state, now)
        timer = anomalies.next_timer()
        alerts = []
        if log is not None and coverage.is_gap(log):
            _tell_of_stop(coverage.unpack(log), anomalies)
        if seen is not None:
            alerts += anomalies.on_slice(seen, _minute_of(seen.event_time, change.candles), now.clock)
            self._observe(row, now.clock)
        yield from self._results(symbol, change, anomalies, alerts, now)
        self._save_anomalies(symbol, state, anomalies)
        due = anomalies.next_timer()
        for at in (*change.timers, *([due] if due is not None and due != timer else [])):
            self._timers.register(symbol, at, timers)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        group = ctx.get_current_key()
        self._read_group(group)
        timers, at = ctx.timer_service(), timestamp * 1000
        for symbol in self._timers.due(timestamp):
            state = SymbolEntries(self._state, symbol)
            now = self._now(symbol, at, at, group)
            book = self._load_book(symbol, state)
            change = book.advance(symbol, now)
            self._save_book(symbol, state, book)
            anomalies = self._load_anomalies(symbol, state, now)
            yield from self._results(symbol, change, anomalies, [], now)
            yield from map(self._records.alert, anomalies.on_watermark(at, now.clock))
            self._save_anomalies(symbol, state, anomalies)
            due = anomalies.next_timer()
            for time_us in (*change.timers, *([due] if due is not None and due > at else [])):
                self._timers.register(symbol, time_us, timers)

    def _now(self, symbol: str, watermark: int, event_time: int, group: str) -> Now:
        """What the domain may know, at ``event_time`` of the symbol's market. Groups take turns, slice by
        slice: each batch then shows its share of the live bars."""
        clock = now_us()
        late = clock - event_time
        return Now(
            watermark=watermark,
            clock=clock,
            rules=self._rules,
            market=self._markets.market(symbol),
            memory=Memory(
                indicators=SymbolEntries(self._indicators, symbol),
                trades=SymbolEntries(self._trades, symbol),
                cache=self._cache,
            ),
            may_show=partial(self._budget.may_show, symbol, late / 1e6),
            late=late,
            turn=int(group) * self._slice_us % self._rules.live_every,
        )

    def _read_group(self, group: str) -> None:
        """Asks for all that is known of a group when it comes for the first time: one by one, each entry of
        each symbol would be a question that the batch waits for."""
        if group not in self._read:
            self._read.add(group)
            self._state.read_all()
            self._indicators.read_all()

    def _load_book(self, symbol: str, state: SymbolEntries) -> SymbolBars:
        data = state.get(BARS)
        return self._books.take(symbol, data) or bar_state.load(data)

    def _save_book(self, symbol: str, state: SymbolEntries, book: SymbolBars) -> None:
        state[BARS] = data = bar_state.dump(book)
        self._books.put(symbol, data, book)

    def _load_anomalies(self, symbol: str, state: SymbolEntries, now: Now) -> SymbolAnomalies:
        data = state.get(ANOMALIES)
        return self._anomalies.take(symbol, data) or SymbolAnomalies.load(
            data, self._markets.thresholds(symbol), now.market.calendar
        )

    def _save_anomalies(self, symbol: str, state: SymbolEntries, anomalies: SymbolAnomalies) -> None:
        state[ANOMALIES] = data = anomalies.dump()
        self._anomalies.put(symbol, data, anomalies)

    def _results(
        self, symbol: str, change: Change, anomalies: SymbolAnomalies, alerts: list[Alert], now: Now
    ) -> Iterator[Row]:
        """Records of a change, and of what its candles give rise to."""
        for candle in change.candles:
            yield self._records.candle(candle)
            alerts += anomalies.on_candle(candle, now.clock)
        yield from map(self._records.alert, (*alerts, *self._latency.due()))
        for waiting in change.unmatched:
            yield self._records.letter(
                "unmatched_correction",
                f"{symbol}: {waiting.source} corrects trade {waiting.trade_id}, which did not come",
                waiting.kafka_partition,
                waiting.kafka_offset,
                None,
            )

    def _observe(self, row: Any, now: int) -> None:
        """Takes up how long an on-time slice has taken: from its newest trade to here, beyond the slice's own
        length, and to its being decoded."""
        if not self._settings.latency_alerts or row[19] is not None or row[4] is None:
            return
        newest = order_key.unpack(row[4])[0]
        self._latency.observe("source_to_kafka", row[1], row[14])
        self._latency.observe("trade_to_bar", row[1], max(0, now - newest - self._slice_us))


def _slice(row: Any) -> Slice:
    return Slice(
        source=row[1], event_time=row[2], first=row[3], last=row[4], high=row[5], low=row[6],
        volume=join(row[7], row[8]), notional=join(row[9], row[10]), trades=row[11], events=row[12],
        skewed=row[13], log=row[16], on_time=row[19] is None,
    )  # fmt: skip


def _seen(row: Any) -> SliceSeen:
    return SliceSeen(
        symbol=row[0],
        source=row[1],
        event_time=row[2],
        high=row[5],
        low=row[6],
        skewed=row[13],
        events=row[12],
    )


def _tell_of_stop(gap: coverage.GapRecord, anomalies: SymbolAnomalies) -> None:
    """The silence of a symbol that somebody has stopped is no anomaly."""
    if gap.reason == "stopped":
        anomalies.on_stop(gap.start, gap.end, closed=gap.closed)


def _minute_of(event_time: int, candles: list[Candle]) -> Candle | None:
    """The version of the minute that holds a time."""
    for candle in candles:
        if candle.interval == "1m" and candle.start <= event_time < candle.end:
            return candle
    return None


def now_us() -> int:
    """The wall clock, microseconds since 1970 UTC."""
    return time.time_ns() // 1000
