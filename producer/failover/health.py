"""Whether a source is fit to be followed: as a whole, and for one symbol."""

from dataclasses import dataclass
from typing import Literal

from producer.failover.policy import SECOND_US, Policy

Fault = Literal["start", "disconnect", "silence", "errors", "stale", "throttled"]

DISTANCES = 10
"""Times the usual distance between two trades that make a silence."""
KNOWN_AFTER = 5
"""Trades after which the distance between them is known; before, silence takes ``UNKNOWN_SILENCE``."""
UNKNOWN_SILENCE = 300 * SECOND_US
MEMORY = 32
"""Trades over which the distance is averaged, with weights that fade."""

ERROR_WINDOW = 60 * SECOND_US
LEAST_ERRORS = 10
"""Broken frames within about the window, and more than the good ones, make a source unfit."""
STALE_RUN = 5
"""Trades in a row that came late: a single late print says nothing about the feed."""


@dataclass(slots=True)
class Link:
    """One connection of a source. ``heard``: when anything last came through it. ``throttled``: it is not let
    in again yet, because we have asked too often."""

    source: str
    up: bool
    heard: int
    detail: str = ""
    throttled: bool = False


class SourceHealth:
    """What is known of a source as a whole: broken frames."""

    def __init__(self) -> None:
        self._good = self._bad = 0
        self._since = 0

    def frames(self, good: int, bad: int, now: int) -> None:
        """So many frames could be read and could not."""
        self._fade(now)
        self._good += good
        self._bad += bad

    def fault(self, now: int) -> Fault | None:
        """What makes the source unfit, if anything does."""
        self._fade(now)
        if self._bad >= LEAST_ERRORS and self._bad > self._good:
            return "errors"
        return None

    def _fade(self, now: int) -> None:
        while self._since + ERROR_WINDOW <= now and (self._good or self._bad):
            self._good //= 2
            self._bad //= 2
            self._since += ERROR_WINDOW
        if not self._good and not self._bad:
            self._since = now


class Feed:
    """What a source tells of one symbol.

    ``delay``: how far behind the market the source is by its own account; what it has told by ``now`` is the
    market until ``now - delay``.
    """

    def __init__(self, source: str, health: SourceHealth, delay: int, now: int) -> None:
        self.source = source
        self.delay = delay
        self.link: Link | None = None
        self.fault: Fault | None = "start"
        self.fault_since = now
        """Since when it is unfit, or fit where ``fault`` is None."""
        self.quiet = False
        self.refused = ""
        """Why it does not serve the symbol at all."""
        self.last_trade = 0
        self.newest = 0
        """Greatest event time that has come."""
        self.connected_at = 0
        self._health = health
        self._distance = 0.0
        self._distances = 0
        self._late = 0

    def connected(self, link: Link, now: int) -> None:
        self.link = link
        self.connected_at = now
        self._late = 0

    def resumed(self, now: int) -> None:
        """Nothing was asked of it until now: its silence begins here."""
        self.connected_at = now
        self._late = 0

    def heard(self, now: int) -> None:
        """Anything has come through its connection."""
        if self.link is not None:
            self.link.heard = max(now, self.link.heard)

    def traded(self, event_time: int, now: int, open_since: int, policy: Policy) -> None:
        """A trade has come at ``now``; the market is open since ``open_since``."""
        before = self.quiet_from(open_since)
        if self.last_trade and now >= before:
            self._distances = min(self._distances + 1, MEMORY)
            self._distance += (now - before - self._distance) / self._distances
        self.last_trade = max(now, self.last_trade)
        self._late = self._late + 1 if now - event_time - self.delay > policy.stale else 0

    def quiet_from(self, open_since: int) -> int:
        """Since when there could have been a trade, and was none."""
        return max(self.last_trade, self.connected_at, open_since)

    def silence(self, policy: Policy) -> int:
        """Time without a trade that is not usual for this symbol."""
        if self._distances < KNOWN_AFTER:
            return max(policy.silence, UNKNOWN_SILENCE)
        return max(policy.silence, round(DISTANCES * self._distance))

    def observed_until(self, open_since: int) -> int:
        """The last time of the market that the source is known to have told of."""
        if self.link is None:
            return self.fault_since
        told = self.quiet_from(open_since) if self.link.up and self.quiet else self.link.heard
        return told - self.delay

    def judge(self, now: int, open_since: int | None, proof: int, policy: Policy) -> None:
        """Sets ``fault`` and ``quiet``. ``open_since`` is None while the market is closed; ``proof`` is when
        another source last had a trade: silence is a fault only of a source that misses what others hear."""
        self.quiet = False
        fault: Fault | None = None
        if self.link is None:
            fault = "start"
        elif not self.link.up or self.refused:
            fault = "throttled" if self.link.throttled and not self.refused else "disconnect"
        elif (general := self._health.fault(now)) is not None:
            fault = general
        elif self._late >= STALE_RUN:
            fault = "stale"
        elif open_since is not None:
            since, limit = self.quiet_from(open_since), self.silence(policy)
            self.quiet = now - since > limit
            if self.quiet and proof > since + limit // 2:
                fault = "silence"
        if (fault is None) != (self.fault is None):
            self.fault_since = now
        self.fault = fault
