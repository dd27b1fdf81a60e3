"""From Kafka to the hub: one consumer for the process, on a thread of its own.

No consumer group: it is assigned every partition of the trades, quotes, candles and alerts, and begins at
their ends. Nothing is ever committed. At most one batch of records is under way to the event loop; candles
and alerts may wait here for it (MOST_WAITING), what else comes in the client's queue (QUEUED_KB), and then in
Kafka. What is collected from it holds only while nothing was missed: ``continuity`` tells.
"""

import asyncio
import contextvars
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as NotYet
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from api.live.arrivals import Arrivals
from api.live.continuity import Continuity
from api.live.deliveries import Deliveries
from api.live.messages import Incoming, Ticks
from api.metrics import LiveMetrics
from api.times import Now
from schemas.avro_codec import Decoder
from schemas.errors import PoisonError
from schemas.events import Candle, Trade
from schemas.registry import RegistryLookup
from schemas.settings import KafkaSettings
from schemas.topics import Topics

log = structlog.get_logger()
Arrived = Sequence[Incoming | Ticks]
Publish = Callable[[Arrived], Awaitable[None]]

MOST_RECORDS = 500
"""Taken from the client at a time."""
MOST_SINGLE = 20
"""Of candles and alerts handed on at a time, some milliseconds' work. Live bars come by the thousand at once,
and trades that come meanwhile do not wait for all of them."""
MOST_WAITING = 4_000
"""Candles and alerts that wait for this: what is more is handed on at once."""
QUEUED_KB = 16_384
POLL_SECONDS = 0.2
GATHER_SECONDS = 0.002
"""For what else an answer of Kafka has brought: the client hands it over partition by partition, and reading
many records takes little longer than reading a few."""
METADATA_SECONDS = 1.0
LOOK_SECONDS = 30.0
"""How often new partitions and topics are looked for."""
RETRY_SECONDS = 1.0
"""The same while something is missing."""


class Feed:
    """Reads until it is cancelled, whatever becomes of Kafka meanwhile: it goes on where it was."""

    def __init__(
        self,
        settings: KafkaSettings,
        publish: Publish,
        metrics: LiveMetrics,
        now: Now,
        client: Callable[[dict[str, Any]], Any] = Consumer,
    ) -> None:
        """``publish`` runs on the event loop that ``run`` is called on."""
        self.continuity = Continuity(now)
        self.deliveries: Deliveries | None = None
        """Set before ``run`` where tracing is on."""
        self._settings = settings
        self._publish = publish
        self._metrics = metrics
        self._client = client
        self._stopped = threading.Event()

    async def run(self) -> None:
        """Reads until it is cancelled."""
        loop = asyncio.get_running_loop()
        reader = _Reader(self._settings, self._metrics, self.continuity, self._client, self._stopped)
        reader.deliveries = self.deliveries

        def hand_over(batch: Arrived) -> None:
            """Returns when the event loop has taken the batch in."""
            taken = asyncio.run_coroutine_threadsafe(_published(batch), loop)
            while not self._stopped.is_set():
                try:
                    return taken.result(POLL_SECONDS)
                except NotYet:
                    continue
                except CancelledError:
                    return None
            return None

        async def _published(batch: Arrived) -> None:
            await self._publish(batch)

        # A daemon: while the registry is away it may wait in a look-up, which must not hold up the exit.
        context = contextvars.copy_context()  # what is bound to the log
        thread = threading.Thread(
            target=context.run, args=(reader.run, hand_over), name="live-feed", daemon=True
        )
        thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._stopped.set()
            await asyncio.to_thread(thread.join, 2 * POLL_SECONDS)


