"""Clients of the running system that measure how old things are when they come out of it.

Each is an ordinary client: it consumes the topics, reads Cassandra by primary key, asks the REST API. What is
measured is the time from the event time of a trade, or the end of a bar, to when the client has it, on the
one clock of this machine. The market does not wait for anybody, and a probe that is late with one look counts
the whole time: nothing is left out (no coordinated omission). What happened between ``begin`` and ``finish``
is waited for, a minute at most, and what has not come by then counts with that."""

import http.client
import json
import threading
import time
import zlib
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import count
from queue import Empty, PriorityQueue
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from cassandra.cluster import Session
from confluent_kafka import OFFSET_END, Consumer, Message, TopicPartition
from hdrh.histogram import HdrHistogram
from kafka.partitioner.default import murmur2

from jobs.settings import JobSettings
from producer.settings import SCENARIOS
from schemas.avro_codec import Decoder
from schemas.events import Alert, Candle, Trade
from schemas.intervals import MINUTE_US
from schemas.registry import RegistryLookup
from schemas.tables import gold_bucket, trade_minute, trade_shard
from schemas.topics import Topics
from tests.benchmarks.market import names
from tests.benchmarks.report import histogram, percentiles, record
from tests.benchmarks.slices import MINUTE_S, Sampling, Slices
from tests.support.faults_finish import topic_settings
from tests.support.reading import consumer_of, session_of
from tests.support.servers import LiveSystem

KAFKA = "trade -> consumer of market.trades"
STORED = "trade -> bronze and silver"
LIVE_BAR = "last trade of a slice -> live candle"
FINAL_BAR = "end of bar -> final candle on the topic"
STORED_BAR = "end of bar -> final candle in Cassandra"
ALERT = "spike -> alert on the topic"
REST = "trade -> REST"

SAMPLE_EVERY_S = 0.25
"""Of the market's time: one trade in so much is followed to Cassandra and to REST."""
POLL_S = 0.003
POLL_SHARE = 0.05
"""Of how long a probe has waited already: a system that is behind is not asked three hundred times a second
by each of them, and what it is found to take is right to so much."""
FIRST_LOOK = 0.5
"""Of the shortest wait of the last LATELY: what probes ask is work for the system that they measure. What is
there sooner is found to take so long: more than it does, never less."""
LATELY = 8
LATEST_FIRST_S = 2.0
GIVE_UP_S = 60.0
LOOK_S = 0.25
"""How often it is looked at how far the bars are behind."""
WATCHED = names(1 + SCENARIOS.index("price_spike"))[-1].encode()
"""A symbol of every market, the one whose price spikes first: its partition is the one whose trades are
consumed. A share of all is enough, and costs a share."""
PLACES = 2
"""Connections that look for trades, to Cassandra and to REST each."""
BARS_FOLLOWED = 25
"""Of the symbols of the partition, about: their final bars are looked for in Cassandra."""
MINUTE = b"\x041m"
"""What every record of a bar of a minute has among its bytes: most others need not be decoded."""

SILVER = (
    "SELECT price FROM trades_silver WHERE minute = ? AND shard = ? AND symbol = ? AND event_time = ?"
    " AND sequence = ? AND source = ? AND trade_id = ?"
)
BRONZE = SILVER.replace("price", "kafka_offset").replace("silver", "bronze")
GOLD = "SELECT final FROM trades_gold_1m WHERE symbol = ? AND bucket = ? AND start = ?"


