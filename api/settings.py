"""Settings of the API, each from the environment variable of its name in capitals."""

from pydantic import Field

from schemas.settings import CassandraSettings, KafkaSettings, LogSettings, Port, SymbolSettings


class ApiSettings(LogSettings, KafkaSettings, CassandraSettings, SymbolSettings):
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
        60.0, ge=0, description="/ready: how old the newest stored trade may be; 0: any age, say off hours"
    )
    ready_checkpoint_max_age_seconds: float = Field(
        120.0, gt=0, description="/ready: how old the last completed checkpoint of a job may be"
    )
