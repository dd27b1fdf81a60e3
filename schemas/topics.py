"""The topics: their names, what they carry, and how they are made."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.events import Candle, DeadLetter, Event, Quote, Trade
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
    def dead_letter(self) -> str:
        return f"{self.prefix}.dead-letter"

    def job_name(self, job: str) -> str:
        """Name of the job ``bars`` or ``store`` of these topics, in Flink and as consumer group."""
        return f"{self.prefix}.{job}"

    @property
    def event_types(self) -> Mapping[str, type[Event]]:
        """Topic name -> the type of its records."""
        return {self.trades: Trade, self.quotes: Quote, self.candles: Candle, self.dead_letter: DeadLetter}


def topic_config(settings: TopicSettings) -> dict[str, str]:
    """Broker-side configuration of every topic of ours."""
    retention_ms = settings.topic_retention_hours * 3_600_000 or -1
    return {
        "retention.ms": str(retention_ms),
        "message.timestamp.type": "CreateTime",
        "message.timestamp.after.max.ms": str(MAX_CLOCK_AHEAD_MS),
    }
