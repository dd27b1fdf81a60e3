"""SymbolBars as bytes for Flink's keyed state: MessagePack lists of numbers and text, no classes.

Layout 3: [3, greatest_event_time, watermark, live_shown_at, due, live_timer, sweep_timer, waiting,
waiting_since, minutes, intervals, gaps, settled_until, begun]
minutes: [start, plain, logged, chunks] each
intervals: [dropped_events, indicator_mark, bars] for each interval
bars: [start, end, events, late, final, settled, missed] each
gaps: gap_id -> [filled, start, end, ..]
begun: interval -> [start, missed, events]
plain, logged, settled: the fields of Totals, or nil for no trades

An exact amount may exceed 64 bits; then it is an extension of type 1, big-endian.

About 2.4 kB for a symbol that trades all the time, with the default rules: five or six minutes of 250 bytes,
a dozen bars of 30 and the totals of some. It grows with the horizon, 310 bytes a minute; for a symbol that
trades little it reaches as far back as dedup memory at most. A gap takes about 100 bytes while it is within
the horizon.
"""

from typing import Any

import msgpack

from jobs.domain.bar import Bar, Minute
from jobs.domain.bars import SymbolBars
from jobs.domain.coverage import Begun, Coverage, KnownGap
from jobs.domain.totals import NOTHING, Totals
from schemas.intervals import INTERVALS

LAYOUT = 3
_BIG_NUMBER = 1


def dump(book: SymbolBars) -> bytes:
    """The state's bytes."""
    minutes = [
        (each.start, _sparse(each.plain), _sparse(each.logged), each.chunks) for each in book.minutes.values()
    ]
    intervals = [
        (
            book.dropped_events[interval],
            book.indicator_marks[interval],
            [
                (bar.start, bar.end, bar.events, bar.late, bar.final, _sparse(bar.settled), bar.missed)
                for bar in book.bars[interval]
            ],
        )
        for interval in INTERVALS
    ]
    state = (
        LAYOUT, book.greatest_event_time, book.watermark, book.live_shown_at, sorted(book.due),
        book.live_timer, book.sweep_timer, book.waiting, book.waiting_since, minutes, intervals,
        {gap_id: (gap.filled, *gap.bounds) for gap_id, gap in book.coverage.gaps.items()},
        book.coverage.settled_until, book.coverage.begun,
    )  # fmt: skip
    packed: bytes = msgpack.packb(state, default=_pack_big_number)
    return packed


def load(data: bytes | None) -> SymbolBars:
    """The book of a symbol; a new one where there is no state. Raises ValueError for an unknown layout."""
    if data is None:
        return SymbolBars()
    layout, *fields = msgpack.unpackb(data, use_list=False, ext_hook=_unpack_big_number)
    if layout != LAYOUT:
        raise ValueError(f"state layout {layout} cannot be read by this version (it reads {LAYOUT})")
    (greatest, watermark, shown_at, due, live_timer, sweep_timer, waiting, since, minutes, intervals,
     gaps, settled_until, begun) = fields  # fmt: skip
    book = SymbolBars(
        minutes={
            start: Minute(start, _totals(plain), _totals(logged), chunks)
            for start, plain, logged, chunks in minutes
        },
        greatest_event_time=greatest,
        watermark=watermark,
        live_shown_at=shown_at,
        due=set(due),
        live_timer=live_timer,
        sweep_timer=sweep_timer,
        waiting=waiting,
        waiting_since=since,
        coverage=Coverage(
            {gap_id: KnownGap(bounds, filled) for gap_id, (filled, *bounds) in gaps.items()},
            settled_until,
            {interval: Begun(*span) for interval, span in begun.items()},
        ),
    )
    for interval, (dropped, mark, bars) in zip(INTERVALS, intervals, strict=True):
        book.dropped_events[interval] = dropped
        book.indicator_marks[interval] = mark
        book.bars[interval] = [
            Bar(start, end, events, late, final, _totals(settled), missed)
            for start, end, events, late, final, settled, missed in bars
        ]
    return book


def _sparse(totals: Totals) -> Totals | None:
    return None if totals == NOTHING else totals


def _totals(fields: tuple[Any, ...] | None) -> Totals:
    return NOTHING if fields is None else Totals._make(fields)


def _pack_big_number(number: int) -> msgpack.ExtType:
    return msgpack.ExtType(_BIG_NUMBER, number.to_bytes(number.bit_length() // 8 + 1))


def _unpack_big_number(_code: int, data: bytes) -> int:
    return int.from_bytes(data)
