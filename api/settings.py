"""Settings of the API, each from the environment variable of its name in capitals."""

from pydantic import Field, field_validator

from api.history_settings import HistorySettings
from api.lookups.settings import LookupSettings
from api.security.settings import SecuritySettings, check_origins
from schemas.settings import (
    CassandraSettings,
    EnvironmentSettings,
    KafkaSettings,
    LogSettings,
    Names,
    Port,
    SymbolSettings,
    split_names,
)
from schemas.tracing import TracingSettings


class LiveSettings(EnvironmentSettings):
    ws_max_clients: int = Field(
        2_000, ge=1, le=100_000, description="WebSocket connections; further ones are told so and closed"
    )
    ws_max_symbols: int = Field(500, ge=1, le=10_000, description="symbols of one WebSocket connection")
    ws_max_message_bytes: int = Field(
        65_536, ge=256, le=1_048_576, description="longest message that a WebSocket client may send"
    )
    ws_messages_per_second: int = Field(
        100,
        ge=1,
        le=10_000,
        description="messages that a WebSocket client may send in a second; further ones are refused, and"
        " read later",
    )
    ws_queue_ticks: int = Field(
        2_000,
        ge=100,
        le=1_000_000,
        description="trades and quotes that may wait for one WebSocket client; beyond, those that wait are"
        " skipped, and a `gap` message says how many",
    )
    ws_queue_kept: int = Field(
        10_000,
        ge=10,
        le=1_000_000,
        description="final bars, corrections, alerts and answers that may wait for one WebSocket client;"
        " beyond, it gets those and is closed",
    )
    ws_send_timeout_seconds: float = Field(
        10.0,
        gt=0,
        le=300,
        description="a WebSocket client that needs longer for some messages (64 at most) is closed",
    )
    ws_heartbeat_seconds: float = Field(
        15.0, gt=0, le=300, description="a WebSocket client that gets nothing else for so long hears so"
    )
    ws_resume_events: int = Field(
        20_000, ge=1, le=1_000_000, description="newest events from which WebSocket clients can resume"
    )
    ws_origins: Names = Field(
        (),
        description="origins of web pages that may open a WebSocket, such as https://example.org, separated"
        " by commas; pages of the API's own host and of localhost always may; *: any page",
    )

    _split_ws_origins = field_validator("ws_origins", mode="before")(split_names)
    _check_ws_origins = field_validator("ws_origins", mode="after")(check_origins)


class HotSettings(EnvironmentSettings):
    api_cache_bars: int = Field(
        100_000,
        ge=1_000,
        le=10_000_000,
        description="bars that are held in memory, about 1 kB each; beyond, the newest bars of the symbol and"
        " interval are dropped that were asked for longest ago",
    )


class ApiSettings(
    LogSettings,
    KafkaSettings,
    CassandraSettings,
    SymbolSettings,
    LiveSettings,
    TracingSettings,
    SecuritySettings,
    HistorySettings,
    HotSettings,
    LookupSettings,
):
    api_host: str = Field(
        "127.0.0.1", description="address that the API listens on; 0.0.0.0: every interface"
    )
    api_port: Port = Field(8000, description="port that the API listens on")
    api_query_timeout_seconds: float = Field(
        5.0, gt=0, le=60, description="longest wait for one query to Cassandra, queueing included; then 503"
    )
    api_max_queries: int = Field(
        64, ge=1, le=1024, description="queries to Cassandra at the same time; further ones wait their turn"
    )
    flink_rest_url: str = Field("http://127.0.0.1:8081", description="Flink's REST API and Web UI")
    producer_metrics_url: str = Field(
        "http://127.0.0.1:9100/metrics", description="where the producer answers when it is alive"
    )
    ready_timeout_seconds: float = Field(
        2.0, gt=0, le=30, description="longest that /ready waits for the answer of one part"
    )
    ready_max_age_seconds: float = Field(
        60.0,
        ge=0,
        description="/ready: how old the newest stored trade may be, or the newest quote where no source has"
        " trades; 0: any age, say off hours",
    )
    ready_checkpoint_max_age_seconds: float = Field(
        120.0, gt=0, description="/ready: how old the last completed checkpoint of a job may be"
    )
