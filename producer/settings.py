"""The settings of the producer."""

import math
from typing import Literal

from pydantic import Field, field_validator

from producer.failover.settings import FailoverSettings
from producer.providers.settings import ProviderSettings
from producer.recorder import RecorderSettings
from schemas.settings import (
    KafkaSettings,
    LogSettings,
    Names,
    Port,
    SymbolSettings,
    split_names,
)
from schemas.tracing import TracingSettings
from schemas.validation import SYMBOL

SCENARIOS = ("price_spike", "volume_burst", "late_trade", "duplicate", "stale_symbol", "correction")


class SimulatorSettings(SymbolSettings):
    """What the simulated market looks like."""

    trades_per_second: float = Field(
        100.0, gt=0, le=200_000, description="simulated trades a second, all symbols together"
    )
    quotes_per_second: float = Field(
        50.0, ge=0, le=200_000, description="simulated quotes a second, all symbols together; 0: none"
    )
    simulator_seed: int = Field(
        42, ge=0, description="the same seed gives the same symbols, sizes and ids, event by event"
    )
    simulator_zipf: float = Field(
        0.0,
        ge=0,
        le=3,
        description="unequal symbols: the k-th of SYMBOLS has a share of trades and quotes in proportion to"
        " 1 / k^this; 0: all the same",
    )
    simulator_scenarios: Names = Field(
        SCENARIOS,
        description=f"what happens in the simulated market, of {', '.join(SCENARIOS)}; all, or none for calm",
    )
    simulator_scenario_minutes: float = Field(
        10.0, ge=3, description="the scenarios come again every so many minutes"
    )
    provider_delay_ms: int | None = Field(
        None,
        ge=0,
        description="heartbeats lag the clock by this; empty: 50 for the simulator, 500 for providers, and"
        " what a delayed feed is behind",
    )

    @field_validator("symbols", mode="after")
    @classmethod
    def _check_symbols(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in symbols:
            if not SYMBOL.fullmatch(symbol):
                raise ValueError(f"{symbol!r} is no symbol: upper case letters, digits and .-/_:^= only")
        return tuple(dict.fromkeys(symbols))

    @field_validator("simulator_scenarios", mode="before")
    @classmethod
    def _split_scenarios(cls, value: object) -> object:
        names = split_names(value)
        if names == ("all",):
            return SCENARIOS
        return () if names == ("none",) else names

    @field_validator("simulator_scenarios", mode="after")
    @classmethod
    def _check_scenarios(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(names) - set(SCENARIOS))
        if unknown:
            raise ValueError(f"no scenario {', '.join(unknown)}: use {', '.join(SCENARIOS)}, all or none")
        return names


class ReplaySettings(ProviderSettings):
    """Which recordings are replayed, and how; what providers call symbols, too."""

    replay_files: Names = Field(
        (), description="recordings to replay, merged by time: CSV or JSON lines, .gz too"
    )
    replay_format: str = Field(
        "auto",
        description="auto, tickstream, binance_trades, binance_quotes, or a mapping field=column[:unit],...",
    )
    replay_speed: str = Field(
        "max", description="max: as fast as possible; 1: as it happened; N: N times that"
    )
    replay_disorder_ms: int = Field(
        2000, ge=0, description="how far rows of a recording may be out of order and still count as on time"
    )

    _split_files = field_validator("replay_files", mode="before")(split_names)

    @field_validator("replay_speed", mode="after")
    @classmethod
    def _check_speed(cls, text: str) -> str:
        if text != "max":
            try:
                speed = float(text.removesuffix("x"))
            except ValueError:
                speed = math.nan
            if not 0 < speed < math.inf:
                raise ValueError(f"{text!r} is no speed: use max, 1 for real time, or a number like 60")
        return text

    @property
    def speed(self) -> float | None:
        """Times real time; None: as fast as possible."""
        return None if self.replay_speed == "max" else float(self.replay_speed.removesuffix("x"))


class DemoSettings(ReplaySettings):
    """What SOURCE=demo plays; a speed of max is taken for 1."""

    demo_with: Literal["simulator", "none"] = Field(
        "simulator",
        description="SOURCE=demo: whether the simulator goes on beside the recordings, for those of SYMBOLS"
        " that are not in them",
    )


class PublisherSettings(KafkaSettings, TracingSettings):
    """How events get to Kafka."""

    heartbeat_interval_ms: int = Field(
        100, ge=10, le=60_000, description="time between the heartbeats that keep the stream's clock going"
    )
    publisher_queue_events: int = Field(
        200_000,
        ge=1000,
        le=2_000_000,
        description="events that may wait for Kafka; when they are this many, the source waits too",
    )
    publisher_flush_seconds: float = Field(
        10.0, gt=0, description="how long a stop waits for Kafka to acknowledge what was sent"
    )
    ledger_file: str = Field(
        "",
        description="file that a CSV line is appended to for each trade and correction that Kafka"
        " acknowledged; empty: none",
    )


class ProducerSettings(
    PublisherSettings,
    SimulatorSettings,
    DemoSettings,
    FailoverSettings,
    RecorderSettings,
    LogSettings,
):
    """Everything that the producer can be told."""

    max_event_age_seconds: int = Field(
        86_400, ge=1, description="live events older than this are refused; recordings may be of any age"
    )
    producer_metrics_host: str = Field("127.0.0.1", description="address that the metrics are served on")
    producer_metrics_port: Port = Field(9100, description="port that the metrics are served on")
