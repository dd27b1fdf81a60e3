"""Failover over whatever may happen to sources: hours of their time in moments of ours."""

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producer.failover.failover import Failover, Handover
from producer.failover.policy import SECOND_US, Policy
from schemas.events import Gap
from schemas.sessions import UtcCalendar
from schemas.validation import check_gap

START_US = 1_723_161_255_000_000
SOURCES = ("first", "second", "third")
SYMBOL = "AAPL"
POLICY = Policy()
CALM_SECONDS = 240

What = Literal["connect", "disconnect", "trade", "broken", "throttled", "nothing", "stop", "start"]


@dataclass(frozen=True)
class Step:
    """After ``seconds`` something happens to a source; ``late_ms`` is how old a trade is."""

    seconds: float
    what: What
    source: str
    late_ms: int


STEPS = st.lists(
    st.builds(
        Step,
        seconds=st.sampled_from([0.0, 0.001, 0.3, 1.0, 2.9, 3.1, 10.0, 31.0, 65.0, 400.0, 4000.0]),
        what=st.sampled_from(
            [
                *["connect", "connect", "disconnect", "trade", "trade", "trade"],
                *["broken", "throttled", "nothing", "stop", "start"],
            ]
        ),
        source=st.sampled_from(SOURCES),
        late_ms=st.sampled_from([0, 0, 5, 200, 5000, 90_000, -1500]),
    ),
    max_size=40,
)
thorough = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


