"""Publishing to Kafka: idempotent, every delivery report looked at, in order, bounded."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from producer.ledger import Ledger
from producer.runtime import Runtime
from producer.settings import PublisherSettings
from producer.sources import Batch, Columns, Kind, Rejected, WireRecord
from producer.startup import Destination
from producer.trade_spans import TradeSpans, ended_by
from producer.validation import refuse
from schemas.avro_codec import Decoder, Encoder, schema_text
from schemas.errors import ConfigurationError, PoisonError, TickstreamError, UnavailableError
from schemas.events import Correction, DeadLetter, Gap, ProviderBar, Quote, Trade
from schemas.topics import Topics
from schemas.tracing import RecordHeaders

log = structlog.get_logger()

KINDS = ("trade", "correction", "quote", "provider_bar", "gap", "dead_letter", "heartbeat")
EVENTS: Mapping[Kind, type[Trade | Correction | Quote | ProviderBar]] = {
    "trade": Trade,
    "correction": Correction,
    "quote": Quote,
    "provider_bar": ProviderBar,
}
ORIGIN = "producer"
MOST_PAYLOAD_BYTES = 512 * 1024
"""Of a dead letter: what is longer is cut, so that the letter itself is not refused for its size."""

ROOM_WAIT_S = 0.05
FLUSH_STEP_S = 0.2

# Errors that every further event would meet as well.
HOPELESS = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._AUTHENTICATION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)

# A record that the broker does not take, mostly for its timestamp, has its batch refused. The client reports
# this for a record that was alone in its batch, or for all of them, as brokers say who was it or do not, ..
ALONE = KafkaError.INVALID_TIMESTAMP
# .. else by the second of these for the guilty ones and the third for the others.
WITH_ITS_BATCH = frozenset({ALONE, KafkaError.INVALID_RECORD, KafkaError._INVALID_DIFFERENT_RECORD})

Report = Callable[[KafkaError | None, Message], None]


class _Outgoing(NamedTuple):
    """One record on its way, with all that is needed to send it again. ``partition`` -1: by its key;
    ``suspect``: its batch may have been refused because of it; ``again``: it has been refused before."""

    kind: str
    topic: str
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    partition: int = -1
    suspect: bool = False
    again: bool = False
    headers: RecordHeaders = ()


class Publisher:
    """Writes trades and their corrections, quotes, bars of providers, gaps, dead letters and heartbeats. For
    one thread: whoever calls also gets the delivery reports, in ``poll``.

    The queue of Kafka's client is bounded by ``publisher_queue_events``; while it is full, publishing waits,
    and with it the source. While Kafka is away nothing is given up: the client tries for ever, which is said
    once. A record that Kafka refuses for its timestamp takes its whole batch with it: all of them are sent
    again, and those that are refused alone become dead letters.
    """

    def __init__(
        self,
        settings: PublisherSettings,
        destination: Destination,
        runtime: Runtime,
        *,
        live: bool = True,
        client: Callable[[dict[str, Any]], Any] = Producer,
    ) -> None:
        """``live``: whether event times say something about latency."""
        self._settings = settings
        self._topics = Topics(settings.topic_prefix)
        self._clock = runtime.clock
        self._metrics = runtime.metrics
        self._stop = runtime.stop
        self._live = live
        self._places: dict[Kind, str] = {
            "trade": self._topics.trades,
            "correction": self._topics.trades,
            "quote": self._topics.quotes,
            "provider_bar": self._topics.provider_bars,
        }
        self._schemas: dict[Kind, int] = {
            "trade": destination.schema_ids[self._topics.trades],
            "correction": destination.schema_ids[self._topics.corrections],
            "quote": destination.schema_ids[self._topics.quotes],
            "provider_bar": destination.schema_ids[self._topics.provider_bars],
        }
        self._encoders = {kind: Encoder(EVENTS[kind], number) for kind, number in self._schemas.items()}
        self._decoders: dict[str, Decoder] = {
            kind: own_decoder(EVENTS[kind], number) for kind, number in self._schemas.items()
        }
        self._gap_encoder = Encoder(Gap, destination.schema_ids[self._topics.gaps])
        self._spans: TradeSpans | None = None
        if runtime.tracing is not None and settings.tracing_trade_ratio:
            decoder, ratio = own_decoder(Trade, self._schemas["trade"]), settings.tracing_trade_ratio
            self._spans = TradeSpans(runtime.tracing, ratio, decoder, live=live)
        self._letter_encoder = Encoder(DeadLetter, destination.schema_ids[self._topics.dead_letter])
        self._heartbeat_places = [
            (topic, partition)
            for topic in self._topics.inputs
            for partition in range(destination.partitions[topic])
        ]
        self._ledger = (
            Ledger(settings.ledger_file, self._schemas["trade"], self._schemas["correction"])
            if settings.ledger_file
            else None
        )
        self._produced = dict.fromkeys(KINDS, 0)
        self._acknowledged = dict.fromkeys(KINDS, 0)
        self._counted = dict.fromkeys(KINDS, (0, 0))  # what the metrics know of these two
        self._refused: deque[_Outgoing] = deque()  # at most what was in one client queue
        self._failed = 0
        self._failures_said: set[tuple[str, int]] = set()
        self._given_up = 0
        self._failure: TickstreamError | None = None
        self._unreachable = False
        self._reports: dict[str, Report] = {kind: self._report(kind) for kind in KINDS}
        self._client = client(client_config(settings) | {"error_cb": self._client_error})

    @property
    def acknowledged(self) -> Mapping[str, int]:
        """Number of acknowledged records of each of KINDS."""
        return self._acknowledged

    @property
    def failed(self) -> int:
        """Number of records that Kafka refused and that are in no topic."""
        return self._failed

    def publish(self, batch: Batch) -> None:
        """Hands the batch to Kafka's client; waits while its queue is full."""
        rejected = list(batch.rejected)
        if len(batch.trades):
            records = self._wire(batch.trades, "trade", rejected)
            if self._spans is not None:
                records = self._send_traced(self._spans, records)
            self._send_all("trade", self._topics.trades, records[:-1], self._reports["trade"])
            sampled = self._sampled if self._live else self._reports["trade"]
            self._send_all("trade", self._topics.trades, records[-1:], sampled)
        if len(batch.corrections):  # after the trades that they may be about
            records = self._wire(batch.corrections, "correction", rejected)
            self._send_all("correction", self._topics.trades, records, self._reports["correction"])
        if len(batch.quotes):
            records = self._wire(batch.quotes, "quote", rejected)
            self._send_all("quote", self._topics.quotes, records, self._reports["quote"])
        if batch.bars:
            records = self._wire(batch.bars, "provider_bar", rejected)
            self._send_all("provider_bar", self._topics.provider_bars, records, self._reports["provider_bar"])
        for gap in batch.gaps:
            self._gap(gap)
        for letter in rejected:
            self._dead_letter(letter)

    def heartbeat(self, timestamp_ms: int) -> None:
        """Tells every partition of trades, quotes and gaps that event time has come to ``timestamp_ms``."""
        for topic, partition in self._heartbeat_places:
            record = _Outgoing("heartbeat", topic, None, None, timestamp_ms, partition)
            self._send(record, self._report("heartbeat", record))
        self._metrics.heartbeat_time.set(timestamp_ms / 1000)

    def poll(self) -> None:
        """Takes in delivery reports; sends again what was refused with its batch.

        Raises UnavailableError or ConfigurationError where nothing more can be published.
        """
        self._client.poll(0)
        if self._refused:
            self._resend()
        self._bookkeeping()
        if self._failure is not None:
            raise self._failure

    def settle(self) -> None:
        """Waits until everything is acknowledged, or the part is asked to stop. Raises like ``poll``."""
        while len(self._client) and not self._stop.is_set() and self._failure is None:
            self._client.flush(FLUSH_STEP_S)
        self.poll()

    def close(self) -> int:
        """Waits for outstanding acknowledgements, for ``publisher_flush_seconds`` at most; returns how many
        records are not acknowledged."""
        until_us = self._clock.now_us() + int(self._settings.publisher_flush_seconds * 1e6)
        self._client.flush(self._settings.publisher_flush_seconds)
        if self._refused:
            self._resend(until_us)
        self._bookkeeping()
        if self._ledger is not None:
            self._ledger.close()
        return len(self._client) + len(self._refused) + self._given_up

    def _wire(
        self, events: Sequence[Trade | Correction | Quote | ProviderBar], kind: Kind, rejected: list[Rejected]
    ) -> Sequence[WireRecord]:
        """The records of the events; adds to ``rejected`` what cannot be encoded."""
        if isinstance(events, Columns):
            return list(events.wire(self._schemas[kind]))
        encoder = self._encoders[kind]
        records = []
        for event in events:
            try:
                value = encoder.encode(event)
            except (ValueError, TypeError, OverflowError) as error:  # text that is no Unicode, mostly
                rejected.append(refuse(event, kind, PoisonError("invalid_identity", f"no Avro: {error}")))
            else:
                at_us = event.received_at if isinstance(event, ProviderBar) else event.event_time
                records.append(WireRecord(event.symbol.encode(), value, at_us // 1000))
        return records

    def _send_all(self, kind: str, topic: str, records: Iterable[WireRecord], report: Report) -> None:
        produce = self._client.produce
        count = 0
        for key, value, timestamp_ms in records:
            try:
                produce(topic, value, key, on_delivery=report, timestamp=timestamp_ms)
                count += 1
            except (BufferError, KafkaException):
                self._send(_Outgoing(kind, topic, key, value, timestamp_ms), report)
        self._produced[kind] += count

    def _send_traced(self, spans: TradeSpans, records: Sequence[WireRecord]) -> Sequence[WireRecord]:
        """Sends the records up to the last one that is traced; returns those behind it."""
        topic, report, sent = self._topics.trades, self._reports["trade"], 0
        for position in spans.picked(len(records)):
            self._send_all("trade", topic, records[sent:position], report)
            key, value, timestamp_ms = records[position]
            span, headers = spans.begin(topic, value)
            record = _Outgoing("trade", topic, key, value, timestamp_ms, headers=headers)
            self._send(record, ended_by(report, span))
            sent = position + 1
        return records[sent:]

    def _send(self, record: _Outgoing, report: Report | None = None) -> None:
        """One record; waits for room in the client's queue."""
        where: dict[str, Any] = {} if record.partition < 0 else {"partition": record.partition}
        if record.headers:
            where["headers"] = list(record.headers)
        waited = False
        while True:
            try:
                self._client.produce(
                    record.topic,
                    record.value,
                    record.key,
                    on_delivery=report or self._reports[record.kind],
                    timestamp=record.timestamp_ms,
                    **where,
                )
            except BufferError:
                if self._stop.is_set():
                    self._given_up += 1
                    return
                if not waited:
                    self._metrics.queue_full.inc()
                    waited = True
                self._client.poll(ROOM_WAIT_S)
            except KafkaException as error:
                self._fail(record.kind, record.topic, error.args[0])
                return
            else:
                self._produced[record.kind] += 1
                return

    def _gap(self, gap: Gap) -> None:
        value = self._gap_encoder.encode(gap)
        record = _Outgoing("gap", self._topics.gaps, gap.symbol.encode(), value, gap.end // 1000)
        self._send(record, self._report("gap", record))

    def _dead_letter(self, rejected: Rejected) -> None:
        letter = DeadLetter(
            reason=rejected.reason,
            detail=rejected.detail,
            origin=ORIGIN,
            topic=self._places[rejected.kind],
            payload=rejected.payload[:MOST_PAYLOAD_BYTES],
        )
        key = rejected.symbol.encode(errors="replace") or None
        value = self._letter_encoder.encode(letter)
        now_ms = self._clock.now_us() // 1000
        self._send(_Outgoing("dead_letter", self._topics.dead_letter, key, value, now_ms))
        self._metrics.dead_letters.labels(rejected.reason).inc()

    def _report(self, kind: str, sent: _Outgoing | None = None) -> Report:
        """The delivery report of one kind of record. It is called for each: no more than counting here.

        ``sent``: the record, where it cannot be made of what Kafka's client reports.
        """
        acknowledged = self._acknowledged
        ledger = self._ledger if kind in ("trade", "correction") else None

        def report(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._not_delivered(kind, error, message, sent)
                return
            acknowledged[kind] += 1
            if ledger is not None:
                ledger.acknowledged(message.value())

        return report

    def _sampled(self, error: KafkaError | None, message: Message) -> None:
        """The delivery report of one trade of a batch, which also measures."""
        if error is None:
            self._metrics.latency.observe(max(0.0, self._clock.now_us() / 1e6 - message.timestamp()[1] / 1e3))
        self._reports["trade"](error, message)

    def _not_delivered(self, kind: str, error: KafkaError, message: Message, sent: _Outgoing | None) -> None:
        if error.code() not in WITH_ITS_BATCH:
            self._fail(kind, message.topic(), error)
            return
        record = sent or _Outgoing(
            kind, message.topic(), message.key(), message.value(), self._timestamp_ms(kind, message.value())
        )
        innocent = error.code() == KafkaError._INVALID_DIFFERENT_RECORD and not record.again
        self._refused.append(record._replace(suspect=not innocent, again=True))

    def _timestamp_ms(self, kind: str, value: bytes) -> int:
        """The timestamp that a record was sent with: the report of a refused one does not have it."""
        if kind == "dead_letter":
            return self._clock.now_us() // 1000
        time_field = "received_at" if kind == "provider_bar" else "event_time"
        return int(self._decoders[kind].decode_fields(value)[time_field]) // 1000

    def _fail(self, kind: str, topic: str, error: KafkaError) -> None:
        self._failed += 1
        self._metrics.failed.labels(kind, error.name()).inc()
        if (kind, error.code()) not in self._failures_said:  # the metric counts them, one line is enough
            self._failures_said.add((kind, error.code()))
            log.error("delivery_failed", kind=kind, topic=topic, error=error.name(), detail=error.str())
        if error.fatal() or error.code() in HOPELESS:
            self._failure = UnavailableError(
                f"Kafka does not take any more events for {topic} ({error.name()}: {error.str()});"
                f" put that right (`make topics` creates missing topics) and start the producer again"
            )

    def _client_error(self, error: KafkaError) -> None:
        """Errors of the client itself, not of one record."""
        if error.fatal():
            self._failure = UnavailableError(f"Kafka's client has failed for good: {error.str()}")
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and not self._unreachable:
            self._unreachable = True
            log.error(
                "kafka_unreachable",
                servers=self._settings.kafka_bootstrap_servers,
                waiting_events=len(self._client),
                detail="events wait in the queue until Kafka is back",
            )

    def _resend(self, until_us: int | None = None) -> None:
        """Sends what was refused with its batch again: first together what Kafka does not blame, then the
        suspects one by one; with nothing else under way each is its own batch.

        ``until_us``: when to give up waiting; None: when the part is asked to stop. The rest stays refused.
        """

        def settled() -> bool:
            while len(self._client):
                if self._stop.is_set() if until_us is None else self._clock.now_us() >= until_us:
                    return False
                self._client.flush(FLUSH_STEP_S)
            return True

        while self._refused and settled():
            records = list(self._refused)
            self._refused.clear()
            suspects = deque(record for record in records if record.suspect)
            log.warning("resending_refused_batch", records=len(records), suspects=len(suspects))
            for record in records:
                self._produced[record.kind] -= 1  # it was counted when it was sent first
                if not record.suspect:
                    self._send(record, self._report(record.kind, record))
            while suspects and settled():
                record = suspects.popleft()
                outcome: list[KafkaError | None] = []
                self._send(record, self._alone(record, outcome))
                settled()
                if outcome and outcome[0] is not None and outcome[0].code() == ALONE:
                    self._refused_alone(record)
            self._refused.extend(suspects)

    def _alone(self, record: _Outgoing, outcome: list[KafkaError | None]) -> Report:
        """The delivery report of a record that is sent by itself."""

        def report(error: KafkaError | None, message: Message) -> None:
            outcome.append(error)
            if error is None:
                self._reports[record.kind](error, message)
            elif error.code() != ALONE:
                self._fail(record.kind, record.topic, error)

        return report

    def _refused_alone(self, record: _Outgoing) -> None:
        at = f"{record.timestamp_ms} ms since 1970"
        if record.kind not in EVENTS:
            self._failed += 1
            self._failure = ConfigurationError(
                f"Kafka refuses a {record.kind.replace('_', ' ')} dated {at}, too far ahead of its clock: set"
                f" this machine's clock, or, for a replay, lift message.timestamp.after.max.ms of"
                f" {record.topic}"
            )
            return
        self._dead_letter(
            Rejected(
                "implausible_time",
                f"Kafka refuses a record dated {at}",
                record.value or b"",
                cast("Kind", record.kind),
                (record.key or b"").decode(errors="replace"),
            )
        )

    def _bookkeeping(self) -> None:
        """Brings metrics and ledger up to date: once for each batch, not for each event."""
        events = 0
        for kind in KINDS:
            produced, acknowledged = self._produced[kind], self._acknowledged[kind]
            was_produced, was_acknowledged = self._counted[kind]
            if (produced, acknowledged) == (was_produced, was_acknowledged):
                continue
            self._metrics.produced.labels(kind).inc(max(0, produced - was_produced))
            self._metrics.acknowledged.labels(kind).inc(acknowledged - was_acknowledged)
            self._counted[kind] = produced, acknowledged
            events += acknowledged - was_acknowledged
        self._metrics.queue_depth.set(len(self._client))
        now_us = self._clock.now_us()
        if events:
            self._metrics.last_acknowledged.set(now_us / 1e6)
            if self._unreachable:
                self._unreachable = False
                log.info("kafka_reachable_again", waiting_events=len(self._client))
        if self._ledger is not None and events:
            # At once: what is in the ledger survives a kill of this process.
            self._ledger.flush()


def own_decoder(event_type: type[Trade | Correction | Quote | ProviderBar], schema_id: int) -> Decoder:
    """Decodes what we have encoded ourselves: there is no other schema to look up."""
    return Decoder(event_type, lambda _: None, {schema_id: json.loads(schema_text(event_type))})


def client_config(settings: PublisherSettings) -> dict[str, Any]:
    """Configuration of Kafka's client (librdkafka)."""
    return {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "client.id": "tickstream-producer",
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": 2,
        "batch.num.messages": 10_000,
        "batch.size": 1_000_000,
        "queue.buffering.max.messages": settings.publisher_queue_events,
        "queue.buffering.max.kbytes": 512 * 1024,
        "message.timeout.ms": 0,  # never give up a record because Kafka is away
        "reconnect.backoff.max.ms": 2_000,
        "partitioner": "murmur2_random",  # a key goes where Java's clients would put it
        "log_level": 2,  # what matters comes through error_cb and the delivery reports
    }