class _Reader:
    """What the thread does."""

    deliveries: Deliveries | None = None

    def __init__(
        self,
        settings: KafkaSettings,
        metrics: LiveMetrics,
        continuity: Continuity,
        client: Callable[[dict[str, Any]], Any],
        stopped: threading.Event,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._client = client
        self._stopped = stopped
        self._continuity = continuity
        topics = Topics(settings.topic_prefix)
        self._clock_topic = topics.trades
        lookup = RegistryLookup(settings.schema_registry_url)
        self._single_topics = (topics.candles, topics.alerts)
        self._topics = (topics.trades, topics.quotes, *self._single_topics)
        self._waiting: deque[Any] = deque()
        self._arrivals = Arrivals(topics, lambda kinds: Decoder(kinds, lookup), metrics, self._refused)
        self._assigned: set[tuple[str, int]] = set()
        self._connected: bool | None = None  # None: not known yet
        self._look_at = 0.0
        self._said: set[tuple[str, str]] = set()

    def run(self, hand_over: Callable[[Arrived], None]) -> None:
        """Reads until ``stopped``; ``hand_over`` may wait."""
        consumer = self._client(
            {
                "bootstrap.servers": self._settings.kafka_bootstrap_servers,
                "group.id": f"{self._settings.topic_prefix}.api-live",  # asked for, and never joined
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "latest",
                "allow.auto.create.topics": False,
                # Few answers with many records, not one for each record.
                "fetch.min.bytes": 64 * 1024,
                "fetch.wait.max.ms": 10,
                "queued.max.messages.kbytes": QUEUED_KB,
                "reconnect.backoff.max.ms": 2_000,
                "log_level": 0,  # what matters comes through error_cb and the messages
                "error_cb": self._client_error,
            }
        )
        try:
            while not self._stopped.is_set():
                try:
                    self._step(consumer, hand_over)
                except Exception:  # one that nobody foresaw must not end the feed of every client
                    log.exception("feed_step_failed")
                    self._continuity.interrupt()
                    self._stopped.wait(RETRY_SECONDS)
        finally:
            consumer.close()

    def _step(self, consumer: Any, hand_over: Callable[[Arrived], None]) -> None:
        if time.monotonic() >= self._look_at:
            self._look(consumer)
        if not self._assigned:
            self._stopped.wait(RETRY_SECONDS)
            return
        records = self._next(consumer)
        if not records:
            return
        spans = () if self.deliveries is None else self.deliveries.begin(records)
        batch = self._read(records)
        clocks = self._check_gaps(records)
        if batch:
            self._measure(batch)
            hand_over(batch)
        for span in spans:
            span.end()
        for partition, timestamp_ms in clocks.items():
            self._continuity.ticked(partition, timestamp_ms)

    def _next(self, consumer: Any) -> list[Any]:
        """The records whose turn it is: all trades and quotes that have come, and some of the others."""
        if self._waiting:
            come = consumer.consume(MOST_RECORDS, 0)
        else:
            first = consumer.poll(POLL_SECONDS)
            come = [] if first is None else [first, *consumer.consume(MOST_RECORDS - 1, GATHER_SECONDS)]
        records: list[Any] = []
        for record in come:
            (self._waiting if record.topic() in self._single_topics else records).append(record)
        count = max(min(MOST_SINGLE, len(self._waiting)), len(self._waiting) - MOST_WAITING)
        records.extend(self._waiting.popleft() for _ in range(count))
        return records

    def _look(self, consumer: Any) -> None:
        """Assigns partitions that are not assigned yet, from their ends on."""
        self._look_at = time.monotonic() + RETRY_SECONDS
        try:
            known = consumer.list_topics(timeout=METADATA_SECONDS).topics
            new = [
                TopicPartition(topic, partition)
                for topic in self._topics
                if topic in known
                for partition in known[topic].partitions
                if (topic, partition) not in self._assigned
            ]
            for place in new:
                place.offset = consumer.get_watermark_offsets(place, timeout=METADATA_SECONDS)[1]
            if new:
                consumer.incremental_assign(new)
                self._continuity.positions |= {(place.topic, place.partition): place.offset for place in new}
                self._continuity.begin({each.partition for each in new if each.topic == self._clock_topic})
        except KafkaException as error:
            self._lost(error.args[0].str())
            return
        self._assigned |= {(place.topic, place.partition) for place in new}
        missing = sorted(set(self._topics) - {topic for topic, _ in self._assigned})
        if missing:
            self._say_once("feed_topics_missing", ", ".join(missing), detail="run `make topics`")
        else:
            self._look_at += LOOK_SECONDS - RETRY_SECONDS
        self._found()

    def _check_gaps(self, records: Sequence[Any]) -> dict[int, int]:
        """Each partition goes on where it was, or something was missed: the topic was cut off at its end by
        retention while we were away, or is not the same one any more. Returns the timestamp of the newest
        record of each partition of trades."""
        positions = self._continuity.positions
        clocks: dict[int, int] = {}
        for record in records:
            if record.error():
                self._continuity.interrupt()
                continue
            topic, partition, offset = record.topic(), record.partition(), record.offset()
            place = topic, partition
            if positions.get(place, offset) != offset:
                self._continuity.interrupt()
            positions[place] = offset + 1
            if topic == self._clock_topic:
                clocks[partition] = record.timestamp()[1]
        return clocks

    def _read(self, records: Sequence[Any]) -> Arrived:
        """The events of records; without heartbeats and what must not be shown."""
        good = []
        for record in records:
            if record.error():
                self._say_once("feed_error", f"{record.topic()}: {record.error().str()}")
            else:
                good.append(record)
        if good:
            self._found()
        return self._arrivals.read(good)

    def _refused(self, topic: str, error: PoisonError) -> None:
        self._say_once("feed_record_refused", f"{topic}: {error.reason}", example=error.detail)

    def _measure(self, batch: Arrived) -> None:
        """How old the newest trade of the batch is, and the newest version of a bar."""
        events = (each.event(-1) if isinstance(each, Ticks) else each.event for each in batch)
        newest = {type(event): event for event in events}
        if isinstance(trade := newest.get(Trade), Trade):
            age_s = max(0.0, (self._continuity.now() - trade.event_time) / 1e6)
            self._metrics.feed_delay.observe(age_s)
            self._metrics.recent_delay.add(age_s)
        if isinstance(bar := newest.get(Candle), Candle) and bar.updated_at:
            self._metrics.recent_bar_delay.add(max(0.0, (self._continuity.now() - bar.updated_at) / 1e6))

    def _client_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._lost(error.str())

    def _lost(self, why: str) -> None:
        if self._connected is not False:
            self._connected = self._continuity.connected = False
            self._continuity.interrupt()
            self._metrics.feed_connected.set(0)
            log.warning(
                "feed_waits_for_kafka",
                servers=self._settings.kafka_bootstrap_servers,
                error=why,
                detail="clients stay connected; the feed goes on where it was when Kafka is back",
            )
        self._look_at = min(self._look_at, time.monotonic() + RETRY_SECONDS)

    def _found(self) -> None:
        if not self._connected:
            self._connected = self._continuity.connected = True
            self._metrics.feed_connected.set(1)
            log.info("feed_connected", partitions=len(self._assigned))

    def _say_once(self, event: str, what: str, **more: str) -> None:
        """Bounded: topics times reasons."""
        if (event, what) not in self._said:
            self._said.add((event, what))
            log.warning(event, what=what, **more)
