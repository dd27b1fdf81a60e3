"""The life of bars: from slices of trades to live, final and corrected candles of every interval.

A *slice* is the sum of a fifth of a second of one symbol, or one late trade by itself. It changes
one thing: the minute that holds it. A bar of any interval is what its minutes add up to, those that can still
change merged anew each time, those that cannot merged once and for all (``settled``). A bar is live until the
watermark passes its end plus the grace, then final; a trade or correction that comes later, within the
horizon, makes a new final version.

``version`` = 2 x (events applied to this symbol and interval up to and including this bar) + final. It
depends on the set of events alone, not on their order: a replay ends with the same versions. It counts the
earlier bars too because indicators hang on them: a correction of one bar makes new versions of all the final
bars after it. A gap, a time in which nobody watched the symbol, counts as an event of each bar that it
touches and changes nothing but its ``observed`` share; it makes no bar.

A minute or bar is *out of reach* when no event that is not refused can belong to it any more. Then it is
forgotten: of a minute only its bars' totals remain, of a bar the number of its events and its share in the
indicators' states. So the state is bounded by the horizon and the dedup memory, and of a symbol that is
silent for so long nothing but counters is left. bar_state says how large it is.

All times are microseconds since 1970 UTC.
"""

import zlib
from dataclasses import dataclass, field

from jobs.domain import coverage, order_key, trade_log, trade_store
from jobs.domain.bar import Bar, Minute
from jobs.domain.candles import VERSIONS_PER_GENERATION, candle_of, values_of
from jobs.domain.context import Change, Market, Memory, Now, Rules, TooLateError
from jobs.domain.coverage import Coverage
from jobs.domain.indicators import State
from jobs.domain.totals import NOTHING, Slice, Totals, of_slice
from jobs.domain.trade_log import WaitingCorrection
from schemas.events import Candle
from schemas.intervals import INTERVALS, MINUTE_US

__all__ = ["FIRST_INTERVAL", "VERSIONS_PER_GENERATION", "Change", "Market", "Memory", "Now", "Rules", "Slice",
           "SymbolBars", "TooLateError", "WaitingCorrection"]  # fmt: skip

FIRST_INTERVAL = next(iter(INTERVALS))


