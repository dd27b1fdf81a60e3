"""Watching a system through its faults, once a second: does it say that it is ready, how far behind are its
bars, and has a window dropped a late record."""

import re
import threading
import time
import uuid
from dataclasses import dataclass

import httpx
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

from schemas.avro_codec import Decoder
from schemas.events import Candle
from schemas.registry import RegistryLookup
from schemas.topics import Topics
from tests.support.faults_ledger import LedgerTail
from tests.support.servers import LiveSystem

CURRENT_S = 5.0
"""Bars that are no further behind than this are current."""

STEADY = 3
"""So many samples in a row must be good for the system to count as back."""

POLL_S = 0.1
DROPPED_EVERY = 5
"""Seconds; the page of Flink's metrics is a megabyte."""
DROPPED = re.compile(r'^\S*numLateRecordsDropped\{[^}]*job_id="(\w+)"[^}]*\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One second. ``not_ready`` names the parts that /ready says are not ready, or ``api`` where it does not
    answer; ``behind_s`` is how old the newest trade in the bars of the symbol is that is furthest behind."""

    at: float
    not_ready: tuple[str, ...]
    behind_s: float

    @property
    def ready(self) -> bool:
        return not self.not_ready

    @property
    def current(self) -> bool:
        return self.behind_s <= CURRENT_S


class Watch:
    """Samples from ``start`` to ``stop``, and reads bars as any consumer of the topic would. Readiness has a
    thread of its own: an answer takes seconds while a part is away."""

    def __init__(self, live: LiveSystem, symbols: tuple[str, ...]) -> None:
        self.samples: list[Sample] = []
        self._live = live
        self._newest = dict.fromkeys(symbols, 0)
        self._tail = LedgerTail(live.ledger)
        self._dropped: dict[str, float] = {}
        self._stopping = threading.Event()
        self._not_ready: tuple[str, ...] = ("api",)
        self._threads = [
            threading.Thread(target=loop, name=f"watch {loop.__name__}", daemon=True)
            for loop in (self._watch_bars, self._watch_readiness)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    @property
    def late_records_dropped(self) -> dict[str, float]:
        """Job id -> the most that its windows have ever said to have dropped, summed over all of them; a job
        that says nothing about it is not there."""
        return dict(self._dropped)

    def covered(self) -> int:
        """The event time (us) that the bars of every symbol have come to."""
        return min(self._newest.values())

    def look_at_dropped(self) -> None:
        """Takes down what the windows say now."""
        for job, number in late_records_dropped(self._live).items():
            self._dropped[job] = max(number, self._dropped.get(job, 0.0))

    def is_back(self, since: float = 0.0) -> bool:
        """Ready and current for some seconds, all of them after ``since`` (s since 1970)."""
        last = self.samples[-STEADY:]
        good = [sample for sample in last if sample.at > since and sample.ready and sample.current]
        return len(good) == STEADY

    def _watch_readiness(self) -> None:
        with httpx.Client(timeout=5.0) as http:
            asked = 0
            while not self._stopping.wait(1.0):
                try:
                    parts = http.get(f"{self._live.settings.api_url}/ready").json()["parts"]
                    self._not_ready = tuple(sorted(name for name, part in parts.items() if not part["ready"]))
                except (httpx.HTTPError, ValueError, KeyError):
                    self._not_ready = ("api",)
                asked += 1
                if asked % DROPPED_EVERY == 0:
                    self.look_at_dropped()

    def _watch_bars(self) -> None:
        settings = self._live.settings
        decoder = Decoder(Candle, RegistryLookup(settings.registry_url))
        consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka_address,
                "group.id": f"watch-{uuid.uuid4().hex}",
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        try:
            read = take_up(consumer, set(), OFFSET_END)
            due, was_ready = time.monotonic(), True
            while not self._stopping.is_set():
                if not was_ready and not self._not_ready:
                    read |= take_up(consumer, read, OFFSET_BEGINNING)
                was_ready = not self._not_ready
                due = max(due + 1.0, time.monotonic() + 0.5)
                while (left := due - time.monotonic()) > 0:
                    self._read_bars(consumer, decoder, min(left, POLL_S))
                now = time.time()
                self.samples.append(Sample(now, self._not_ready, now - self.covered() / 1e6))
        finally:
            consumer.close()

    def _read_bars(self, consumer: Consumer, decoder: Decoder, seconds: float) -> None:
        try:
            messages = consumer.consume(500, seconds)
        except KafkaException:  # Kafka is away
            time.sleep(seconds)
            return
        self._tail.follow()
        for message in messages:
            value = None if message.error() else message.value()
            if value is None:
                continue
            bar = decoder.decode_fields(value)
            if bar["interval"] != "1m":
                continue
            covered = self._tail.event_time(bar["symbol"], bar["start"], bar["trades"])
            if covered is not None:
                self._newest[bar["symbol"]] = max(covered, self._newest[bar["symbol"]])


def take_up(consumer: Consumer, known: set[int], offset: int) -> set[int]:
    """Reads the partitions of the candles that are not known yet, too; returns which."""
    topic = Topics("market").candles
    new = set(consumer.list_topics(topic, 10).topics[topic].partitions) - known
    consumer.incremental_assign([TopicPartition(topic, number, offset) for number in new])
    return new


def late_records_dropped(live: LiveSystem) -> dict[str, float]:
    """Job id -> numLateRecordsDropped, summed over all windows of the job; nothing while no TaskManager runs.

    From the TaskManager itself: the JobManager hears of its metrics every ten seconds only.
    """
    url = f"http://127.0.0.1:{live.settings.taskmanager_metrics_port}/metrics"
    try:
        text = httpx.get(url, timeout=5.0).text
    except httpx.HTTPError:
        return {}
    dropped: dict[str, float] = {}
    for job, value in DROPPED.findall(text):
        dropped[job] = dropped.get(job, 0.0) + float(value)
    return dropped
