"""Settings of the jobs."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from jobs.anomaly_settings import AnomalySettings
from jobs.domain.context import Rules
from jobs.domain.indicators import DEFAULT as DEFAULT_INDICATORS
from jobs.domain.indicators import Indicators
from schemas.errors import ConfigurationError
from schemas.settings import CassandraSettings, KafkaSettings, LogSettings, SessionSettings

Milliseconds = Annotated[int, Field(ge=1)]


class JobSettings(AnomalySettings, SessionSettings, KafkaSettings, CassandraSettings, LogSettings):
    """Everything that shapes the two jobs and how they are run."""

    flink_rest_url: str = Field("http://127.0.0.1:8081", description="REST address of the Flink JobManager")
    flink_lib_dir: Path = Field(
        Path(".tickstream/lib/flink"), description="the cluster's jars: Flink's, PyFlink's and the connectors"
    )
    checkpoint_dir: str = Field(
        ".tickstream/flink/checkpoints", description="where checkpoints are kept: a folder or a URI"
    )
    savepoint_dir: str = Field(
        ".tickstream/flink/savepoints", description="where a stopped job leaves its state: a folder or a URI"
    )
    python_executable: str = Field(
        "", description="Python of the Flink workers; empty: the one that submits the job"
    )
    state_backend: str = Field(
        "rocksdb",
        pattern="^(hashmap|rocksdb)$",
        description="rocksdb: state on disk, of any size; hashmap: in the memory of the TaskManager",
    )
    parallelism: int = Field(1, ge=1, description="parallel instances of each operator")
    max_parallelism: int = Field(
        128, ge=1, description="upper bound of parallelism; fixed for a state's life"
    )
    symbol_groups: int = Field(
        16,
        ge=1,
        le=256,
        description="groups of symbols that are kept under one key; some times as many as parallel instances,"
        " and a number of its own for each state: change it together with GENERATION",
    )
    checkpoint_interval_ms: Milliseconds = Field(5000, description="time between checkpoints")
    buffer_timeout_ms: int = Field(
        0,
        ge=0,
        description="longest wait of a record for its network buffer; 0: none. Some ms where a job has"
        " instances on several machines and gets more than ten thousand trades a second",
    )
    bundle_time_ms: Milliseconds = Field(50, description="longest wait of a record for its Python batch")
    bundle_size: int = Field(6000, ge=1, description="records of a full Python batch")
    watermark_interval_ms: Milliseconds = Field(10, description="time between watermarks")
    watermark_delay_ms: int = Field(20, ge=0, description="watermark = greatest record time - this")
    slice_ms: int = Field(
        200,
        ge=10,
        description="length of a slice: 200 up to some hundred symbols, 1000 beyond; divides 1 min",
    )
    grace_ms: int = Field(500, ge=0, description="from the end of a bar to its final version")
    horizon_seconds: int = Field(300, ge=1, description="how old a trade may be and still correct its bars")
    dedup_memory_seconds: int = Field(
        600, ge=1, description="how long a trade is known, in event time: a copy of it does not count"
    )
    live_every_ms: Milliseconds = Field(
        1000,
        description="least time between live versions of bars longer than 1m, and of any in Cassandra, where"
        " longer bars have up to 15 times as much",
    )
    live_budget_per_second: int = Field(
        1500,
        ge=0,
        description="live versions of bars published in a second, over all symbols; 0: none. Half of it is"
        " kept for 1m: of many symbols the longer bars go out more seldom. Late ones count more, up to ten"
        " times from 45 s on. Finals never wait",
    )
    max_revised_bars: int = Field(
        500, ge=0, description="final bars after a corrected one that are published anew, of each interval"
    )
    latency_alerts: bool = Field(
        True, description="whether latency is judged; false for history, whose trades are old by nature"
    )
    indicators: str = Field(
        DEFAULT_INDICATORS,
        description="indicators of every bar, separated by commas: sma:N, ema:N, rsi:N, atr:N,"
        " macd:FAST:SLOW:SIGNAL, bollinger:N:WIDTH, vwap (of the session). After a change they begin anew",
    )
    generation: int = Field(
        0, ge=0, le=2**29, description="raise by one to rebuild bars: wins over all versions before"
    )
    cassandra_retry_seconds: int = Field(
        60, ge=1, description="how long a write is retried before the store job restarts from its checkpoint"
    )

    @field_validator("indicators", mode="after")
    @classmethod
    def _check_indicators(cls, specification: str) -> str:
        try:
            Indicators(specification)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        return specification

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.horizon_seconds > self.dedup_memory_seconds:
            raise ValueError(
                f"HORIZON_SECONDS ({self.horizon_seconds}) must not exceed DEDUP_MEMORY_SECONDS"
                f" ({self.dedup_memory_seconds}): what dedup has forgotten would be counted twice"
            )
        if not self.watermark_delay_ms < max(1, self.grace_ms) <= self.horizon_seconds * 1000:
            raise ValueError("WATERMARK_DELAY_MS < GRACE_MS <= HORIZON_SECONDS must hold")
        if 60_000 % self.slice_ms:
            raise ValueError(f"SLICE_MS ({self.slice_ms}) must divide a minute: no slice may span two bars")
        return self

    @property
    def rules(self) -> Rules:
        """The settings of a bar's life, in microseconds."""
        return Rules(
            grace=self.grace_ms * 1000,
            horizon=self.horizon_seconds * 1_000_000,
            dedup_memory=self.dedup_memory_seconds * 1_000_000,
            live_every=self.live_every_ms * 1000,
            live=self.live_budget_per_second > 0,
            generation=self.generation,
            max_revised_bars=self.max_revised_bars,
        )
