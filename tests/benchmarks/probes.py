"""Clients of the running system that measure how old things are when they come out of it.

Each is an ordinary client: it consumes the topics, reads Cassandra by primary key, asks the REST API. What is
measured is the time from the event time of a trade, or the end of a bar, to when the client has it, on the
one clock of this machine. The market does not wait for anybody, and a probe that is late with one look counts
the whole time: nothing is left out (no coordinated omission)."""

import asyncio
import json
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from queue import Empty, Full, Queue

from cassandra.cluster import Session
from confluent_kafka import OFFSET_END, Consumer, Message, TopicPartition
from hdrh.histogram import HdrHistogram
from kafka.partitioner.default import murmur2

from producer.settings import SCENARIOS
from schemas.avro_codec import Decoder
from schemas.events import Alert, Candle, Trade
from schemas.intervals import MINUTE_US
from schemas.registry import RegistryLookup
from schemas.tables import gold_bucket, trade_minute, trade_shard
from schemas.topics import Topics
from tests.benchmarks.market import names
from tests.benchmarks.report import histogram, record
from tests.benchmarks.wire import HttpConnection
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

SAMPLE_EVERY_S = 0.5
"""One trade in so much time is followed to Cassandra and to REST."""
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
WATCHED = names(1 + SCENARIOS.index("price_spike"))[-1].encode()
"""A symbol of every market, the one whose price spikes first: its partition is the one whose trades are
consumed. A share of all is enough, and costs a share."""
STORE_PROBES = 4
MINUTE = b"\x041m"
"""What every record of a bar of a minute has among its bytes: most others need not be decoded."""
QUEUE = 64
"""Trades that wait for a probe; while it is full no further one is sampled, and that is counted."""

SILVER = (
    "SELECT price FROM trades_silver WHERE minute = ? AND shard = ? AND symbol = ? AND event_time = ?"
    " AND sequence = ? AND source = ? AND trade_id = ?"
)
BRONZE = SILVER.replace("price", "kafka_offset").replace("silver", "bronze")
GOLD = "SELECT final FROM trades_gold_1m WHERE symbol = ? AND bucket = ? AND start = ?"


