"""SymbolBars as bytes for Flink's keyed state: MessagePack lists of numbers and text, no classes.

Layout 1: [1, greatest_event_time, watermark, live_shown_at, live_is_due, intervals]
intervals: [[dropped_events, [bar, ...]] for each interval]
bar: [start, first, last, high, low, volume, notional, trades, events, final, sources]

The exact amounts, which may exceed 64 bits, are [whole units, billionths].
"""

from typing import Any

import msgpack

from jobs.domain.amounts import BILLION
from jobs.domain.bars import Bar, SymbolBars
from schemas.intervals import INTERVALS

LAYOUT = 1


def dump(book: SymbolBars) -> bytes:
    """The state's bytes."""
    intervals = [
        [book.dropped_events[interval], [_dump_bar(bar) for bar in book.bars[interval].values()]]
        for interval in INTERVALS
    ]
    header = [LAYOUT, book.greatest_event_time, book.watermark, book.live_shown_at, book.live_is_due]
    packed: bytes = msgpack.packb([*header, intervals])
    return packed


def load(data: bytes | None) -> SymbolBars:
    """The book of a symbol; a new one where there is no state. Raises ValueError for an unknown layout."""
    if data is None:
        return SymbolBars()
    layout, *fields = msgpack.unpackb(data)
    if layout != LAYOUT:
        raise ValueError(f"state layout {layout} cannot be read by this version (it reads {LAYOUT})")
    greatest, watermark, shown_at, is_due, intervals = fields
    book = SymbolBars(
        greatest_event_time=greatest, watermark=watermark, live_shown_at=shown_at, live_is_due=is_due
    )
    for interval, (dropped, bars) in zip(INTERVALS, intervals, strict=True):
        book.dropped_events[interval] = dropped
        book.bars[interval] = {bar[0]: _load_bar(bar) for bar in bars}
    return book


def _dump_bar(bar: Bar) -> list[Any]:
    volume, notional = divmod(bar.volume, BILLION), divmod(bar.notional, BILLION)
    return [bar.start, bar.first, bar.last, bar.high, bar.low, volume, notional,
            bar.trades, bar.events, bar.final, bar.sources]  # fmt: skip


def _load_bar(fields: list[Any]) -> Bar:
    start, first, last, high, low, volume, notional, trades, events, final, sources = fields
    return Bar(start, first, last, high, low, volume[0] * BILLION + volume[1],
               notional[0] * BILLION + notional[1], trades, events, final, tuple(sources))  # fmt: skip
