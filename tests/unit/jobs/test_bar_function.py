"""The keyed function around the bars: state, timers and records, with Flink's part played by hand."""

from types import SimpleNamespace
from typing import Any

import pytest

from jobs.domain.bars import Rules
from jobs.flink.bar_function import BarFunction
from schemas.avro_codec import Decoder
from schemas.events import Candle, DeadLetter
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.registry import our_schemas
from schemas.topics import Topics
from tests.unit.jobs.builders import NO_WATERMARK, START_US, a_trade, slice_of

TOPICS = Topics("market")
IDS = {topic: number for number, topic in enumerate(TOPICS.event_types, start=1)}
KNOWN = our_schemas(TOPICS, IDS)
BILLION = 10**9


class FakeFlink:
    """One key's state, watermark (ms) and timers, as the function is given them."""

    def __init__(self, function: BarFunction) -> None:
        self.state: bytes | None = None
        self.watermark_ms = NO_WATERMARK // 1000
        self.timers: set[int] = set()
        self._function = function
        value = SimpleNamespace(value=lambda: self.state, update=lambda data: setattr(self, "state", data))
        function.open(SimpleNamespace(get_state=lambda _: value))  # type: ignore[arg-type]

    def context(self) -> Any:
        timers = SimpleNamespace(
            current_watermark=lambda: self.watermark_ms, register_event_time_timer=self.timers.add
        )
        return SimpleNamespace(timer_service=lambda: timers, get_current_key=lambda: "AAPL")

    def element(self, row: tuple[Any, ...]) -> list[Any]:
        return list(self._function.process_element(row, self.context()))

    def advance(self, watermark_ms: int) -> list[Any]:
        self.watermark_ms = watermark_ms
        records = []
        for due in sorted(timer for timer in self.timers if timer <= watermark_ms):
            self.timers.remove(due)
            records += list(self._function.on_timer(due, self.context()))
        return records


@pytest.fixture
def flink() -> FakeFlink:
    return FakeFlink(BarFunction(Rules(grace=500_500), TOPICS, IDS))


def row(at: int, payload: bytes | None = None, **changes: object) -> tuple[Any, ...]:
    """A slice as SQL gives it; late ones carry their record."""
    part = slice_of(a_trade(at, **changes))  # type: ignore[arg-type]
    prices = part.first, part.last, part.high, part.low
    sums = *divmod(part.volume, BILLION), *divmod(part.notional, BILLION)
    return ("AAPL", part.source, part.event_time, *prices, *sums, part.trades, part.events, 3, 77, payload)


def candles(records: list[Any]) -> list[Candle]:
    decoder = Decoder(Candle, lambda _: None, KNOWN)
    for record in records:
        assert (record[0], record[1]) == ("market.candles", b"AAPL")
    return [decoder.decode(record[2]) for record in records]  # type: ignore[misc]


def test_a_slice_becomes_candles_in_the_wire_format(flink: FakeFlink) -> None:
    """One record for each interval, keyed by symbol, under the schema id of the topic."""
    assert candles(flink.element(row(0, price=2.5, size=4.0))) == [
        Candle("AAPL", interval, START_US, START_US + length, 2.5, 2.5, 2.5, 2.5, 4.0, 10.0, 2.5, 1, False, 2,
               ("sim",))
        for interval, length in INTERVALS.items()
    ]  # fmt: skip


def test_amounts_beyond_64_bits_come_through(flink: FakeFlink) -> None:
    """Two columns of 64 bits each, summed to one exact number, in the state too."""
    most = 2**62
    big = (*row(0)[:7], most, 1, most, 1, 1, 1, 0, 0, None)
    flink.element(big)
    bar = candles(flink.element(big))[0]
    assert (bar.volume, bar.notional, bar.trades) == (float(2**63), float(2**63), 2)


def test_timers_are_in_whole_milliseconds_and_never_early(flink: FakeFlink) -> None:
    """A bar whose end plus grace lies within a millisecond waits for the next one."""
    flink.element(row(0))
    final_ms = (START_US + MINUTE_US) // 1000 + 501
    assert min(flink.timers) == final_ms
    assert flink.advance(final_ms - 1) == []
    final = candles(flink.advance(final_ms))
    assert [(bar.interval, bar.final, bar.version) for bar in final] == [("1m", True, 3)]


def test_state_is_kept_between_elements_and_timers(flink: FakeFlink) -> None:
    """And no timer is left after the last bar is final."""
    flink.element(row(0))
    flink.element(row(1))
    flink.advance((START_US + 2 * INTERVALS["1d"]) // 1000)
    assert flink.timers == set()
    again = candles(flink.element(row(INTERVALS["1d"] * 2, trade_id="next day")))
    assert again[0].version == 2 * 3


def test_a_trade_that_is_too_late_becomes_a_dead_letter(flink: FakeFlink) -> None:
    """With its reason, where it lay and its payload; the state stays as it was."""
    flink.element(row(10 * MINUTE_US))
    before = flink.state
    [record] = flink.element(row(0, payload=b"the record"))
    assert (record[0], record[1]) == ("market.dead-letter", b"market.trades/3/77")
    letter = Decoder(DeadLetter, lambda _: None, KNOWN).decode(record[2])
    assert isinstance(letter, DeadLetter)
    assert letter.detail.startswith("AAPL: 600.000 s behind the symbol's latest trade")
    assert letter == DeadLetter("too_late", letter.detail, "bars", "market.trades", 3, 77, b"the record")
    assert flink.state == before
