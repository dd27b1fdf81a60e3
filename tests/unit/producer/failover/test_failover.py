"""Which source is followed when, and what is recorded of it: one story after the other."""

from dataclasses import replace
from typing import Any

from producer.failover.failover import Failover, Handover
from producer.failover.holes import Missed
from producer.failover.policy import SECOND_US, Policy
from schemas.events import Gap
from schemas.sessions import UtcCalendar

T = 1_723_161_600_000_000
S = SECOND_US
BOTH = ("polygon", "finnhub")
CALENDAR = UtcCalendar()


class Market:
    """Failover over one symbol, and a clock."""

    def __init__(self, *sources: str, calendar: Any = CALENDAR, **options: Any) -> None:
        self.now = T
        self.records = 0
        self.failover = Failover(sources or BOTH, ["AAPL"], lambda _: calendar, Policy(), T, **options)

    def to(self, seconds: float, *trading: str) -> "Market":
        """Goes on to so many seconds after the start; ``trading`` sources have a trade each second."""
        while self.now < T + round(seconds * S):
            self.now = min(self.now + S, T + round(seconds * S))
            for source in trading:
                self.trade(source)
            self.failover.tick(self.now)
        return self

    def trade(self, source: str, late: int = 0) -> bool:
        return self.failover.event("AAPL", source, self.now - late, self.now)

    def up(self, *sources: str) -> None:
        for source in sources:
            self.failover.connected(source, source, ["AAPL"], self.now)

    def down(self, source: str) -> None:
        self.failover.disconnected(source, self.now, "reset by peer")

    def told(self) -> list[tuple[str, str, float, float, bool]]:
        """(reason, source, start, end, closed) of the newest record of each gap, in seconds of the story."""
        gaps = self.failover.gaps()
        self.records = len(gaps)
        newest: dict[str, Gap] = {gap.gap_id: gap for gap in gaps}
        return [
            (gap.reason, gap.source, (gap.start - T) / S, (gap.end - T) / S, gap.closed)
            for gap in newest.values()
        ]


def test_a_disconnect_is_a_gap_from_the_last_that_was_heard() -> None:
    """Also where the same source is back before another one is followed."""
    market = Market()
    market.up(*BOTH)
    market.told()
    market.to(60, *BOTH).to(60.4)
    market.down("polygon")
    market.to(62)
    market.up("polygon")
    assert market.told() == [("disconnect", "polygon", 60, 62, True)]
    assert market.failover.handovers() == []


def test_another_source_is_followed_where_the_preferred_one_stays_away() -> None:
    """From the moment of the decision on; until then nothing was observed, and both say so."""
    market = Market()
    market.up(*BOTH)
    market.told()
    market.to(60, *BOTH)
    market.down("polygon")
    assert not market.trade("finnhub")
    market.to(62, "finnhub").to(64)
    assert market.failover.handovers() == [Handover("AAPL", "polygon", "finnhub", T + 63 * S, "disconnect")]
    assert market.failover.followed("AAPL") == "finnhub"
    assert market.told() == [
        ("disconnect", "polygon", 60, 63, True),
        ("failover", "finnhub", 63, 63, True),
    ]
    assert market.trade("finnhub")
    assert not market.failover.counts("AAPL", "finnhub", T + 63 * S - 1)
    assert market.failover.counts("AAPL", "polygon", T + 63 * S - 1)
    assert not market.failover.counts("AAPL", "polygon", T + 63 * S)


def test_the_preferred_source_is_followed_again_when_it_has_been_well_for_a_while() -> None:
    """A minute without a break, in which it had trades; nothing is missed on the way back."""
    market = Market()
    market.up("finnhub")
    market.to(10, "finnhub")
    assert market.failover.followed("AAPL") == "finnhub"
    market.up("polygon")
    market.to(50, *BOTH)
    market.down("polygon")
    market.to(52, "finnhub")
    market.up("polygon")
    market.failover.handovers()
    market.told()
    market.to(111, *BOTH)
    assert market.failover.followed("AAPL") == "finnhub"
    market.to(113, *BOTH)
    assert market.failover.handovers() == [Handover("AAPL", "finnhub", "polygon", T + 112 * S + 1, "return")]
    assert market.told() == [("failover", "polygon", 112.000001, 112.000001, True)]


def test_a_source_that_is_connected_and_silent_is_not_returned_to() -> None:
    """Others hear trades, it hears none."""
    market = Market()
    market.up("finnhub")
    market.to(10, "finnhub")
    market.up("polygon")
    market.to(200, "finnhub")
    assert market.failover.followed("AAPL") == "finnhub"


