"""The statistics of the system, as the API answers them. What could not be asked is null, and ``problems``
says why."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.models import Answer

Problems = Annotated[
    dict[str, str],
    Field(
        description="what could not be asked, by the name of its field, and why",
        examples=[{"lag": "no answer within 2 s"}],
    ),
]


class Percentiles(Answer):
    """Of the values of the last five minutes, the newest 4,096 at most."""

    count: int = Field(examples=[812])
    p50_ms: float = Field(examples=[18.4])
    p95_ms: float = Field(examples=[41.0])
    p99_ms: float = Field(examples=[63.7])
    max_ms: float = Field(examples=[88.2])


class Latency(Answer):
    trade_to_api: Percentiles | None = Field(
        description="from a trade to its arrival here over Kafka, newest of each batch; null: none came"
    )
    bar_to_api: Percentiles | None = Field(
        description="from the making of a version of a bar in Flink to its arrival here; null likewise"
    )
    requests: dict[str, Percentiles] = Field(description="time to answer, by route")


class TopicStats(Answer):
    partitions: int = Field(examples=[4])
    end_offset: int = Field(description="records ever written, sum of the partitions", examples=[1_250_400])
    kept: int = Field(description="records that are still there", examples=[1_250_400])


class GroupStats(Answer):
    """How far a reader is behind the ends of its topics."""

    records: int = Field(description="records behind, heartbeats included", examples=[42])
    by_topic: dict[str, int] = Field(examples=[{"market.trades": 42}])


class KafkaStats(Answer):
    topics: dict[str, TopicStats] | None
    lag: dict[str, GroupStats | None] | None = Field(
        description="by consumer group: the jobs commit with each checkpoint, so theirs is as old as the"
        " newest one; null: the group has not committed yet. `api`: the live feed, as of now"
    )
    problems: Problems


class CacheUse(Answer):
    entries: int = Field(
        description="held now: bars of candles, symbols of quotes, summary and lookups", examples=[2450]
    )
    limit: int = Field(description="most that are held", examples=[100_000])
    requests: dict[str, int] = Field(
        description="since the start. hit: answered from memory at once; fill: after reading Cassandra once"
        " (or, of lookups, the provider) for all who ask; miss, bypass: from Cassandra",
        examples=[{"hit": 9_710, "fill": 12, "miss": 30, "bypass": 4}],
    )
    hit_ratio: float | None = Field(description="hits of all; null: nothing was asked", examples=[0.995])


class CacheStats(Answer):
    live: bool = Field(
        description="the feed is connected and current; else Cassandra answers everything", examples=[True]
    )
    epoch: int = Field(description="interruptions of the feed so far; each empties the caches", examples=[1])
    caches: dict[str, CacheUse]


class FeedStats(Answer):
    connected: bool = Field(description="it reads from Kafka", examples=[True])
    current: bool = Field(description="at most some seconds behind", examples=[True])
    epoch: int = Field(description="interruptions so far", examples=[1])
    events_per_second: dict[str, float] = Field(examples=[{"trades": 100.2, "candles": 48.9}])


class StreamingStats(Answer):
    clients: int = Field(description="WebSocket connections", examples=[3])
    sent: int = Field(description="messages since the start", examples=[120_400])
    sent_per_second: dict[str, float] = Field(
        description="by channel, over the last ten seconds; answer: what is no event",
        examples=[{"trades": 300.6, "candles": 146.7}],
    )
    skipped: int = Field(description="messages that slow clients did not get, since the start", examples=[0])
    lag_seconds: float = Field(
        description="longest that a message waits for its client now", examples=[0.002]
    )
    feed: FeedStats


class ApiErrors(Answer):
    requests: int = Field(description="answered since the start", examples=[52_000])
    server_errors: int = Field(description="of these with a status from 500 on", examples=[0])
    rate: float | None = Field(description="null: no requests yet", examples=[0.0])


class SystemSummary(Answer):
    hours: int = Field(examples=[24])
    since: datetime = Field(description="start of the range; it ends now", examples=["2026-01-04T14:31:00Z"])
    trades: int | None = Field(description="trades in the bars of the range", examples=[8_640_000])
    bars: int | None = Field(description="versions of bars published, of all intervals", examples=[412_000])
    symbols: int | None = Field(description="with a trade in the range", examples=[10])
    alerts: dict[str, int] | None = Field(
        description="by severity", examples=[{"low": 3, "medium": 2, "high": 1, "critical": 0}]
    )
    alerts_complete: bool = Field(description="false: there are more than were counted", examples=[True])
    dead_letters: int | None = Field(description="records refused", examples=[2])
    error_rate: float | None = Field(
        description="refused of all that came: dead letters / (trades + dead letters)", examples=[2.3e-07]
    )
    clients: int = Field(description="WebSocket connections, now", examples=[3])
    lag: dict[str, int | None] | None = Field(
        description="records by which each reader is behind now; `/stats/kafka` has them by topic. null: a"
        " group that has not committed yet",
        examples=[{"market.bars": 42, "market.store": 57, "api": 0}],
    )
    api: ApiErrors
    problems: Problems
