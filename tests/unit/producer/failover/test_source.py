"""Several sources as one: what is passed on, what is left out, and when its clock goes on."""

from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from producer.failover.before import Before
from producer.failover.members import Arrived, SourceMember
from producer.failover.source import FollowedSources
from producer.providers.contract import Parsed
from producer.providers.deliveries import Delivery, Notice
from producer.providers.handover import Taken
from producer.runtime import Runtime
from producer.settings import ProducerSettings
from producer.sources import Batch, Rejected
from schemas.errors import ConfigurationError
from schemas.events import Correction, Quote, Trade
from tests.unit.producer.fakes import START_US, FakeClock, fake_runtime

S = 1_000_000
SETTINGS = ProducerSettings(symbols=("AAPL",), failover_return_seconds=10, failover_hold_seconds=5)


class FakeMember:
    """A source that brings what it is given."""

    behind_us = 0
    delay_us = 500_000

    def __init__(self, name: str, clock: FakeClock, kind: Literal["trades", "quotes"] = "trades") -> None:
        self.name, self.kind = name, kind
        self.items: list[Delivery | Notice] = []
        self.failure: ConfigurationError | None = None
        self.closed = False
        self._clock = clock

    def take(self, timeout_s: float) -> tuple[Arrived, int]:
        if self.failure is not None:
            raise self.failure
        assert timeout_s <= 0.05
        items, self.items = self.items, []
        return Taken(items, True, self._clock.us), self._clock.us

    def close(self) -> None:
        self.closed = True

    def notice(self, what: Literal["connected", "disconnected", "symbol_refused"], detail: str = "") -> None:
        self.items.append(Notice(what, self.name, ("AAPL",), self._clock.us, detail=detail))

    def sends(self, *trades: Trade, **parts: object) -> None:
        self.items.append(Delivery(self._clock.us, Parsed(len(trades), trades, **parts)))  # type: ignore[arg-type]


class Setup:
    def __init__(self, *kinds: Literal["trades", "quotes"]) -> None:
        self.clock = FakeClock()
        self.runtime: Runtime = fake_runtime(self.clock)
        names = ("polygon", "finnhub", "finage")
        self.members = [FakeMember(name, self.clock, kind) for name, kind in zip(names, kinds, strict=False)]
        self.source = FollowedSources(self.members, SETTINGS, self.runtime, lambda: Before(START_US - 7 * S))
        self._batches: Iterator[Batch] = self.source.batches()

    def next(self, seconds: float = 1.0) -> Batch:
        """The batch after that time."""
        self.clock.us += round(seconds * S)
        return next(self._batches)

    def trade(self, source: str, late_us: int = 0) -> Trade:
        at = self.clock.us - late_us
        return Trade("AAPL", at, self.clock.us, 10.0, 1.0, f"{source}-{at}", 0, source)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.runtime.metrics.registry.get_sample_value(name, labels)


def test_trades_of_the_source_that_is_followed_are_passed_on_and_others_are_counted() -> None:
    """Until the first one dies: then those of the second, and the change is logged, counted and recorded."""
    setup = Setup("trades", "trades")
    polygon, finnhub = setup.members
    for member in setup.members:
        member.notice("connected")
    setup.next()
    one, two = setup.trade("polygon"), setup.trade("finnhub")
    polygon.sends(one)
    finnhub.sends(two)
    assert setup.next().trades == [one]
    assert setup.metric("producer_not_followed_trades_total", source="finnhub") == 1
    polygon.notice("disconnected", "reset")
    with structlog.testing.capture_logs() as logs:
        gaps = [gap for _ in range(5) for gap in setup.next().gaps]
    assert [(gap.reason, gap.source, gap.closed) for gap in gaps] == [
        ("disconnect", "polygon", False),
        ("disconnect", "polygon", True),
        ("failover", "finnhub", True),
    ]
    [said] = logs
    assert (said["event"], said["after"], said["symbols"]) == ("source_changed", "finnhub", 1)
    three = setup.trade("finnhub")
    finnhub.sends(three)
    assert setup.next().trades == [three]
    labels = {"before": "polygon", "after": "finnhub", "reason": "disconnect"}
    assert setup.metric("producer_handovers_total", **labels) == 1
    assert setup.metric("producer_following_symbols", source="finnhub") == 1