def test_silence_by_the_rhythm_of_the_symbol_is_a_gap_and_a_reason_to_change() -> None:
    """30 s where trades come every second; the other source hears them."""
    market = Market()
    market.up(*BOTH)
    market.told()
    market.to(60, *BOTH).to(90, "finnhub")
    assert market.told() == []
    market.to(93, "finnhub").to(95)
    [change] = market.failover.handovers()
    assert (change.after, change.reason, change.at) == ("finnhub", "silence", T + 94 * S)
    assert market.told() == [("silence", "polygon", 60, 94, True), ("failover", "finnhub", 94, 94, True)]


def test_a_market_that_is_silent_everywhere_moves_nobody() -> None:
    """It is a gap all the same: nobody knows. It ends with the next trade."""
    market = Market()
    market.up(*BOTH)
    market.told()
    market.to(60, *BOTH).to(100)
    assert market.trade("polygon")
    assert market.failover.handovers() == []
    assert market.told() == [("silence", "polygon", 60, 100, True)]


class Closing(UtcCalendar):
    """A market that closes a minute after the start."""

    def is_open(self, event_time_us: int) -> bool:
        return event_time_us < T + 60 * S


def test_a_closed_market_is_not_silent() -> None:
    """No gap, no change: nothing is to be expected."""
    market = Market(calendar=Closing())
    market.up(*BOTH)
    market.told()
    market.to(60, *BOTH).to(2000)
    assert (market.failover.handovers(), market.told()) == ([], [])


def test_trades_that_come_late_one_after_another_make_a_source_unfit() -> None:
    """A single late print does not. The gap begins with the newest that had come."""
    market = Market()
    market.up(*BOTH)
    market.to(60, *BOTH)
    market.told()
    assert market.trade("polygon", late=300 * S)
    market.to(62, *BOTH)
    for second in range(63, 72):
        market.to(second, "finnhub")
        market.trade("polygon", late=80 * S)
    [change] = market.failover.handovers()
    assert (change.reason, change.after) == ("stale", "finnhub")
    assert ("stale", "polygon", 62, (change.at - T) / S, True) in market.told()


def test_broken_frames_make_a_source_unfit() -> None:
    """For all of its symbols."""
    market = Market()
    market.up(*BOTH)
    market.to(10, *BOTH)
    market.failover.frames("polygon", 5, 20, market.now)
    market.to(20, *BOTH)
    [change] = market.failover.handovers()
    assert (change.reason, change.after) == ("errors", "finnhub")


def test_a_source_that_lets_nobody_in_for_a_while_is_told_so() -> None:
    """Its connection was lost, and then it said that we ask too often; until it lets us in."""
    market = Market()
    market.up(*BOTH)
    market.to(10, *BOTH)
    market.down("polygon")
    market.failover.disconnected("polygon", market.now, "HTTP 429", throttled=True)
    assert market.failover.fitness("polygon") == {"throttled": 1}
    market.to(20, "finnhub")
    [change] = market.failover.handovers()
    assert (change.reason, change.after) == ("throttled", "finnhub")
    market.up("polygon")
    assert market.failover.fitness("polygon") == {"fit": 1}


def test_without_a_better_one_a_source_that_is_away_stays_the_one() -> None:
    """The gap grows, hour by hour, and is told again each minute."""
    market = Market("polygon")
    market.up("polygon")
    market.to(5, "polygon")
    market.failover.gaps()
    market.down("polygon")
    market.to(3 * 3600 + 30)
    market.up("polygon")
    hour = 3600
    told = market.told()
    assert market.records < 3 * 60 + 10  # what is over is not told again
    assert told == [
        ("disconnect", "polygon", 5, hour, True),
        ("disconnect", "polygon", hour, 2 * hour, True),
        ("disconnect", "polygon", 2 * hour, 3 * hour, True),
        ("disconnect", "polygon", 3 * hour, 3 * hour + 30, True),
    ]


def test_the_time_before_the_first_connection_is_a_gap() -> None:
    """From the last that an earlier run had observed, where that is known."""
    market = Market("polygon", observed_until=T - 100 * S)
    market.to(2)
    market.up("polygon")
    assert market.told() == [("start", "polygon", -100, 0, True), ("start", "polygon", 0, 2, True)]


