"""Failover: which of several sources is followed, symbol by symbol.

A pure state machine: everything is decided by what it is told and when. Sources are given by priority; the
first is preferred. At every moment of the market's time the events of one source count (``Ownership``), so
volume of two is never added up:

- A change is made for a moment ``at``: events of the old source dated before it count, whenever they come,
  and those of the new one dated from it on. ``at`` is now, or just behind the newest event of either that
  has come, where that is dated ahead of our clock. So no event counts twice, and none that has been turned
  away would have counted.
- Where the old source had fallen out, nothing was observed from the last it told until ``at``. That is a
  hole, and recorded as one. Where it was still fit, as on the return to a better one, there is none: what is
  under way from it still counts, and the new one is connected since long.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from producer.failover.health import Fault, Feed, Link, SourceHealth
from producer.failover.holes import Holes, Missed
from producer.failover.ownership import Ownership
from producer.failover.policy import Policy
from schemas.events import Gap
from schemas.sessions import Calendar

AHEAD_US = 5_000_000
"""An event dated further ahead of its receipt will be refused, and moves nothing."""
JUDGED_EVERY_US = 500_000
"""Time between two looks at all symbols: what only time brings about is seen as late."""
UNSEEN: Mapping[Fault, str] = {
    "start": "not connected yet",
    "disconnect": "the connection was lost",
    "silence": "connected, but no trade for longer than usual",
    "errors": "most of what it sends cannot be read",
    "stale": "its trades come too late",
    "throttled": "the connection was lost, and the provider says that we ask too often",
}


class Handover(NamedTuple):
    """From ``at`` on, ``after`` is followed instead of ``before``; ``reason`` is what was wrong with that, or
    ``return``: a better one is fit again."""

    symbol: str
    before: str
    after: str
    at: int
    reason: Fault | str


@dataclass(slots=True)
class _Symbol:
    name: str
    calendar: Calendar
    feeds: dict[str, Feed]  # by priority
    ownership: Ownership
    followed_since: int
    stopped: bool
    started: int = 0
    open_since: int | None = None

    @property
    def active(self) -> Feed:
        return self.feeds[self.ownership.source]


class Failover:
    """For one thread. Times are microseconds since 1970 UTC and never go back; ``now`` is when it is told.

    ``delays``: how far behind the market sources are by their own account. ``observed_until``: until when
    the market was observed before, where that is known, and ``open_gaps``: what was missing then and still
    is. ``stopped``: symbols of which nothing is to be expected before they are started; what is not observed
    of them is recorded elsewhere.
    """

    def __init__(  # noqa: PLR0913
        self,
        sources: Sequence[str],
        symbols: Sequence[str],
        calendar: Callable[[str], Calendar],
        policy: Policy,
        now: int,
        *,
        delays: Mapping[str, int] | None = None,
        observed_until: int | None = None,
        open_gaps: Iterable[Gap] = (),
        stopped: Collection[str] = (),
    ) -> None:
        self._policy = policy
        self._observed_until = now if observed_until is None else min(observed_until, now)
        self._holes = Holes()
        self._handovers: list[Handover] = []
        self._links: dict[object, tuple[Link, Sequence[str]]] = {}
        self._health = {source: SourceHealth() for source in sources}
        self._judged = now
        self._symbols = {
            symbol: _Symbol(
                name=symbol,
                calendar=calendar(symbol),
                feeds={
                    source: Feed(source, self._health[source], (delays or {}).get(source, 0), now)
                    for source in sources
                },
                ownership=Ownership(sources[0]),
                followed_since=now,
                stopped=symbol in stopped,
            )
            for symbol in symbols
        }
        for gap in sorted(open_gaps, key=lambda gap: gap.end):
            self._resume(gap, now)
        for state in self._symbols.values():
            self._judge(state, now)

    def followed(self, symbol: str) -> str:
        """The source whose events count now."""
        return self._symbols[symbol].ownership.source

    def delay(self, symbol: str) -> int:
        """How far that source is behind the market, by its own account."""
        return self._symbols[symbol].active.delay

    def stop(self, symbol: str, now: int) -> None:
        """The symbol is not to be observed any more: it is not judged, and has no holes."""
        state = self._symbols[symbol]
        self._holes.close(symbol, now - state.active.delay, now)
        state.stopped = True

    def start(self, symbol: str, now: int) -> None:
        """It is to be observed again; that it was silent until now says nothing."""
        state = self._symbols[symbol]
        state.stopped = False
        state.started = state.followed_since = now
        for feed in state.feeds.values():
            feed.resumed(now)
        self._judge(state, now)

    def fitness(self, source: str) -> Counter[str]:
        """Number of symbols by what is wrong with the source for them, or ``fit``; stopped ones do not
        count."""
        running = [state for state in self._symbols.values() if not state.stopped]
        return Counter(state.feeds[source].fault or "fit" for state in running)

    def counts(self, symbol: str, source: str, event_time: int) -> bool:
        """Whether an event of that source and time counts; of a symbol that nobody asked for each does, and
        is left to validation."""
        state = self._symbols.get(symbol)
        return state is None or state.ownership.owner(event_time) == source

    def event(self, symbol: str, source: str, event_time: int, now: int) -> bool:
        """A trade (or whatever it is that is followed) has come at ``now``: whether it counts."""
        state = self._symbols.get(symbol)
        if state is None:
            return True
        feed = state.feeds[source]
        feed.heard(now)
        feed.traded(event_time, now, state.open_since or 0, self._policy)
        if event_time <= now + AHEAD_US:
            feed.newest = max(feed.newest, event_time)
        if state.ownership.owner(event_time) != source:
            return False
        if feed.quiet and feed is state.active:
            self._judge(state, now)  # it is heard again: the hole ends here
        return True

    def connected(self, connection: object, source: str, symbols: Sequence[str], now: int) -> None:
        """A connection of the source is there, and what comes through it is all of these symbols.
        ``connection`` names it."""
        link = Link(source, up=True, heard=now)
        ours = [symbol for symbol in symbols if symbol in self._symbols]
        self._links[connection] = link, ours
        for symbol in ours:
            self._symbols[symbol].feeds[source].connected(link, now)
            self._judge(self._symbols[symbol], now)

    def heard(self, symbol: str, source: str, now: int) -> None:
        """Something else has come through the connection that the symbol is on."""
        if (state := self._symbols.get(symbol)) is not None:
            state.feeds[source].heard(now)

    def disconnected(
        self, connection: object, now: int, detail: str = "", *, throttled: bool = False
    ) -> None:
        """The connection is lost, or could not be made again: ``throttled``, because the provider says that
        we ask too often."""
        known = self._links.get(connection)
        if known is None:
            return
        link, symbols = known
        link.up, link.detail, link.throttled = False, detail, throttled
        for symbol in symbols:
            self._judge(self._symbols[symbol], now)

    def refused(self, symbols: Sequence[str], source: str, now: int, detail: str) -> None:
        """The source does not serve these symbols, and never will."""
        for symbol in symbols:
            if (state := self._symbols.get(symbol)) is not None:
                state.feeds[source].refused = detail or "refused"
                self._judge(state, now)

    def frames(self, source: str, good: int, bad: int, now: int) -> None:
        """So many frames of the source could be read, and could not."""
        self._health[source].frames(good, bad, now)

    def missed(self, missed: Missed, now: int) -> None:
        """Something is known to be missing; recorded where the source counted then."""
        state = self._symbols.get(missed.symbol)
        if state is None or state.stopped:
            return
        if missed.source in (state.ownership.owner(missed.start), state.ownership.owner(missed.end)):
            self._holes.add(missed, now)

    def tick(self, now: int) -> None:
        """Time has passed; to be called several times a second."""
        if now - self._judged < JUDGED_EVERY_US:
            return
        self._judged = now
        for state in self._symbols.values():
            self._judge(state, now)

    def gaps(self) -> list[Gap]:
        """What is to be recorded since the last time."""
        return self._holes.drain()

    def handovers(self) -> list[Handover]:
        """What has been decided since the last time."""
        handovers, self._handovers = self._handovers, []
        return handovers

    def _resume(self, gap: Gap, now: int) -> None:
        state = self._symbols.get(gap.symbol)
        if state is not None:
            self._holes.resume(gap, now)
            if state.stopped:
                self._holes.close(gap.symbol, gap.end, now)

    def _judge(self, state: _Symbol, now: int) -> None:
        if state.stopped:
            return
        if not state.calendar.is_open(now):
            state.open_since = None
        elif state.open_since is None:
            state.open_since = now
        for feed in state.feeds.values():
            proof = max((other.last_trade for other in state.feeds.values() if other is not feed), default=0)
            feed.judge(now, state.open_since, proof, self._policy)
        if (chosen := self._choose(state, now)) is not None:
            self._hand_over(state, chosen, now)
        self._watch(state, now)

    def _choose(self, state: _Symbol, now: int) -> Feed | None:
        """The source to go over to, if any."""
        active, policy = state.active, self._policy
        if active.fault is None:
            if now - state.followed_since < policy.hold:
                return None
            for feed in state.feeds.values():
                if feed is active:
                    return None
                if feed.fault is None and now - feed.fault_since >= policy.settled and _heard(feed, active):
                    return feed
        if now - active.fault_since < policy.patience:
            return None
        fit = (
            feed
            for feed in state.feeds.values()
            if feed is not active and feed.fault is None and now - feed.fault_since >= policy.patience
        )
        return next(fit, None)

    def _hand_over(self, state: _Symbol, chosen: Feed, now: int) -> None:
        before = state.active
        at = max(now, before.newest + 1, chosen.newest + 1)
        if at <= state.ownership.since:
            return  # the last change was for a moment ahead of the clock
        reason = before.fault or "return"
        self._handovers.append(Handover(state.name, before.source, chosen.source, at, reason))
        if before.fault is not None:
            self._open(state, before, before.fault, now)
        self._holes.close(state.name, at, now)
        detail = f"{before.source} -> {chosen.source}: {reason}"
        self._holes.add(Missed(state.name, chosen.source, at, at, "failover", detail), now)
        state.ownership.hand_over(chosen.source, at)
        state.followed_since = now

    def _watch(self, state: _Symbol, now: int) -> None:
        """Opens, extends or closes the hole of the symbol, by the source that is followed."""
        feed = state.active
        # Trades that only come late are not missing.
        unseen: Fault | None = "silence" if feed.quiet else None if feed.fault == "stale" else feed.fault
        seen_until = now - feed.delay
        if unseen is not None:
            self._open(state, feed, unseen, now)
            self._holes.extend(state.name, seen_until, now)
        elif self._holes.is_open(state.name):
            self._holes.close(state.name, seen_until, now)

    def _open(self, state: _Symbol, feed: Feed, reason: Fault, now: int) -> None:
        if feed.link is None:
            start = self._observed_until
        elif reason == "stale":
            start = feed.newest
        else:
            start = feed.observed_until(state.open_since or 0)
        start = min(now, max(start, state.ownership.since, state.started - feed.delay))
        detail = UNSEEN[reason]
        if why := feed.refused or (feed.link.detail if feed.link is not None else ""):
            detail = f"{detail}: {why}"
        self._holes.open(Missed(state.name, feed.source, start, now - feed.delay, reason, detail), now)


def _heard(feed: Feed, active: Feed) -> bool:
    """Whether a source that is connected says anything: a trade since then, unless nobody had one."""
    return feed.last_trade >= feed.connected_at or active.last_trade < feed.connected_at