class Probes:
    """What was measured, by name, since the last ``begin``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: dict[str, HdrHistogram] = {}
        self._covered: dict[bytes, float] = {}
        self.not_sampled = 0
        self.given_up = 0

    def begin(self) -> None:
        """Forgets what was before."""
        with self._lock:
            self._times = defaultdict(histogram)
            self._covered = {}
            self.not_sampled = self.given_up = 0

    def saw(self, what: str, seconds: float, times: int = 1) -> None:
        with self._lock:
            record(self._times[what], seconds * 1e6, times)

    def covered(self, symbol: bytes, at: float) -> None:
        """The bars of a symbol hold its trades up to ``at`` (s since 1970)."""
        with self._lock:
            self._covered[symbol] = max(at, self._covered.get(symbol, 0.0))

    def behind_s(self) -> float:
        """How far the bars are behind, of the symbol of which they are furthest behind."""
        with self._lock:
            return time.time() - min(self._covered.values(), default=0.0)

    def times(self) -> dict[str, HdrHistogram]:
        with self._lock:
            return dict(self._times)


@contextmanager
def probing(live: LiveSystem) -> Iterator[Probes]:
    """All probes, until the block ends."""
    probes = Probes()
    probes.begin()
    stopping = threading.Event()
    trades: Queue[Trade] = Queue(QUEUE)
    asked: Queue[Trade] = Queue(QUEUE)
    bars: Queue[Candle] = Queue(QUEUE)
    with ExitStack() as stack:
        session = stack.enter_context(session_of(live.cassandra))
        store = _StoreProbe(session, probes, stopping)
        consumer = stack.enter_context(consumer_of(topic_settings(live), f"bench-{time.monotonic_ns()}"))
        topics = _TopicProbe(live, consumer, probes, (trades, asked), bars)
        rest = _RestProbe(live.settings.api_url, probes, asked, stopping)
        pool = stack.enter_context(ThreadPoolExecutor(STORE_PROBES + 3, "probe"))
        stack.callback(stopping.set)
        futures = [pool.submit(topics.run, stopping), pool.submit(rest.run)]
        futures += [pool.submit(_each, trades, store.follow, stopping) for _ in range(STORE_PROBES)]
        futures += [pool.submit(_each, bars, store.follow_bar, stopping)]
        yield probes
        stopping.set()
        for future in futures:
            future.result()


def _each(queue: Queue, follow: Callable[..., None], stopping: threading.Event) -> None:  # type: ignore[type-arg]
    while not stopping.is_set():
        try:
            follow(queue.get(timeout=0.2))
        except Empty:
            continue


class _Wait:
    """For one thing. ``first``: seconds until the first look; ``pause``: until the next one, None once it is
    in vain. ``lately``: how long the last LATELY things were waited for."""

    def __init__(self, lately: deque[float]) -> None:
        self._lately = lately
        self._began = time.monotonic()
        self.first = min(FIRST_LOOK * min(lately, default=0.0), LATEST_FIRST_S)

    @property
    def waited(self) -> float:
        return time.monotonic() - self._began

    @property
    def pause(self) -> float | None:
        waited = self.waited
        return None if waited > GIVE_UP_S else max(POLL_S, waited * POLL_SHARE)

    def found(self) -> None:
        self._lately.append(self.waited)


class _TopicProbe:
    """Consumes one partition of the trades and all of the candles and alerts."""

    def __init__(
        self,
        live: LiveSystem,
        consumer: Consumer,
        probes: Probes,
        samples: tuple["Queue[Trade]", "Queue[Trade]"],
        bars: "Queue[Candle]",
    ) -> None:
        self._topics = Topics("market")
        lookup = RegistryLookup(live.settings.registry_url)
        self._trade, self._candle, self._alert = (Decoder(each, lookup) for each in (Trade, Candle, Alert))
        self._consumer = consumer
        self._probes = probes
        self._samples = samples
        self._bars = bars
        self._sample_at = 0.0
        # (symbol, minute) -> event times (s) of its trades so far, in the order of the market
        self._minutes: dict[tuple[bytes, int], list[float]] = defaultdict(list)
        # (symbol, minute) -> trades of all minutes before it, which versions count, too
        self._before: dict[tuple[bytes, int], int] = {}
        self._newest_minute = 0
        self._trade_times: Counter[float] = Counter()  # of what came together

    def run(self, stopping: threading.Event) -> None:
        known = self._consumer.list_topics(timeout=10).topics
        watched = (murmur2(WATCHED) & 0x7FFFFFFF) % len(known[self._topics.trades].partitions)
        places = [TopicPartition(self._topics.trades, watched, OFFSET_END)]
        for topic in (self._topics.candles, self._topics.alerts):
            places += [TopicPartition(topic, number, OFFSET_END) for number in known[topic].partitions]
        self._consumer.assign(places)
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
                self._probes.saw(KAFKA, now - at, trades)

    def _take_trade(self, message: Message, now: float) -> None:
        at = message.timestamp()[1] / 1e3
        self._trade_times[at] += 1
        minute = int(at) // 60
        if minute > self._newest_minute:
            self._newest_minute = minute
            for key in [key for key in self._minutes if key[1] < minute - 1]:
                del self._minutes[key]
                self._before.pop(key, None)
        self._minutes[message.key(), minute].append(at)
        if now >= self._sample_at:
            self._sample_at = now + SAMPLE_EVERY_S
            trade = self._trade.decode(message.value())
            for queue in self._samples:
                try:
                    queue.put_nowait(trade)
                except Full:
                    self._probes.not_sampled += 1

    def _take_candle(self, message: Message, now: float) -> None:
        if MINUTE not in message.value():
            return
        candle: Candle = self._candle.decode(message.value())
        if candle.interval != "1m":
            return
        if candle.final:
            self._probes.saw(FINAL_BAR, now - candle.end / 1e6)
            if not self._bars.full():
                self._bars.put_nowait(candle)
            return
        minute = (message.key(), candle.start // MINUTE_US)
        seen = self._minutes.get(minute, ())
        if 0 < candle.trades <= len(seen):
            self._before[minute] = candle.version // 2 - candle.trades
            self._probes.saw(LIVE_BAR, now - seen[candle.trades - 1])
            self._probes.covered(message.key(), seen[candle.trades - 1])

    def _take_alert(self, message: Message, now: float) -> None:
        """An alert is as old as the last trade that the version of its bar has."""
        alert: Alert = self._alert.decode(message.value())
        if alert.type != "price_spike" or alert.revision != 1 or not (alert.bar_start and alert.bar_version):
            return
        minute = (message.key(), alert.bar_start // MINUTE_US)
        seen, before = self._minutes.get(minute, ()), self._before.get(minute)
        if before is not None and 0 < (trades := alert.bar_version // 2 - before) <= len(seen):
            self._probes.saw(ALERT, now - seen[trades - 1])


class _StoreProbe:
    """Looks for single rows until they are there."""

    def __init__(self, session: Session, probes: Probes, stopping: threading.Event) -> None:
        self._session = session
        self._probes = probes
        self._stopping = stopping
        self._reads = [session.prepare(query) for query in (SILVER, BRONZE)]
        self._gold = session.prepare(GOLD)
        self._trade_waits: deque[float] = deque(maxlen=LATELY)
        self._bar_waits: deque[float] = deque(maxlen=LATELY)

    def follow(self, trade: Trade) -> None:
        key = (
            trade_minute(trade.event_time),
            trade_shard(trade.symbol),
            trade.symbol,
            trade.event_time,
            trade.sequence,
            trade.source,
            trade.trade_id,
        )
        left = list(self._reads)

        def stored() -> bool:
            while left and self._session.execute(left[-1], key).one() is not None:
                left.pop()
            return not left

        self._until(stored, self._trade_waits)
        self._probes.saw(STORED, time.time() - trade.event_time / 1e6)

    def follow_bar(self, bar: Candle) -> None:
        key = (bar.symbol, gold_bucket(bar.interval, bar.start), bar.start // 1000)

        def final() -> bool:
            row = self._session.execute(self._gold, key).one()
            return row is not None and bool(row[0])

        self._until(final, self._bar_waits)
        self._probes.saw(STORED_BAR, time.time() - bar.end / 1e6)

    def _until(self, there: Callable[[], bool], lately: deque[float]) -> None:
        wait = _Wait(lately)
        time.sleep(wait.first)
        while not there() and not self._stopping.is_set():
            if (pause := wait.pause) is None:
                self._probes.given_up += 1
                return
            time.sleep(pause)
        wait.found()


class _RestProbe:
    """Asks for a symbol's quote until it is as new as a trade."""

    def __init__(self, url: str, probes: Probes, trades: "Queue[Trade]", stopping: threading.Event) -> None:
        self._url = url
        self._probes = probes
        self._trades = trades
        self._stopping = stopping
        self._waits: deque[float] = deque(maxlen=LATELY)

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        connection = HttpConnection(self._url)
        while not self._stopping.is_set():
            try:
                trade = self._trades.get_nowait()
            except Empty:
                await asyncio.sleep(0.01)
                continue
            await self._follow(connection, trade)
        connection.close()

    async def _follow(self, connection: HttpConnection, trade: Trade) -> None:
        wait = _Wait(self._waits)
        await asyncio.sleep(wait.first)
        while not self._stopping.is_set():
            status, body = await connection.get(f"/api/v1/quotes/{trade.symbol}")
            last = json.loads(body).get("last_time") if status == 200 else None
            if last and datetime.fromisoformat(last).timestamp() * 1e6 >= trade.event_time - 1:
                self._probes.saw(REST, time.time() - trade.event_time / 1e6)
                wait.found()
                return
            if (pause := wait.pause) is None:
                self._probes.given_up += 1
                return
            await asyncio.sleep(pause)
