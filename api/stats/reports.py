"""The statistics, put together. A part that does not answer in time is null, with the reason."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, get_args

from api import meters
from api.alert_store import ALL, AlertPlace, AlertStore
from api.hot.candles import PRICES, CandleCache
from api.hot.parts import HotParts
from api.hot.quotes import MAX_ENTRIES as MAX_QUOTES
from api.hot.summary import MAX_STORED
from api.live.continuity import Continuity
from api.lookups.lookups import Lookups
from api.metrics import ApiMetrics
from api.stats.boxes import within
from api.stats.kafka import KafkaOffsets, behind, since
from api.stats_models import (
    ApiErrors,
    CacheStats,
    CacheUse,
    FeedStats,
    GroupStats,
    KafkaStats,
    Latency,
    Percentiles,
    StreamingStats,
    SystemSummary,
    TopicStats,
)
from api.store import Span, Store
from api.times import Now, to_datetime
from schemas.events import Severity
from schemas.intervals import INTERVALS

PART_SECONDS = 4.0
"""Longest that one part may take."""
MINUTES_UP_TO_HOURS = 4
"""Ranges up to here are counted by their 1m bars, longer ones by their 1h bars: few rows of a symbol."""
ALERTS_AT_ONCE = 1_000
ALERT_PAGES = 5
SYMBOLS_AT_ONCE = 16


class Reports:
    """One for the whole process."""

    def __init__(  # noqa: PLR0913, PLR0917 -- everything that it tells of
        self,
        hot: HotParts,
        store: Store,
        alerts: AlertStore,
        offsets: KafkaOffsets,
        continuity: Continuity,
        metrics: ApiMetrics,
        lookups: Lookups,
    ) -> None:
        self._hot = hot
        self._store = store
        self._alerts = alerts
        self._offsets = offsets
        self._topics = offsets.topics
        self._continuity = continuity
        self._metrics = metrics
        self._lookups = lookups
        self._now: Now = continuity.now

    def latency(self) -> Latency:
        """Trades and bars on their way here, and requests."""
        live = self._metrics.live
        requests = {
            route: shown
            for route, recent in sorted(self._metrics.recent_requests.items())
            if (shown := _percentiles(recent)) is not None
        }
        return Latency(
            trade_to_api=_percentiles(live.recent_delay),
            bar_to_api=_percentiles(live.recent_bar_delay),
            requests=requests,
        )

    async def kafka(self) -> KafkaStats:
        """Topics and lag."""
        problems: dict[str, str] = {}
        places = await within(PART_SECONDS, "topics", self._offsets.places(), problems)
        if places is None:
            return KafkaStats(topics=None, lag=None, problems=problems | {"lag": problems["topics"]})
        ends, starts, committed = await asyncio.gather(
            within(PART_SECONDS, "topics", self._offsets.ends(places), problems),
            within(PART_SECONDS, "topics", self._offsets.starts(places), problems),
            within(PART_SECONDS, "lag", self._offsets.committed(), problems),
        )
        if ends is None or starts is None:
            return KafkaStats(topics=None, lag=None, problems=problems)
        topics = {
            topic: TopicStats(
                partitions=sum(place[0] == topic for place in places),
                end_offset=sum(ends[place] for place in places if place[0] == topic),
                kept=sum(ends[place] - starts[place] for place in places if place[0] == topic),
            )
            for topic in dict.fromkeys(topic for topic, _ in places)
        }
        groups = {} if committed is None else dict(committed)
        lag = {group: _group(positions, ends) for group, positions in groups.items()}
        lag["api"] = _group(self._continuity.positions.copy(), ends)
        return KafkaStats(topics=topics, lag=lag, problems=problems)

    def cache(self) -> CacheStats:
        """What is answered from memory."""
        candles: CandleCache = self._hot.candles
        uses = {
            "candles": (candles.bars, candles.max_bars),
            "quotes": (self._hot.quote_cache.entries, MAX_QUOTES),
            "summary": (self._hot.summary.entries, MAX_STORED),
            **self._lookups.uses,
        }
        counts = self._metrics.cache.counts
        caches = {}
        for name, (entries, limit) in uses.items():
            requests = {result: count for (cache, result), count in counts.items() if cache == name}
            total = sum(requests.values())
            ratio = requests.get("hit", 0) / total if total else None
            caches[name] = CacheUse(entries=entries, limit=limit, requests=requests, hit_ratio=ratio)
        return CacheStats(live=self._continuity.is_current(), epoch=self._continuity.epoch, caches=caches)

    def streaming(self, clients: int, lag_seconds: float) -> StreamingStats:
        """WebSocket clients and the feed."""
        live = self._metrics.live
        return StreamingStats(
            clients=clients,
            sent=live.totals["sent"],
            sent_per_second=live.sends.per_second(),
            skipped=live.totals["skipped"],
            lag_seconds=lag_seconds,
            feed=FeedStats(
                connected=self._continuity.connected,
                current=self._continuity.is_current(),
                epoch=self._continuity.epoch,
                events_per_second=live.events.per_second(),
            ),
        )

    async def summary(self, hours: int, clients: int) -> SystemSummary:
        """The last ``hours``, from offsets by time, bars and alerts; no record is read."""
        start = self._now() - hours * INTERVALS["1h"]
        problems: dict[str, str] = {}
        written, traded, alerts, kafka = await asyncio.gather(
            within(PART_SECONDS, "dead_letters", self._written(start // 1000), problems),
            within(PART_SECONDS, "trades", self._traded(start, hours), problems),
            within(PART_SECONDS, "alerts", self._alerts_of(start), problems),
            self.kafka(),
        )
        if why := kafka.problems.get("lag", kafka.problems.get("topics")):
            problems["lag"] = why
        if written is None:
            problems["bars"] = problems["dead_letters"]
        letters = None if written is None else written[self._topics.dead_letter]
        trades, symbols = (None, None) if traded is None else traded
        refused = None
        if letters is not None and trades is not None and letters + trades:
            refused = letters / (letters + trades)
        return SystemSummary(
            hours=hours,
            since=to_datetime(start),
            trades=trades,
            bars=None if written is None else written[self._topics.candles],
            symbols=symbols,
            alerts=None if alerts is None else alerts[0],
            alerts_complete=alerts is not None and alerts[1],
            dead_letters=letters,
            error_rate=refused,
            clients=clients,
            lag=kafka.lag and {name: group and group.records for name, group in kafka.lag.items()},
            api=self._api_errors(),
            problems=problems,
        )

    async def _written(self, time_ms: int) -> dict[str, int]:
        """Records of candles and dead letters since a time, by topic."""
        wanted = (self._topics.candles, self._topics.dead_letter)
        places = [place for place in await self._offsets.places() if place[0] in wanted]
        ends, firsts = await asyncio.gather(self._offsets.ends(places), self._offsets.at(places, time_ms))
        return {topic: since(firsts, ends, topic) for topic in wanted}

    async def _traded(self, start: int, hours: int) -> tuple[int, int]:
        """Trades of all symbols in bars that start at ``start`` or later, and how many symbols had some."""
        interval = "1m" if hours <= MINUTES_UP_TO_HOURS else "1h"
        most = hours * (60 if interval == "1m" else 1) + 2
        span = Span(start, self._store.latest())
        slots = asyncio.Semaphore(SYMBOLS_AT_ONCE)

        async def of_symbol(symbol: str) -> int:
            held = self._hot.candles.held(symbol, interval, span, most, PRICES)
            if held is not None:
                return sum(bar.trades or 0 for bar in held)
            async with slots:
                stored = await self._store.candles(symbol, interval, span, most)
            return sum(bar.trades or 0 for bar in stored)

        counts = await asyncio.gather(*map(of_symbol, await self._hot.names.get()))
        return sum(counts), sum(count > 0 for count in counts)

    async def _alerts_of(self, start: int) -> tuple[dict[str, int], bool]:
        """Alerts by severity, and whether these are all."""
        counts: Counter[str] = Counter(dict.fromkeys(get_args(Severity), 0))
        place = AlertPlace(self._store.latest())
        for _ in range(ALERT_PAGES):
            found, more = await self._alerts.alerts(None, ALL, start, place, ALERTS_AT_ONCE)
            counts.update(alert.severity for alert in found)
            if more is None:
                return dict(counts), True
            place = more
        return dict(counts), False

    def _api_errors(self) -> ApiErrors:
        statuses = self._metrics.statuses.copy()
        requests, errors = sum(statuses.values()), sum(n for status, n in statuses.items() if status >= 500)
        return ApiErrors(
            requests=requests, server_errors=errors, rate=errors / requests if requests else None
        )


def _percentiles(recent: meters.Recent) -> Percentiles | None:
    found = recent.percentiles()
    if found is None:
        return None
    p50, p95, p99, most = (round(value * 1e3, 3) for value in found[1:])
    return Percentiles(count=found.values, p50_ms=p50, p95_ms=p95, p99_ms=p99, max_ms=most)


def _group(positions: Mapping[Any, int], ends: Mapping[Any, int]) -> GroupStats | None:
    if not positions:
        return None
    by_topic = behind(positions, ends)
    return GroupStats(records=sum(by_topic.values()), by_topic=by_topic)
