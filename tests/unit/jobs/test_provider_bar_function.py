"""The keyed function around the bars of a provider, with Flink's part played by hand."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.domain.provider_bars import MOST_BARS
from jobs.flink import decode_functions, provider_bar_function
from jobs.flink.provider_bar_function import FIELDS, PUBLISH_EVERY_MS, ProviderBarFunction
from jobs.settings import JobSettings
from schemas.avro_codec import Decoder
from schemas.events import DeadLetter, ProviderBar
from schemas.topics import Topics
from tests.unit.jobs.test_bar_function import IDS, KNOWN, FakeMapState
from tests.unit.jobs.test_provider_bars import a_bar

TOPICS = Topics("market")


class FakeFlink:
    """State, clock (ms) and timers of the key "AAPL yahoo"."""

    def __init__(self, function: ProviderBarFunction) -> None:
        self.state = FakeMapState()
        self.now_ms = 1_000_250
        self.timers: set[int] = set()
        self._function = function
        function.open(SimpleNamespace(get_map_state=lambda _: self.state))  # type: ignore[arg-type]

    def _context(self) -> Any:
        timers = SimpleNamespace(
            current_processing_time=lambda: self.now_ms, register_processing_time_timer=self.timers.add
        )
        return SimpleNamespace(timer_service=lambda: timers, get_current_key=lambda: "AAPL yahoo")

    def element(self, *row: object) -> list[Any]:
        return list(self._function.process_element(row, self._context()))

    def add(self, bar: ProviderBar) -> list[ProviderBar]:
        values = [getattr(bar, name) for name in FIELDS]
        values[FIELDS.index("trades")] = decode_functions.UNKNOWN if bar.trades is None else bar.trades
        return bars(self.element("AAPL yahoo", *values, None, None, 3, 77, b"p"))

    def fire(self) -> list[ProviderBar]:
        return bars(list(self._function.on_timer(self.timers.pop(), self._context())))


def bars(records: list[Any]) -> list[ProviderBar]:
    """What was sent to the topic, keyed by symbol."""
    decoder = Decoder(ProviderBar, lambda _: None, KNOWN)
    assert all(record[0] == TOPICS.provider_candles and record[1] == b"AAPL" for record in records)
    return [decoder.decode(record[2]) for record in records]  # type: ignore[misc]


@pytest.fixture
def flink(monkeypatch: pytest.MonkeyPatch) -> FakeFlink:
    monkeypatch.setattr(provider_bar_function, "prepare_worker", lambda: None)
    return FakeFlink(ProviderBarFunction(JobSettings(indicators="sma:2"), IDS))


def test_bars_go_out_with_their_indicators(flink: FakeFlink) -> None:
    """In the wire format of the topic, every field; trades are None where the provider does not say."""
    first, second = a_bar(0), a_bar(1)
    assert (first.trades, second.trades) == (None, 1)
    assert flink.add(first) == [replace(first, version=first.received_at + 1)]
    mean = (first.close + second.close) / 2
    assert flink.add(second) == [replace(second, version=second.received_at + 2, indicators={"sma_2": mean})]
    assert not flink.timers


def test_a_changed_bar_publishes_what_follows_with_the_next_half_second(flink: FakeFlink) -> None:
    """One timer, however many change; of all intervals."""
    for minute in range(3):
        flink.add(a_bar(minute))
    hour = replace(a_bar(0), interval="1h")
    flink.add(replace(a_bar(60), interval="1h"))
    flink.add(hour)
    flink.add(a_bar(1, 50.0, received=9_000_000))
    [revised] = flink.add(a_bar(0, 40.0, received=9_000_000))
    assert (revised.close, flink.timers) == (40.0, {1_000_250 // PUBLISH_EVERY_MS * PUBLISH_EVERY_MS + 500})
    published = {(bar.interval, bar.start): bar.indicators["sma_2"] for bar in flink.fire()}
    assert published == {
        ("1m", a_bar(1).start): 45.0,
        ("1m", a_bar(2).start): (50.0 + a_bar(2).close) / 2,
        ("1h", a_bar(60).start): (hour.close + a_bar(60).close) / 2,
    }


def test_a_history_that_is_brought_later_has_indicators_of_its_own(flink: FakeFlink) -> None:
    """Also when bars after it are dropped already; and so has the next one, from before it."""
    for minute in range(2000, 2000 + MOST_BARS + 1):
        flink.add(a_bar(minute))
    for first in (1000, 0):
        bars = [a_bar(first + minute) for minute in range(MOST_BARS + 1)]
        found = [published for bar in bars for published in flink.add(bar)]
        assert [bar.indicators.get("sma_2") for bar in found] == [
            None,
            *((one.close + other.close) / 2 for one, other in pairwise(bars)),
        ]
    newest = a_bar(2000 + MOST_BARS + 1)
    [bar] = flink.add(newest)
    assert bar.indicators == {"sma_2": (newest.close + a_bar(2000 + MOST_BARS).close) / 2}
    assert set(flink.state.entries) == {"1m", "earlier 1m"}


def test_poison_becomes_a_letter(flink: FakeFlink) -> None:
    """With where it lay in the topic of the providers' bars."""
    nothing = [decode_functions.NO_PROVIDER_BAR[name] for name in FIELDS]
    [row] = flink.element("", *nothing, "not_avro", "why", 3, 77, b"p")
    letter = Decoder(DeadLetter, lambda _: None, KNOWN).decode(row[2])
    assert (row[0], row[1]) == (TOPICS.dead_letter, b"market.provider-bars/3/77")
    assert letter == DeadLetter("not_avro", "why", "bars", "market.provider-bars", 3, 77, b"p")
    assert not flink.state.entries