class Probes:
    """What was measured, by name, of what happened between ``begin`` and ``finish``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: dict[str, HdrHistogram] = {}
        self._begin = self._end = 0.0
        self._following = 0
        self._since: float | None = None
        self.oldest: float | None = None
        """The trade that has waited longest for a bar (s since 1970)."""
        self.cut_off = threading.Event()
        """Set while what is still waited for is to be counted."""
        self.counted: Counter[str] = Counter()
        """Slices, and those that had a live candle of their own; what was given up."""

    def begin(self) -> None:
        """Forgets what was before."""
        with self._lock:
            self._times = defaultdict(histogram)
            self.counted.clear()
            self._begin, self._end = time.time(), float("inf")

    def finish(self) -> None:
        """Returns when what has happened since ``begin`` is measured."""
        with self._lock:
            self._end = time.time()
        deadline = time.monotonic() + GIVE_UP_S + LOOK_S
        while self._is_waiting() and time.monotonic() < deadline:
            time.sleep(0.1)
        if self._is_waiting():
            self.cut_off.set()
            while self.cut_off.is_set():
                time.sleep(0.1)

    def _is_waiting(self) -> bool:
        with self._lock:
            return self._following > 0 or (self.oldest is not None and self.oldest < self._end)

    @property
    def end(self) -> float:
        """Until then (s since 1970) what happens is measured."""
        return self._end

    def saw(self, what: str, at: float, now: float, times: int = 1) -> bool:
        """Something of ``at`` was there ``now``, both in s since 1970; whether that counts."""
        with self._lock:
            counts = self._begin <= at < self._end
            if counts:
                record(self._times[what], (now - at) * 1e6, times)
            return counts

    def count(self, what: str, times: int = 1) -> None:
        with self._lock:
            self.counted[what] += times

    def follow(self, more: int) -> None:
        """So many things more, or less, are waited for."""
        with self._lock:
            self._following += more

    def reads_from(self, since: float) -> None:
        """Trades are read from then on (s since 1970)."""
        self._since = since

    def until_whole_minute(self) -> float:
        """Seconds until a minute begins of which every trade is seen: before it no slice is measured."""
        while self._since is None:
            time.sleep(0.05)
        first = -(-self._since // MINUTE_S) * MINUTE_S
        return max(0.0, first - time.time())

    def behind_s(self) -> float:
        """How long the trade has waited for a bar that has waited longest; of the symbols of a partition."""
        oldest = self.oldest
        return 0.0 if oldest is None else time.time() - oldest

    def found(self) -> dict[str, Any]:
        """As JSON has it: percentiles by what was measured, and what was counted."""
        with self._lock:
            latency = {what: percentiles(times) for what, times in sorted(self._times.items())}
            return {"latency": latency, "probes": dict(self.counted)}


class Place(Protocol):
    """Where things come to, as a client sees it. For one thread."""

    def has(self, thing: Any) -> bool: ...

    def close(self) -> None: ...


class _Awaited(NamedTuple):
    """Something to look for: when next, and since when it is looked for; s of the monotonic clock."""

    due: float
    number: int
    """Of two that are due at once the older one goes first."""
    since: float
    thing: Trade | Candle


class _Watch:
    """Looks for any number of things until each is there, at any of some places that are all the same.
    However late they are, none keeps another one waiting for longer than a look takes."""

    def __init__(self, what: str, probes: Probes) -> None:
        self._what = what
        self._probes = probes
        self._awaited: PriorityQueue[_Awaited] = PriorityQueue()
        self._numbers = count()
        self._lately: deque[float] = deque(maxlen=LATELY)

    def add(self, thing: Trade | Candle) -> None:
        """Looks for it from now on."""
        self._probes.follow(1)
        now = time.monotonic()
        first = min(FIRST_LOOK * min(self._lately, default=0.0), LATEST_FIRST_S)
        self._awaited.put(_Awaited(now + first, next(self._numbers), now, thing))

    def run(self, place: Place, stopping: threading.Event) -> None:
        """Looks at one of the places, until the end."""
        try:
            while not stopping.is_set():
                try:
                    awaited = self._awaited.get(timeout=0.2)
                except Empty:
                    continue
                early = awaited.due - time.monotonic()
                if early > 0:
                    time.sleep(min(early, POLL_S))
                if early > POLL_S:
                    self._awaited.put(awaited)  # meanwhile another one may be due sooner
                else:
                    self._look(place, awaited)
        finally:
            place.close()

    def _look(self, place: Place, awaited: _Awaited) -> None:
        there = place.has(awaited.thing)
        now = time.monotonic()
        waited = now - awaited.since
        if not there and waited < GIVE_UP_S:
            self._awaited.put(awaited._replace(due=now + max(POLL_S, waited * POLL_SHARE)))
            return
        if there:
            self._lately.append(waited)
        else:
            self._probes.count("given_up")
        self._probes.saw(self._what, _happened(awaited.thing), time.time())
        self._probes.follow(-1)


@contextmanager
def probing(live: LiveSystem) -> Iterator[Probes]:
    """All probes, until the block ends."""
    probes = Probes()
    stopping = threading.Event()
    stored, asked, bars = (_Watch(what, probes) for what in (STORED, REST, STORED_BAR))
    with ExitStack() as stack:
        session = stack.enter_context(session_of(live.cassandra))
        consumer = stack.enter_context(consumer_of(topic_settings(live), f"bench-{time.monotonic_ns()}"))
        topics = _TopicProbe(live, consumer, probes, (stored, asked), bars)
        pool = stack.enter_context(ThreadPoolExecutor(2 * PLACES + 2, "probe"))
        stack.callback(stopping.set)
        futures = [pool.submit(topics.run, stopping)]
        futures.append(pool.submit(bars.run, _StoredBars(session), stopping))
        for _ in range(PLACES):
            futures.append(pool.submit(stored.run, _StoredTrades(session), stopping))
            futures.append(pool.submit(asked.run, _Quotes(live.settings.api_url), stopping))
        yield probes
        stopping.set()
        for future in futures:
            future.result()


def _happened(thing: Trade | Candle) -> float:
    """When a trade was made, or a bar ended; s since 1970."""
    return (thing.event_time if isinstance(thing, Trade) else thing.end) / 1e6


class _TopicProbe:
    """Consumes one partition of the trades and all of the candles and alerts."""

    def __init__(
        self,
        live: LiveSystem,
        consumer: Consumer,
        probes: Probes,
        samples: Sequence[_Watch],
        bars: _Watch,
    ) -> None:
        self._topics = Topics("market")
        lookup = RegistryLookup(live.settings.registry_url)
        self._trade, self._candle, self._alert = (Decoder(each, lookup) for each in (Trade, Candle, Alert))
        self._consumer = consumer
        self._probes = probes
        self._samples = samples
        self._bars = bars
        self._sampling = Sampling(SAMPLE_EVERY_S)
        self._look_at = 0.0
        self._slices: Slices
        self._trade_times: Counter[float] = Counter()  # of what came together

    def run(self, stopping: threading.Event) -> None:
        known = self._consumer.list_topics(timeout=10).topics
        watched = (murmur2(WATCHED) & 0x7FFFFFFF) % len(known[self._topics.trades].partitions)
        places = [TopicPartition(self._topics.trades, watched, OFFSET_END)]
        for topic in (self._topics.candles, self._topics.alerts):
            places += [TopicPartition(topic, number, OFFSET_END) for number in known[topic].partitions]
        self._consumer.assign(places)
        self._consumer.consume(500, 1.0)  # the ends are looked up meanwhile
        since = time.time()
        self._slices = Slices(JobSettings().slice_ms, since)
        self._probes.reads_from(since)
        take = {
            self._topics.trades: self._take_trade,
            self._topics.candles: self._take_candle,
            self._topics.alerts: self._take_alert,
        }
        while not stopping.is_set():
            messages = self._consumer.consume(500, 0.005)
            now = time.time()
            self._trade_times.clear()
            for message in messages:
                if message.error() is None and message.value() is not None:
                    take[message.topic()](message, now)
            for at, trades in self._trade_times.items():
                self._probes.saw(KAFKA, at, now, trades)
            if now >= self._look_at:
                self._look_at = now + LOOK_S
                self._look(now)

    def _look(self, now: float) -> None:
        self._probes.oldest = min(self._slices.waiting(), default=None)
        if self._probes.cut_off.is_set():
            for at in self._slices.give_up(self._probes.end):
                if self._probes.saw(LIVE_BAR, at, now):
                    self._probes.count("slices")
                    self._probes.count("slices_given_up")
            self._probes.cut_off.clear()

    def _take_trade(self, message: Message, _: float) -> None:
        at = message.timestamp()[1] / 1e3
        self._trade_times[at] += 1
        self._slices.traded(message.key(), at)
        if at >= self._probes.end:
            return
        if self._sampling.takes(at):
            trade = self._trade.decode(message.value())
            for watch in self._samples:
                watch.add(trade)

    def _take_candle(self, message: Message, now: float) -> None:
        if MINUTE not in message.value():
            return
        candle: Candle = self._candle.decode(message.value())
        if candle.interval != "1m":
            return
        key = message.key()
        minute, unmatched = candle.start // MINUTE_US, self._slices.unmatched
        for slice_ in self._slices.shown(key, minute, candle.trades, candle.version, final=candle.final):
            if self._probes.saw(LIVE_BAR, slice_.at, now):
                self._probes.count("slices")
                self._probes.count("slices_shown_alone", slice_.alone)
        if self._slices.unmatched > unmatched:
            self._probes.count("trades_not_in_final_bar", self._slices.unmatched - unmatched)
        if candle.final and self._probes.saw(FINAL_BAR, candle.end / 1e6, now):
            every = max(1, self._slices.symbols // BARS_FOLLOWED)
            if zlib.crc32(key) % every == 0:
                self._bars.add(candle)

    def _take_alert(self, message: Message, now: float) -> None:
        """An alert is as old as the first trade of the slice that its version of the bar ends with: the one
        that went too far is one of that slice."""
        alert: Alert = self._alert.decode(message.value())
        if alert.type != "price_spike" or alert.revision != 1 or not (alert.bar_start and alert.bar_version):
            return
        at = self._slices.began(message.key(), alert.bar_start // MINUTE_US, alert.bar_version)
        if at is None:
            self._probes.count("alerts_not_placed")
        else:
            self._probes.saw(ALERT, at, now)


class _StoredTrades:
    """Rows of trades, in both tables."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._reads = [session.prepare(query) for query in (SILVER, BRONZE)]

    def has(self, trade: Trade) -> bool:
        key = (
            trade_minute(trade.event_time),
            trade_shard(trade.symbol),
            trade.symbol,
            trade.event_time,
            trade.sequence,
            trade.source,
            trade.trade_id,
        )
        return all(self._session.execute(read, key).one() is not None for read in self._reads)

    def close(self) -> None:
        """The session is the probes'."""


class _StoredBars:
    """Rows of final bars."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read = session.prepare(GOLD)

    def has(self, bar: Candle) -> bool:
        key = (bar.symbol, gold_bucket(bar.interval, bar.start), bar.start // 1000)
        row = self._session.execute(self._read, key).one()
        return row is not None and bool(row[0])

    def close(self) -> None:
        """The session is the probes'."""


class _Quotes:
    """Quotes of REST that are as new as a trade."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=GIVE_UP_S)

    def has(self, trade: Trade) -> bool:
        try:
            self._connection.request("GET", f"/api/v1/quotes/{trade.symbol}")
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next one opens it again
            return False
        last = json.loads(body).get("last_time") if answer.status == 200 else None
        return bool(last) and datetime.fromisoformat(last).timestamp() * 1e6 >= trade.event_time - 1

    def close(self) -> None:
        self._connection.close()