def test_a_source_that_says_we_ask_too_often_is_told_apart() -> None:
    """In what is said of the change, and of the source's health."""
    setup = Setup("trades", "trades")
    polygon, _ = setup.members
    for member in setup.members:
        member.notice("connected")
    setup.next()
    polygon.notice("disconnected", "reset")
    setup.next()
    refused = Notice("disconnected", "polygon", ("AAPL",), setup.clock.us, "rate_limited", "HTTP 429")
    polygon.items.append(refused)
    for _ in range(4):
        setup.next()
    assert setup.source.fitness("polygon") == {"throttled": 1}
    labels = {"before": "polygon", "after": "finnhub", "reason": "throttled"}
    assert setup.metric("producer_handovers_total", **labels) == 1


def test_the_time_since_an_earlier_run_is_a_gap() -> None:
    """From its last heartbeat until the first connection."""
    setup = Setup("trades")
    assert [(gap.start, gap.closed) for gap in setup.next().gaps] == [(START_US - 7 * S, False)]
    setup.members[0].notice("connected")
    [gap] = setup.next().gaps
    assert (gap.reason, gap.start, gap.end, gap.closed) == (
        "start",
        START_US - 7 * S,
        START_US + S,
        True,
    )


def test_corrections_follow_the_source_of_the_time_of_their_trade() -> None:
    """Also long after another one is followed."""
    setup = Setup("trades", "trades")
    polygon, finnhub = setup.members
    for member in setup.members:
        member.notice("connected")
    setup.next()
    old = setup.clock.us
    polygon.notice("disconnected")
    for _ in range(5):
        setup.next()
    now = setup.clock.us
    corrections = [
        Correction("AAPL", now, now, f"c-{source}", 0, source, "t", old) for source in ("polygon", "finnhub")
    ]
    polygon.sends(corrections=corrections[:1])
    finnhub.sends(corrections=corrections[1:])
    assert setup.next().corrections == corrections[:1]


def test_quotes_of_a_lesser_source_fill_in_where_no_better_one_has_any() -> None:
    """Finage has quotes and no trades: it is never followed, and its connections make no gaps."""
    setup = Setup("trades", "trades", "quotes")
    polygon, _, finage = setup.members
    finage.notice("connected")
    setup.next()

    def quote(source: str) -> Quote:
        return Quote("AAPL", setup.clock.us, setup.clock.us, 1.0, 1.0, 2.0, 1.0, 0, source)

    first, better, worse = quote("finage"), quote("polygon"), quote("finage")
    finage.sends(quotes=[first])
    assert setup.next().quotes == [first]
    polygon.sends(quotes=[better])
    finage.sends(quotes=[worse])
    assert setup.next().quotes == [better]
    finage.notice("disconnected")
    gaps = setup.next(31).gaps
    finage.sends(quotes=[worse])
    assert setup.next().quotes == [worse]
    assert {gap.source for gap in gaps} <= {"polygon"}


def test_what_is_broken_is_passed_on_whoever_sent_it() -> None:
    """It is a dead letter of that source."""
    setup = Setup("trades", "trades")
    letter = Rejected("unreadable_frame", "finnhub: no JSON", b"{")
    setup.members[1].sends(rejected=[letter])
    assert setup.next().rejected == [letter]


def test_the_clock_goes_with_the_source_that_is_followed() -> None:
    """It lags by that source's delay, and never goes back."""
    setup = Setup("trades", "trades")
    setup.members[1].delay_us = 0
    assert setup.next().clock_us == setup.clock.us - 500_000
    for member in setup.members:
        member.notice("connected")
    setup.next()
    setup.members[0].notice("disconnected")
    clocks = [setup.next().clock_us for _ in range(6)]
    assert clocks == sorted(clocks)
    assert clocks[-1] == setup.clock.us


def test_a_source_whose_key_is_refused_is_left_out() -> None:
    """Said once; with the last one the whole of it ends."""
    setup = Setup("trades", "trades")
    polygon, finnhub = setup.members
    for member in setup.members:
        member.notice("connected")
    setup.next()
    polygon.failure = ConfigurationError("polygon refuses the key")
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            setup.next()
    assert [entry["event"] for entry in logs] == ["source_left_out", "source_changed"]
    assert polygon.closed
    trade = setup.trade("finnhub")
    finnhub.sends(trade)
    assert setup.next().trades == [trade]
    finnhub.failure = ConfigurationError("finnhub refuses the key")
    with pytest.raises(ConfigurationError, match="finnhub refuses"):
        setup.next()