@dataclass(slots=True)
class SymbolBars:
    """The bars of one symbol that can still change, and what of the others the versions need."""

    minutes: dict[int, Minute] = field(default_factory=dict)
    """start -> minute"""
    bars: dict[str, list[Bar]] = field(default_factory=lambda: {interval: [] for interval in INTERVALS})
    """interval -> bars, ascending. Each minute that is here has its bars here."""
    dropped_events: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INTERVALS, 0))
    """interval -> events of the bars that are forgotten"""
    indicator_marks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INTERVALS, 0))
    """interval -> checksum of the indicators' state in the store, by which the cache knows it"""
    greatest_event_time: int = 0
    """Of the trades. Corrections, which may come long after, do not move the horizon."""
    watermark: int = 0
    """The greatest that this symbol has seen. After a restart Flink knows none until every partition has been
    read; what was final by then must stay final."""
    live_shown_at: int = 0
    due: set[str] = field(default_factory=set)
    """Intervals whose live bar has changed since it was shown."""
    live_timer: int = 0
    sweep_timer: int = 0
    """When ``advance`` will be called to show what is due, and to forget; 0: no timer is set."""
    waiting: int = 0
    """Corrections whose trade has not come; they lie in the trade store."""
    waiting_since: int = 0
    """The least event time of those."""
    coverage: Coverage = field(default_factory=Coverage)

    def apply(self, symbol: str, part: Slice, now: Now) -> Change:
        """Adds a slice to its minute, and publishes the bars that hold it.

        Raises TooLateError, changing nothing, for a slice beyond the horizon of the symbol's greatest event
        time, or so old that the dedup before us may have forgotten that it let it through. Neither holds for
        one that is on time, or that no watermark has passed: its minute is still open. After a start,
        while there is no watermark yet, trades may overtake one another by any distance where there is much
        to catch up with.
        """
        if not part.on_time:
            self._refuse_late(now, part.event_time)
        self.watermark = max(self.watermark, now.watermark)
        self.greatest_event_time = max(self.greatest_event_time, part.event_time)
        change = Change()
        minute = self._minute(part.event_time, now, change)
        events = part.events
        if part.log is None:
            minute.plain = minute.plain.merge(of_slice(part))
        else:
            events += self._log(minute, part, part.log, now)
        self._publish(symbol, minute.start, events, now, change)
        return change

    def correct(self, symbol: str, packed: str, now: Now) -> Change:
        """Cancels or corrects a trade; ``packed`` is the text of trade_log.

        A correction whose trade has not come waits for it until the correction is out of reach itself. One
        more than MAX_WAITING is unmatched at once. Raises TooLateError, changing nothing, where the trade or
        the correction is beyond the horizon.
        """
        correction = trade_log.unpack_correction(packed)
        self._refuse_late(now, correction.event_time)
        if correction.trade_time is not None:
            self._refuse_late(now, correction.trade_time)
        found = self._find(correction, now)
        if found is not None:
            self._refuse_late(now, found[1])
        self.watermark = max(self.watermark, now.watermark)
        change = Change()
        if found is None:
            self._wait(correction, now, change)
            return change
        minute = found[0]
        corrections = [
            correction,
            *self._no_longer_waiting(correction.source, {correction.correction_id}, now),
        ]
        self._correct(minute, corrections, now)
        self._publish(symbol, minute.start, len(corrections), now, change)
        return change

    def miss(self, symbol: str, packed: str, now: Now) -> Change:
        """Takes in that nobody observed the symbol for a while, or that the trades of such a gap have come;
        ``packed`` is the text of coverage. What lies beyond the horizon is ignored."""
        self.watermark = max(self.watermark, now.watermark)
        change = Change()
        self._settle_gaps(self._reach(now), now)
        span = self.coverage.apply(coverage.unpack(packed), self._reach(now))
        if span is None:
            return change
        gaps = self.coverage.gaps
        if len(gaps) > coverage.MAX_GAPS:
            self._settle_gaps(min(gap.bounds[-1] for gap in gaps.values()), now)
        self._publish_gap(symbol, span, now, change)
        self._sweep_later(now, change)
        return change

    def advance(self, symbol: str, now: Now) -> Change:
        """Makes final what the watermark has passed, shows live bars that are due, forgets what is out of
        reach."""
        self.watermark = max(self.watermark, now.watermark)
        change = Change()
        for interval, bars in self.bars.items():
            first = next((at for at, bar in enumerate(bars) if not bar.final), len(bars))
            last = first
            while last < len(bars) and self._is_over(bars[last].end, now):
                bars[last].final = True
                last += 1
            change.candles += self._candles(symbol, interval, first, last, now)
        if 0 < self.live_timer <= self.watermark:
            self.live_timer = 0
            self._show_due(symbol, now, change)
        self._forget(now)
        self._give_up(now, change)
        if 0 < self.sweep_timer <= self.watermark:
            self.sweep_timer = 0
        self._sweep_later(now, change)
        return change

    # What is let in

    def _refuse_late(self, now: Now, event_time: int) -> None:
        rules, watermark = now.rules, max(self.watermark, now.watermark)
        if event_time > watermark:
            return
        behind = self.greatest_event_time - event_time
        if behind > rules.horizon:
            raise TooLateError(
                f"{behind / 1e6:.3f} s behind the symbol's latest trade; bars are corrected for"
                f" {rules.horizon / 1e6:g} s (HORIZON_SECONDS)"
            )
        behind = watermark - event_time
        if behind > rules.dedup_memory:
            raise TooLateError(
                f"{behind / 1e6:.3f} s behind the watermark; beyond {rules.dedup_memory / 1e6:g} s"
                " (DEDUP_MEMORY_SECONDS) a repeated trade is not recognised"
            )

    def _is_over(self, end: int, now: Now) -> bool:
        return end + now.rules.grace <= self.watermark

    def _reach(self, now: Now) -> int:
        """What came to be before this is refused."""
        rules, watermark = now.rules, self.watermark
        return min(watermark, max(self.greatest_event_time - rules.horizon, watermark - rules.dedup_memory))

    def _minute(self, event_time: int, now: Now, change: Change) -> Minute:
        """The minute of a trade; with a new one come the bars that hold it."""
        start = event_time - event_time % MINUTE_US
        minute = self.minutes.get(start)
        if minute is not None:
            return minute
        minute = self.minutes[start] = Minute(start)
        for interval, bars in self.bars.items():
            span = now.market.calendar.bar(event_time, interval)
            if span is None or _holding(bars, start) is not None:
                continue
            bar = Bar(*span)
            self.coverage.begin(bar, interval)
            bars.append(bar)
            bars.sort(key=_start)
            if not self._is_over(span[1], now):
                change.timers.append(span[1] + now.rules.grace)
        self._sweep_later(now, change)
        return minute

    # Trades that can be cancelled

    def _log(self, minute: Minute, part: Slice, log: str, now: Now) -> int:
        """Adds a slice whose trades are kept; returns how many corrections had waited for them."""
        trade_store.write_trades(now.memory.trades, minute.start, minute.chunks, part.source, log)
        minute.chunks += 1
        if self.waiting:
            corrections = self._no_longer_waiting(part.source, trade_store.trade_ids(log), now)
            if corrections:
                self._correct(minute, corrections, now)
                return len(corrections)
        minute.logged = minute.logged.merge(of_slice(part))
        return 0

    def _correct(self, minute: Minute, corrections: list[WaitingCorrection], now: Now) -> None:
        store = now.memory.trades
        trade_store.write_corrections(store, minute.start, minute.chunks, corrections)
        minute.chunks += 1
        minute.logged = trade_store.totals(store, minute.start, minute.chunks)

    def _find(self, correction: WaitingCorrection, now: Now) -> tuple[Minute, int] | None:
        """The trade that a correction is about: its minute and its event time."""
        likely = correction.trade_time if correction.trade_time is not None else correction.event_time
        for minute in sorted(
            self.minutes.values(), key=lambda each: abs(likely - each.start - MINUTE_US // 2)
        ):
            time = trade_store.find(
                now.memory.trades, minute.start, minute.chunks, correction.source, correction.trade_id
            )
            if time is not None:
                return minute, time
        return None

    def _wait(self, correction: WaitingCorrection, now: Now, change: Change) -> None:
        if self.waiting >= trade_store.MAX_WAITING:
            change.unmatched.append(correction)
            return
        self._keep_waiting([*trade_store.load_waiting(now.memory.trades), correction], now)
        self._sweep_later(now, change)

    def _no_longer_waiting(self, source: str, ids: set[str], now: Now) -> list[WaitingCorrection]:
        """Takes out the waiting corrections that are about these trades or corrections."""
        if not self.waiting:
            return []
        waiting = trade_store.load_waiting(now.memory.trades)
        found = trade_store.about(waiting, source, ids)
        if found:
            self._keep_waiting([each for each in waiting if each not in found], now)
        return found

    def _keep_waiting(self, waiting: list[WaitingCorrection], now: Now) -> None:
        trade_store.save_waiting(now.memory.trades, waiting)
        self.waiting = len(waiting)
        self.waiting_since = min((each.event_time for each in waiting), default=0)

    # What is published

    def _publish(self, symbol: str, minute: int, events: int, now: Now, change: Change) -> None:
        """Publishes what ``events`` events in a minute have changed."""
        live: dict[str, int] = {}
        for interval, bars in self.bars.items():
            at = _holding(bars, minute)
            if at is None:
                continue
            bar = bars[at]
            bar.events += events
            if not self._is_over(bar.end, now):
                live[interval] = at
                continue
            bar.final = True
            bar.late += events
            change.candles += self._revised(symbol, interval, at, now)
        self._show_live(symbol, live, now, change)

    def _publish_gap(self, symbol: str, span: tuple[int, int], now: Now, change: Change) -> None:
        """Publishes the bars that a gap changes in ``[start, end)``."""
        live: dict[str, int] = {}
        for interval, bars in self.bars.items():
            touched = [at for at, bar in enumerate(bars) if bar.start < span[1] and bar.end > span[0]]
            for at in touched:
                bars[at].final = bars[at].final or self._is_over(bars[at].end, now)
            if not touched:
                continue
            if bars[touched[0]].final:
                change.candles += self._revised(symbol, interval, touched[0], now)
            if not bars[touched[-1]].final:
                live[interval] = touched[-1]
        self._show_live(symbol, live, now, change)

    def _revised(self, symbol: str, interval: str, first: int, now: Now) -> list[Candle]:
        """A final bar that has changed, and the final ones after it."""
        bars = self.bars[interval]
        finals = first + 1
        while finals < len(bars) and bars[finals].final:
            finals += 1
        return self._candles(
            symbol, interval, first, min(finals, first + 1 + now.rules.max_revised_bars), now
        )

    def _show_live(self, symbol: str, live: dict[str, int], now: Now, change: Change) -> None:
        """Shows the live bars that have changed (interval -> place), as far as it is time."""
        if not now.rules.live:
            return
        moment = max(self.watermark, self.greatest_event_time)
        is_time = moment - self.live_shown_at >= now.rules.live_every
        first = [FIRST_INTERVAL] if FIRST_INTERVAL in live else []
        choices = (list(live), first) if is_time and len(live) > 1 else (first,)
        shown = next((some for some in choices if some and now.may_show(len(some))), [])
        for interval in shown:
            change.candles += self._candles(symbol, interval, live[interval], live[interval] + 1, now)
        self.due.update(live)
        self.due.difference_update(shown)
        if is_time and len(shown) == len(live):
            self.live_shown_at = moment
        if self.due:
            self._show_later(moment if is_time else self.live_shown_at, now, change)

    def _show_due(self, symbol: str, now: Now, change: Change) -> None:
        """Shows the live bars that have changed since they were shown."""
        live = {}
        for interval in INTERVALS:
            bars = self.bars[interval]
            finals = sum(bar.final for bar in bars)
            if interval in self.due and finals < len(bars):
                live[interval] = finals
        self.due.intersection_update(live)
        if not live:
            return
        if self.watermark - self.live_shown_at < now.rules.live_every:
            self._show_later(self.live_shown_at, now, change)
        elif now.may_show(sum(len(self.bars[interval]) - first for interval, first in live.items())):
            for interval, first in live.items():
                change.candles += self._candles(symbol, interval, first, len(self.bars[interval]), now)
            self.due.clear()
            self.live_shown_at = self.watermark
        else:
            # Ever more rarely: of thousands of symbols few can be shown, and a replay passes days of silence
            # in a second. Not before the latest trade: after a start the watermark may be days behind it.
            since = self.live_shown_at or self.greatest_event_time
            waited = self.watermark - since
            self._show_later(max(since, self.watermark + waited - now.rules.live_every), now, change)

    def _show_later(self, since: int, now: Now, change: Change) -> None:
        if not self.live_timer:
            # Of many symbols together, in one batch: who trades shows its bars with its slices anyway.
            # While a log is made up for, not before it may be: a look costs as much as a slice, and most of
            # them find the budget used up, or that a bar has ended since.
            wait = max(now.rules.live_every, min(now.late, MINUTE_US))
            self.live_timer = now.rules.next_look(since + wait, now.turn)
            change.timers.append(self.live_timer)

    def _candles(self, symbol: str, interval: str, first: int, last: int, now: Now) -> list[Candle]:
        """The bars ``first`` until ``last`` of an interval as they are now."""
        if first == last:
            return []
        bars, indicators = self.bars[interval], now.market.indicators
        applied = self.dropped_events[interval] + sum(map(self._applied, bars[:first]))
        state = self._state_before(symbol, interval, first, now)
        if last - first > 1:
            state = indicators.copy(state)
        candles = []
        for at in range(first, last):
            bar = bars[at]
            applied += self._applied(bar)
            totals = self._totals(bar)
            values = values_of(bar, totals, now.market)
            shown = indicators.values(state, values)
            observed = self._observed(bar, totals)
            candles.append(
                candle_of(symbol, interval, bar, totals, values.close, applied, observed, shown, now)
            )
            if at + 1 < last:
                indicators.advance(state, values)
        return candles

    def _applied(self, bar: Bar) -> int:
        """Number of events that a bar has had."""
        return bar.events + self.coverage.events(bar.start, bar.end) if self.coverage.gaps else bar.events

    def _observed(self, bar: Bar, totals: Totals) -> float:
        """The part of a bar in which its symbol was observed; of a live one, up to the last that is known of
        it. It goes by what its version counts, never by the watermark."""
        missed = bar.missed + self.coverage.missed(bar.start, bar.end)
        if not missed:
            return 1.0
        until = bar.end
        if not bar.final:
            until = self.coverage.known_until(bar.start, bar.end)
            if totals.last is not None:
                until = max(until, order_key.unpack(totals.last)[0])
        return 1.0 - missed / max(until - bar.start, missed)

    def _totals(self, bar: Bar) -> Totals:
        totals, first, end = bar.settled, bar.start, bar.end
        for start, minute in self.minutes.items():
            if first <= start < end:
                totals = minute.totals() if totals is NOTHING else totals.merge(minute.totals())
        return totals

    def _state_before(self, symbol: str, interval: str, place: int, now: Now) -> State:
        """The indicators' state after all bars before a place; not to be advanced."""
        before, memory, indicators = self.bars[interval][:place], now.memory, now.market.indicators
        basis = indicators.names, self.indicator_marks[interval], self._content(before)
        state = memory.cache.get(symbol, interval, basis)
        if state is None:
            state = self._stored_state(interval, now)
            for bar in before:
                indicators.advance(state, values_of(bar, self._totals(bar), now.market))
            memory.cache.put(symbol, interval, basis, state)
        return state

    def _content(self, bars: list[Bar]) -> tuple[object, ...]:
        """All that bars without a gap in time are made of."""
        if not bars:
            return ()
        first, last = bars[0].start, bars[-1].end
        minutes = [
            (minute.start, minute.plain, minute.logged)
            for minute in self.minutes.values()
            if first <= minute.start < last
        ]
        return [(bar.start, bar.settled) for bar in bars], minutes

    def _stored_state(self, interval: str, now: Now) -> State:
        """The indicators' state after the last bar that is forgotten. They begin anew where it belongs to
        another set of indicators."""
        data, indicators = now.memory.indicators.get(interval), now.market.indicators
        return indicators.load(data if data is not None and indicators.belongs(data) else None)

    # What is forgotten

    def _forget(self, now: Now) -> None:
        """Drops what no event can reach any more and all of whose versions are out."""
        reach = self._reach(now)
        self._settle_gaps(reach, now)
        for start in sorted(self.minutes):
            if start + MINUTE_US <= reach and self._is_over(start + MINUTE_US, now):
                self._settle(self.minutes.pop(start), now)
        for interval, bars in self.bars.items():
            gone = next((at for at, bar in enumerate(bars) if not bar.final or bar.end > reach), len(bars))
            if gone:
                self._drop(interval, gone, now)

    def _settle_gaps(self, until: int, now: Now) -> None:
        self.coverage.settle(until, self.bars, now.market.calendar)

    def _settle(self, minute: Minute, now: Now) -> None:
        totals = minute.totals()
        for bars in self.bars.values():
            at = _holding(bars, minute.start)
            if at is not None:
                bars[at].settled = bars[at].settled.merge(totals)
        trade_store.delete(now.memory.trades, minute.start, minute.chunks)

    def _drop(self, interval: str, count: int, now: Now) -> None:
        """Drops the first bars of an interval, keeping their events in the count and their values in the
        indicators' state. All their minutes are settled: they ended no later."""
        bars, state = self.bars[interval], self._stored_state(interval, now)
        for bar in bars[:count]:
            now.market.indicators.advance(state, values_of(bar, bar.settled, now.market))
            self.dropped_events[interval] += self._applied(bar)
        del bars[:count]
        data = now.market.indicators.dump(state)
        now.memory.indicators[interval] = data
        self.indicator_marks[interval] = zlib.crc32(data)

    def _give_up(self, now: Now, change: Change) -> None:
        """Gives up the waiting corrections that are out of reach."""
        reach = self._reach(now)
        if not self.waiting or self.waiting_since >= reach:
            return
        waiting = trade_store.load_waiting(now.memory.trades)
        change.unmatched += (each for each in waiting if each.event_time < reach)
        self._keep_waiting([each for each in waiting if each.event_time >= reach], now)

    def _sweep_later(self, now: Now, change: Change) -> None:
        """Sets a timer for when silence alone will have put something out of reach; one at a time."""
        if self.sweep_timer:
            return
        ends = [minute.start + MINUTE_US for minute in self.minutes.values()]
        ends += [bars[0].end for bars in self.bars.values() if bars]
        if self.waiting:
            ends.append(self.waiting_since + 1)
        ends += [gap.bounds[-1] for gap in self.coverage.gaps.values()]
        if ends:
            self.sweep_timer = min(ends) + now.rules.dedup_memory
            change.timers.append(self.sweep_timer)


def _start(bar: Bar) -> int:
    return bar.start


def _holding(bars: list[Bar], time: int) -> int | None:
    """The place of the bar that holds a time; nearly always the last."""
    for at in range(len(bars) - 1, -1, -1):
        if bars[at].start <= time:
            return at if time < bars[at].end else None
    return None