def test_a_gap_that_an_earlier_run_has_left_open_goes_on() -> None:
    """Under its own name, until the symbol is observed again: the time in between is not lost, and it ends.
    Of two the older one ends where it was told to have come; whoever is not asked for any more stays."""
    hole = Gap(f"disconnect:AAPL:polygon:{T - 200 * S}", "AAPL", "polygon", T - 200 * S, T - 130 * S, False,
               "disconnect", "reset")  # fmt: skip
    older = replace(hole, gap_id=f"silence:AAPL:polygon:{T - 400 * S}", start=T - 400 * S, end=T - 390 * S,
                    reason="silence")  # fmt: skip
    left = [hole, older, replace(hole, symbol="MSFT")]
    market = Market("polygon", observed_until=T - 100 * S, open_gaps=left)
    market.to(2)
    market.up("polygon")
    market.to(100, "polygon")
    hour = T - T % (3600 * S)
    assert hour == T  # it is told by the hour
    assert market.told() == [
        ("silence", "polygon", -400, -390, True),
        ("disconnect", "polygon", -200, 0, True),
        ("disconnect", "polygon", 0, 2, True),
    ]


def test_a_gap_of_a_symbol_that_is_stopped_ends_where_it_had_come() -> None:
    """What is missing behind it, the stop tells."""
    hole = Gap(f"disconnect:AAPL:polygon:{T - 200 * S}", "AAPL", "polygon", T - 200 * S, T - 130 * S, False,
               "disconnect")  # fmt: skip
    market = Market("polygon", observed_until=T - 100 * S, open_gaps=[hole], stopped=["AAPL"])
    market.to(100)
    assert market.told() == [("disconnect", "polygon", -200, -130, True)]


def test_events_dated_ahead_of_the_clock_are_not_counted_twice() -> None:
    """The other source begins behind them."""
    market = Market()
    market.up(*BOTH)
    market.to(10, *BOTH)
    assert market.trade("polygon", late=-4 * S)
    market.down("polygon")
    market.to(13)
    [change] = market.failover.handovers()
    assert change.at == T + 14 * S + 1
    assert not market.trade("finnhub", late=-S)
    assert market.trade("finnhub", late=-S - 1)


def test_an_event_from_far_ahead_moves_nothing() -> None:
    """It will be refused: a moment of change is not put there."""
    market = Market()
    market.up(*BOTH)
    market.to(10, *BOTH)
    market.trade("polygon", late=-(10**9) * S)
    market.down("polygon")
    market.to(14)
    [change] = market.failover.handovers()
    assert change.at == T + 13 * S


def test_a_source_that_is_behind_by_its_own_account_is_not_stale() -> None:
    """And what it has told is that much older."""
    market = Market("delayed", delays={"delayed": 900 * S})
    market.up("delayed")
    for second in range(1, 30):
        market.to(second)
        market.trade("delayed", late=900 * S)
    assert market.failover.handovers() == []
    market.told()
    market.down("delayed")
    market.to(40)
    market.up("delayed")
    assert market.told() == [("disconnect", "delayed", 29 - 900, 40 - 900, True)]


def test_known_holes_are_recorded_where_the_source_counted() -> None:
    """Those of a source that only stands by are not missing anywhere."""
    market = Market()
    market.up(*BOTH)
    market.told()
    for source in BOTH:
        market.failover.missed(Missed("AAPL", source, T, T + 5, "sequence_hole", "3 trades"), T + 9)
    assert market.told() == [("sequence_hole", "polygon", 0, 5e-6, True)]


def test_symbols_that_nobody_asked_for_are_left_to_validation() -> None:
    """They pass."""
    market = Market()
    assert market.failover.event("NOPE", "finnhub", T, T)
    assert market.failover.counts("NOPE", "finnhub", T)


def test_what_was_turned_away_would_not_have_counted() -> None:
    """A source that stands by may be ahead of our clock: it is followed from behind what it has sent."""
    market = Market()
    market.up(*BOTH)
    market.to(10, *BOTH)
    market.down("polygon")
    market.to(12)
    assert not market.trade("finnhub", late=-4 * S)
    market.to(13)
    [change] = market.failover.handovers()
    assert change.at == T + 16 * S + 1
    assert not market.failover.counts("AAPL", "finnhub", T + 16 * S)


def test_a_source_is_kept_for_a_while_before_a_better_one() -> None:
    """The second and the first come back 10 s apart: the first is followed half a minute after the second."""
    market = Market("first", "second", "third")
    market.up("third")
    market.to(10, "third")
    market.up("second")
    market.to(20, "second", "third")
    market.up("first")
    market.to(120, "first", "second", "third")
    changes = [(change.after, (change.at - T) // S) for change in market.failover.handovers()]
    assert changes == [("third", 3), ("second", 70), ("first", 100)]