def test_a_symbol_that_a_source_does_not_serve_follows_another_one() -> None:
    """For ever: it is connected, but not for this symbol."""
    setup = Setup("trades", "trades")
    for member in setup.members:
        member.notice("connected")
    setup.members[0].notice("symbol_refused", "unknown symbol")
    gaps = [gap for _ in range(5) for gap in setup.next().gaps]
    assert ("disconnect", "the connection was lost: unknown symbol") in [(g.reason, g.detail) for g in gaps]
    trade = setup.trade("finnhub")
    setup.members[1].sends(trade)
    assert setup.next().trades == [trade]


def test_sources_without_trades_are_no_market() -> None:
    """Bars could not be made of quotes."""
    with pytest.raises(ConfigurationError, match="none of polygon has trades"):
        Setup("quotes")


class Endless:
    """A source as the simulator is one."""

    name, live, heartbeat_us = "simulator", True, 100_000

    def __init__(self, *batches: Batch) -> None:
        self._batches = batches

    def batches(self) -> Iterator[Batch]:
        yield from self._batches


def test_a_source_without_connections_is_there_as_soon_as_it_is_asked() -> None:
    """Its clock is its own."""
    clock = FakeClock()
    trade = Trade("AAPL", START_US, START_US, 10.0, 1.0, "1", 0, "simulator")
    member = SourceMember(Endless(Batch(START_US - 5, [trade])), ("AAPL",), clock)
    taken, reached = member.take(0.01)
    connected, delivery = taken.items
    assert connected == Notice("connected", "simulator", ("AAPL",), START_US)
    assert isinstance(delivery, Delivery)
    assert (delivery.parsed.trades, delivery.received_us, reached) == ([trade], START_US, START_US - 5)


def test_a_stopped_symbol_is_neither_silent_nor_lost() -> None:
    """No hole, no change of source, however long; after the start its connection counts again."""
    setup = Setup("trades", "trades")
    polygon, _ = setup.members
    for member in setup.members:
        member.notice("connected")
    setup.next()
    setup.runtime.stopped.set({"AAPL": setup.clock.us})
    polygon.notice("disconnected", "stopped")
    assert not [gap for _ in range(400) for gap in setup.next().gaps]
    assert setup.source.followed("AAPL") == ("polygon", 0)
    assert setup.source.fitness("polygon") == {}
    setup.runtime.stopped.set({})
    polygon.notice("connected")
    started = setup.next()
    assert [(gap.reason, gap.closed) for gap in started.gaps] == [("disconnect", False), ("disconnect", True)]
    assert {gap.end - gap.start for gap in started.gaps} == {0}
    assert not [gap for _ in range(20) for gap in setup.next().gaps]
    assert setup.source.fitness("polygon") == {"fit": 1}
    assert (setup.source.following("polygon"), setup.source.following("finnhub")) == (1, 0)
    trade = setup.trade("polygon")
    polygon.sends(trade)
    assert setup.next().trades == [trade]


def test_a_producer_that_begins_with_a_stopped_symbol_records_no_start_of_it() -> None:
    """That it is stopped is on record elsewhere."""
    setup = Setup("trades")
    setup.runtime.stopped.set({"AAPL": START_US})
    assert not [gap for _ in range(10) for gap in setup.next().gaps]


def test_what_a_member_had_to_leave_out_is_a_gap_of_that_reason() -> None:
    """Only where it is the one that is followed."""
    setup = Setup("trades", "trades")
    polygon, finnhub = setup.members
    for member in setup.members:
        member.notice("connected")
    setup.next()
    now = setup.clock.us
    for member in (polygon, finnhub):
        member.items.append(Notice("shed", member.name, ("AAPL",), now, detail="7 trades", since_us=now - S))
    [gap] = setup.next().gaps
    assert (gap.reason, gap.source, gap.start, gap.end) == ("shed", "polygon", now - S, now)
