"""Several sources as one: of each symbol the events of the source that is followed, and what nobody saw."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog

from producer.failover.before import Before
from producer.failover.failover import Failover, Handover
from producer.failover.holes import Missed
from producer.failover.members import Member
from producer.failover.quotes import QuoteChoice
from producer.providers.deliveries import Delivery, Notice
from producer.runtime import Runtime
from producer.settings import ProducerSettings
from producer.sources import Batch, Rejected
from schemas.errors import ConfigurationError, TickstreamError
from schemas.events import Correction, Quote, Trade
from schemas.symbol_classes import SymbolClasses

log = structlog.get_logger()

LEAST_WAIT_S = 0.01
"""For what comes, of all members together: those of one must not wait long for those of another."""

SHOWN_SYMBOLS = 10
"""Of those that a change of source is logged with."""


class FollowedSources:
    """See ``producer.sources.Source``. ``members`` are by priority, at least one of them with trades.

    A member that has failed for good, because its key is refused, is left out, which is said once; when it
    was the last one, so is this source."""

    live = True

    def __init__(
        self,
        members: Sequence[Member],
        settings: ProducerSettings,
        runtime: Runtime,
        before: Callable[[], Before],
    ) -> None:
        """``before`` is asked once, when it begins. Raises ConfigurationError where no member has trades."""
        self.name = ",".join(member.name for member in members)
        self.heartbeat_us = settings.heartbeat_interval_ms * 1000
        self._members = list(members)
        self._clock = runtime.clock
        self._metrics = runtime.metrics
        self._now = runtime.clock.now_us()
        traders = [member for member in members if member.kind == "trades"]
        if not traders:
            raise ConfigurationError(f"none of {self.name} has trades: name a source that does, beside them")
        policy = settings.failover_policy
        self._traders = frozenset(member.name for member in traders)
        self._failover: Failover
        self._stopped_streams = runtime.stopped
        self._begun = False
        self._stopped: frozenset[str] = frozenset()
        self._symbols = frozenset(settings.symbols)
        calendar = SymbolClasses(settings).calendar

        def begin() -> Failover:
            self._stopped = self._symbols.intersection(runtime.stopped.since)
            left = before()
            return Failover(
                [member.name for member in traders],
                settings.symbols,
                calendar,
                policy,
                self._advance(runtime.clock.now_us()),
                delays={member.name: member.behind_us for member in traders},
                observed_until=left.observed_until,
                open_gaps=left.open_gaps,
                stopped=self._stopped,
            )

        self._begin = begin
        self._quotes = QuoteChoice([member.name for member in members], policy.silence)
        self._following = Counter({traders[0].name: len(settings.symbols)})
        self._reached = dict.fromkeys((member.name for member in members), 0)
        self._connections: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
        for source in self._traders:
            self._metrics.following.labels(source).set(self._following[source])

    def batches(self) -> Iterator[Batch]:
        clock_us = 0
        self._failover = self._begin()
        self._begun = True
        try:
            while True:
                self._follow_orders()
                merged = _Merged()
                for member in tuple(self._members):
                    self._take(member, merged)
                self._advance(self._clock.now_us())
                self._failover.tick(self._now)
                self._tell(self._failover.handovers())
                clock_us = max(clock_us, self._reached_by_all())
                yield Batch(
                    clock_us,
                    merged.trades,
                    merged.quotes,
                    merged.rejected,
                    corrections=merged.corrections,
                    gaps=self._failover.gaps(),
                )
        finally:
            for member in self._members:
                member.close()

    def followed(self, symbol: str) -> tuple[str, int]:
        """See ``producer.sources.Following``; before it has begun, the one that is preferred."""
        if not self._begun or symbol not in self._symbols:
            first = self._members[0]
            return first.name, first.behind_us
        return self._failover.followed(symbol), self._failover.delay(symbol)

    def fitness(self, source: str) -> Mapping[str, int] | None:
        """See ``Failover.fitness``; None for one that has no trades, or before it has begun."""
        return self._failover.fitness(source) if source in self._traders and self._begun else None

    def following(self, source: str) -> int | None:
        """Number of symbols that follow the source; None likewise."""
        return self._following[source] if source in self._traders else None

    def _follow_orders(self) -> None:
        """What somebody has stopped is no longer judged, and what was started is again."""
        stopped = self._symbols.intersection(self._stopped_streams.since)
        if stopped == self._stopped:
            return
        now = self._advance(self._clock.now_us())
        for symbol in stopped - self._stopped:
            self._failover.stop(symbol, now)
        for symbol in self._stopped - stopped:
            self._failover.start(symbol, now)
        self._stopped = stopped

    def _advance(self, now: int) -> int:
        """The time, which never goes back: sources are read one after the other."""
        self._now = max(now, self._now)
        return self._now

    def _take(self, member: Member, merged: "_Merged") -> None:
        alone = len(self._members) == 1
        wait_s = self.heartbeat_us / 2e6 if alone else LEAST_WAIT_S / len(self._members)
        try:
            taken, reached_us = member.take(wait_s)
        except TickstreamError as error:
            if alone:
                raise
            self._leave_out(member, error)
            return
        for item in taken.items:
            if isinstance(item, Delivery):
                self._deliver(member.name, item, merged)
            elif member.name in self._traders:
                self._notice(item)
        self._reached[member.name] = max(self._reached[member.name], reached_us - member.delay_us)

    def _leave_out(self, member: Member, error: TickstreamError) -> None:
        log.error("source_left_out", source=member.name, error=str(error))
        self._members.remove(member)
        member.close()
        now = self._advance(self._clock.now_us())
        for symbols in self._connections.pop(member.name, set()):
            self._failover.disconnected((member.name, symbols), now, str(error))

    def _deliver(self, source: str, delivery: Delivery, merged: "_Merged") -> None:
        """Sorts out what counts of a frame."""
        now, parsed, failover = self._advance(delivery.received_us), delivery.parsed, self._failover
        merged.rejected += parsed.rejected
        merged.quotes += [quote for quote in parsed.quotes if self._quotes.passes(quote.symbol, source, now)]
        if source not in self._traders:
            return
        if parsed.events or parsed.rejected:
            failover.frames(source, parsed.events, len(parsed.rejected), now)
        for quote in parsed.quotes:
            failover.heard(quote.symbol, source, now)
        kept = [
            trade for trade in parsed.trades if failover.event(trade.symbol, source, trade.event_time, now)
        ]
        if unused := len(parsed.trades) - len(kept):
            self._metrics.not_followed.labels(source).inc(unused)
        merged.trades += kept
        merged.corrections += [
            correction
            for correction in parsed.corrections
            if failover.counts(correction.symbol, source, correction.trade_time or correction.event_time)
        ]

    def _notice(self, notice: Notice) -> None:
        source, symbols = notice.provider, tuple(notice.symbols)
        if notice.what == "missed_trades":
            for symbol in symbols:
                detail = f"{notice.count} trades, by their numbers"
                missed = Missed(symbol, source, notice.since_us, notice.at_us, "sequence_hole", detail)
                self._failover.missed(missed, self._now)
            return
        if notice.what == "shed":
            for symbol in symbols:
                missed = Missed(symbol, source, notice.since_us, notice.at_us, "shed", notice.detail)
                self._failover.missed(missed, self._now)
            return
        now = self._advance(notice.at_us)
        if notice.what == "connected":
            self._connections[source].add(symbols)
            self._failover.connected((source, symbols), source, symbols, now)
        elif notice.what == "disconnected":
            self._connections[source].discard(symbols)
            detail = ": ".join(filter(None, (notice.reason, notice.detail)))
            throttled = notice.reason == "rate_limited"
            self._failover.disconnected((source, symbols), now, detail, throttled=throttled)
        else:
            self._failover.refused(symbols, source, now, notice.detail)

    def _tell(self, handovers: Sequence[Handover]) -> None:
        """Logs and counts changes of source: those of one cause as one."""
        alike: defaultdict[tuple[str, str, str], list[Handover]] = defaultdict(list)
        for change in handovers:
            alike[change.before, change.after, change.reason].append(change)
        for (before, after, reason), changes in alike.items():
            count = len(changes)
            self._following[before] -= count
            self._following[after] += count
            self._metrics.handovers.labels(before, after, reason).inc(count)
            self._metrics.following.labels(before).set(self._following[before])
            self._metrics.following.labels(after).set(self._following[after])
            log.warning(
                "source_changed",
                before=before,
                after=after,
                reason=reason,
                symbols=count,
                first=[change.symbol for change in changes[:SHOWN_SYMBOLS]],
            )

    def _reached_by_all(self) -> int:
        """Nothing older than this is to come from a source that is followed and not left out."""
        present = {member.name for member in self._members}
        return min(
            (self._reached[name] for name, count in self._following.items() if count and name in present),
            default=0,
        )


class _Merged:
    """What of several frames counts."""

    def __init__(self) -> None:
        self.trades: list[Trade] = []
        self.quotes: list[Quote] = []
        self.corrections: list[Correction] = []
        self.rejected: list[Rejected] = []