@dataclass
class World:
    """Sources whose state we know, and what failover makes of them."""

    now: int = START_US
    up_since: dict[str, int] = field(default_factory=dict)
    down: list[tuple[str, int, int]] = field(default_factory=list)
    """(source, from, to): times at which it was not connected, as they ended."""
    down_since: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SOURCES, START_US))
    sent: list[tuple[str, int, bool]] = field(default_factory=list)
    """(source, event time, whether it was let through)"""
    changes: list[tuple[int, Handover]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    stopped_since: int | None = None

    def __post_init__(self) -> None:
        calendar = UtcCalendar()
        self.failover = Failover(SOURCES, [SYMBOL], lambda _: calendar, POLICY, START_US)
        self._take()

    def play(self, step: Step) -> None:
        self.wait(step.seconds)
        source = step.source
        if step.what == "connect":
            self.connect(source)
        elif step.what == "disconnect" and source in self.up_since:
            del self.up_since[source]
            self.down_since[source] = self.now
            self.failover.disconnected(source, self.now, "reset")
        elif step.what == "trade" and source in self.up_since:
            self.trade(source, self.now - step.late_ms * 1000)
        elif step.what == "broken":
            self.failover.frames(source, 1, 15, self.now)
        elif step.what == "throttled" and source not in self.up_since:
            self.failover.disconnected(source, self.now, "HTTP 429", throttled=True)
        elif step.what == "stop" and self.stopped_since is None:
            self.failover.stop(SYMBOL, self.now)
            self.stopped_since = self.now
        elif step.what == "start":
            self.start()
        self._take()

    def start(self) -> None:
        """Ends a stop; its time is on record with whoever has stopped the symbol."""
        if self.stopped_since is not None:
            self.failover.start(SYMBOL, self.now)
            hour, since = 3600 * SECOND_US, self.stopped_since
            while since <= self.now:
                until = min(self.now, since - since % hour + hour)
                gap_id = f"stopped:{since}"
                self.gaps.append(Gap(gap_id, SYMBOL, "desk", since, until, True, "stopped", "", self.now))
                since = until if until < self.now else self.now + 1
            self.stopped_since = None

    def connect(self, source: str) -> None:
        if source not in self.up_since:
            self.down.append((source, self.down_since.pop(source), self.now))
            self.up_since[source] = self.now
            self.failover.connected(source, source, [SYMBOL], self.now)

    def trade(self, source: str, event_time: int) -> None:
        counts = self.failover.event(SYMBOL, source, event_time, self.now)
        self.sent.append((source, event_time, counts))

    def wait(self, seconds: float) -> None:
        """Time passes, and failover is told so: often at first, then a few times."""
        end = self.now + round(seconds * SECOND_US)
        step, first = SECOND_US // 2, self.now + 10 * SECOND_US
        while self.now < end:
            self.now = min(end, self.now + step)
            step = SECOND_US // 2 if self.now < first else 60 * SECOND_US
            self.failover.tick(self.now)
            self._take()

    def calm(self) -> None:
        """Every source is there and has a trade each second."""
        self.start()
        for source in SOURCES:
            self.connect(source)
        for _ in range(CALM_SECONDS):
            self.now += SECOND_US
            for source in SOURCES:
                self.failover.frames(source, 1, 0, self.now)
                self.trade(source, self.now)
            self.failover.tick(self.now)
            self._take()

    def owner(self, at: int) -> str:
        """Who was followed at a time, by the changes that were told."""
        place = bisect_right([change.at for _, change in self.changes], at)
        return self.changes[place - 1][1].after if place else SOURCES[0]

    def newest_gaps(self) -> list[Gap]:
        """Of each gap the record with the greatest end; an open one reaches until now."""
        newest: dict[str, Gap] = {}
        for gap in self.gaps:
            known = newest.get(gap.gap_id)
            if known is None or (gap.end, gap.closed) >= (known.end, known.closed):
                newest[gap.gap_id] = gap
        return list(newest.values())

    def _take(self) -> None:
        if self.stopped_since is not None and self.now > self.stopped_since:
            assert not self.failover.gaps()
            assert not self.failover.handovers()
        self.changes += [(self.now, change) for change in self.failover.handovers()]
        self.gaps += self.failover.gaps()


def played(steps: list[Step]) -> World:
    world = World()
    for step in steps:
        world.play(step)
    return world


@thorough
@given(steps=STEPS)
def test_whatever_happens_one_source_counts_and_nothing_unseen_is_hidden(steps: list[Step]) -> None:
    """What holds at every moment, whatever the sources do."""
    world = played(steps)
    world.start()
    one_source_counts(world)
    what_nobody_observed_is_covered(world)
    it_never_flaps(world)


def one_source_counts(world: World) -> None:
    """A trade is let through exactly if it is of the source that was followed at its time: so no two sources
    share a moment, and nothing of the one that is followed is thrown away."""
    times = [change.at for _, change in world.changes]
    assert all(earlier < later for earlier, later in pairwise(times))
    before = [SOURCES[0], *(change.after for _, change in world.changes)]
    assert [change.before for _, change in world.changes] == before[:-1]
    assert world.sent == [(source, at, world.owner(at) == source) for source, at, _ in world.sent]


def what_nobody_observed_is_covered(world: World) -> None:
    """Every moment at which the source that counts was not connected lies in a gap, and every gap can be
    stored."""
    gaps = world.newest_gaps()
    for gap in gaps:
        check_gap(gap)
    down = world.down + [(source, since, world.now) for source, since in world.down_since.items()]
    edges = sorted({edge for _, *span in down for edge in span} | {change.at for _, change in world.changes})
    for left, right in pairwise(edges):
        middle = (left + right) // 2
        owner = world.owner(middle)
        if any(source == owner and since <= middle < until for source, since, until in down):
            assert any(gap.start <= middle and (middle < gap.end or not gap.closed) for gap in gaps), (
                middle,
                owner,
            )


def it_never_flaps(world: World) -> None:
    """Two changes are ``patience`` apart at least, and one that nothing forced comes ``hold`` after the one
    before it, at the earliest."""
    last = START_US
    for now, change in world.changes:
        least = POLICY.hold if change.reason == "return" else POLICY.patience
        assert now - last >= least, change
        last = now


@thorough
@given(steps=STEPS)
def test_the_preferred_source_is_followed_again(steps: list[Step]) -> None:
    """Whatever has happened, once all sources have been well for some minutes; and then no gap is open. The
    same happenings give the same decisions: nothing else decides."""
    world, other = played(steps), played(steps)
    assert (world.changes, world.gaps, world.sent) == (other.changes, other.gaps, other.sent)
    world.calm()
    assert world.failover.followed(SYMBOL) == SOURCES[0]
    assert [gap for gap in world.newest_gaps() if not gap.closed] == []
