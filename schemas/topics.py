"""The topics: their names, what they carry, and how they are made."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.events import Alert, Candle, Correction, DeadLetter, Event, Gap, ProviderBar, Quote, Trade
from schemas.settings import TopicSettings

MAX_CLOCK_AHEAD_MS = 60_000
"""The broker refuses records dated further ahead than this: one would push the watermark past all others."""


@dataclass(frozen=True, slots=True)
class Topics:
    """Topic names under one prefix: ``market`` for the live system, one of its own for each replay."""

    prefix: str

    @property
    def trades(self) -> str:
        return f"{self.prefix}.trades"

    @property
    def quotes(self) -> str:
        return f"{self.prefix}.quotes"

    @property
    def candles(self) -> str:
        return f"{self.prefix}.candles"

    @property
    def alerts(self) -> str:
        return f"{self.prefix}.alerts"

    @property
    def gaps(self) -> str:
        return f"{self.prefix}.gaps"

    @property
    def provider_bars(self) -> str:
        """Bars of providers as they came, without indicators."""
        return f"{self.prefix}.provider-bars"

    @property
    def provider_candles(self) -> str:
        """The same with indicators."""
        return f"{self.prefix}.provider-candles"

    @property
    def dead_letter(self) -> str:
        return f"{self.prefix}.dead-letter"

    @property
    def streams(self) -> str:
        """Orders to the producer, see ``schemas.stream_orders``: no events, and no Avro."""
        return f"{self.prefix}.streams"

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the bars are made of: its records are dated with the event time, by which watermarks go, and
        heartbeats tell each partition's jobs that time goes on."""
        return self.trades, self.quotes, self.gaps

    @property
    def names(self) -> tuple[str, ...]:
        """Every topic."""
        return (*self.event_types, self.streams)

    def job_name(self, job: str) -> str:
        """Name of the job ``bars`` or ``store`` of these topics, in Flink and as consumer group."""
        return f"{self.prefix}.{job}"

    @property
    def corrections(self) -> str:
        """What stands for the corrections where schema ids are looked up: they share the topic of the trades.
        It is the subject of their schema, as Confluent's TopicRecordNameStrategy names it."""
        return f"{self.trades}-market.Correction"

    @property
    def event_types(self) -> Mapping[str, type[Event]]:
        """Topic name -> the type of its records; corrections are beside the trades."""
        return {
            self.trades: Trade,
            self.quotes: Quote,
            self.candles: Candle,
            self.alerts: Alert,
            self.gaps: Gap,
            self.provider_bars: ProviderBar,
            self.provider_candles: ProviderBar,
            self.dead_letter: DeadLetter,
        }

    @property
    def record_types(self) -> Mapping[str, type[Event]]:
        """Every type of record by what its schema id is kept under: its topic, or ``corrections``."""
        return {**self.event_types, self.corrections: Correction}

    def subject(self, name: str) -> str:
        """The subject under which the schema of a key of ``record_types`` is registered."""
        return name if name == self.corrections else f"{name}-value"


COMPACTED = {"cleanup.policy": "compact", "retention.ms": "-1"}
"""Of a topic whose last record of each key is kept for good."""


def topic_config(settings: TopicSettings) -> dict[str, str]:
    """Broker-side configuration of the topics of events."""
    retention_ms = settings.topic_retention_hours * 3_600_000 or -1
    return {
        "retention.ms": str(retention_ms),
        "message.timestamp.type": "CreateTime",
        "message.timestamp.after.max.ms": str(MAX_CLOCK_AHEAD_MS),
    }
