"""Settings that more than one part needs. Each comes from the environment variable of its name in capitals.

Every part composes its own frozen settings from these in its ``settings.py``. ``.env.example`` lists them
all; a test holds that nothing is missing there. Defaults are the local system on loopback.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schemas.errors import ConfigurationError
from schemas.symbols import one_spelling

Port = Annotated[int, Field(ge=1, le=65535)]
Names = Annotated[tuple[str, ...], NoDecode]
"""A comma-separated list in the environment; see ``split_names``."""
SymbolClass = Literal["continuous", "crypto", "us_equities"]
Hours = Literal["extended", "regular"]


def split_names(value: object) -> object:
    """``"AAPL, msft"`` -> ``("AAPL", "msft")``; anything that is not text is left as it is."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


class EnvironmentSettings(BaseSettings):
    """Base of all settings: read from the environment, immutable, empty values count as not set."""

    # Without the input: what is wrong about several settings together would be told with all of them, also
    # with those that are secret.
    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )


SettingsT = TypeVar("SettingsT", bound=EnvironmentSettings)


def load_settings(kind: type[SettingsT], environment: Mapping[str, str] | None = None) -> SettingsT:
    """The settings as a process with this environment has them (default: our own); raises ConfigurationError
    that names each variable that is wrong, with its value where that is no secret."""
    try:
        if environment is None:
            return kind()
        names = [name for name in kind.model_fields if environment.get(name.upper())]
        return kind.model_validate({name: environment[name.upper()] for name in names})
    except ValidationError as error:
        problems = [_describe(kind, problem) for problem in error.errors(include_url=False)]
        raise ConfigurationError(
            f"wrong settings: {'; '.join(problems)} (.env.example says what each may be)"
        ) from None


def _describe(kind: type[EnvironmentSettings], problem: Mapping[str, Any]) -> str:
    """``API_PORT=99999: Input should be less than or equal to 65535`` from one of pydantic's findings."""
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    name = str(problem["loc"][0])
    field = kind.model_fields.get(name)
    shown = f"={problem['input']}" if field is not None and field.repr else ""
    return f"{name.upper()}{shown}: {message}"


class LogSettings(EnvironmentSettings):
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least level that is logged"
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="json: one object per line, for Loki and the like; console: for eyes"
    )


class SourceSettings(EnvironmentSettings):
    """Where the market data comes from; the default symbols of all parts follow from it."""

    source: str = Field(
        "simulator",
        description="where the events come from: simulator, replay, demo (recordings as if they were of"
        " now), or a provider: alpha_vantage, binance, coinbase, finage, finnhub, fmp, polygon, yahoo",
    )
    sources: Names = Field(
        (), description="the same as a list by priority, separated by commas; it wins over SOURCE"
    )

    _split_sources = field_validator("sources", mode="before")(split_names)

    @property
    def source_names(self) -> tuple[str, ...]:
        """The sources by priority, one at least."""
        return self.sources or (self.source,)


STOCKS = ("AAPL", "GOOGL", "MSFT", "AMZN", "META", "NVDA", "TSLA", "JPM", "V", "JNJ")
SYMBOLS_OF: Mapping[str, tuple[str, ...]] = {
    "binance": ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT"),
    "coinbase": ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "DOGE-USD"),
}
"""The default symbols of sources that have no stocks."""


class SymbolSettings(SourceSettings):
    symbols: Names = Field(
        (),
        min_length=1,
        description="symbols that are produced and served, separated by commas; empty: ten well-known stocks,"
        " or five pairs where the first source is binance or coinbase",
    )

    _split_symbols = field_validator("symbols", mode="before")(split_names)

    @field_validator("symbols", mode="after")
    @classmethod
    def _one_spelling(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one_spelling(symbol) for symbol in symbols)

    @model_validator(mode="before")
    @classmethod
    def _default_symbols(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("symbols"):
            return values
        sources = split_names(values.get("sources")) or (values.get("source"),)
        first = sources[0] if isinstance(sources, tuple) else ""
        return values | {"symbols": SYMBOLS_OF.get(str(first), STOCKS)}


class SessionSettings(EnvironmentSettings):
    """Which market each symbol belongs to; what follows from it is in ``schemas.sessions``."""

    symbol_classes: Names = Field(
        (),
        description="classes of symbols, such as AAPL=us_equities,*-USD=crypto: shell patterns, the first"
        " that matches counts; classes: continuous, crypto, us_equities; what matches none is continuous",
    )
    us_equity_hours: Hours = Field(
        "extended",
        description="extended: 4h and 1d bars of us_equities hold the whole day in New York; regular: they"
        " hold the regular session only",
    )

    _split_symbol_classes = field_validator("symbol_classes", mode="before")(split_names)

    @field_validator("symbol_classes", mode="after")
    @classmethod
    def _check_symbol_classes(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            pattern, _, name = entry.rpartition("=")
            if not pattern or name not in get_args(SymbolClass):
                raise ValueError(
                    f"{entry!r} is not PATTERN=CLASS with a class of {', '.join(get_args(SymbolClass))}"
                )
        return entries


class KafkaSettings(EnvironmentSettings):
    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:9092", description="Kafka brokers, host:port separated by commas"
    )
    schema_registry_url: str = Field(
        "http://127.0.0.1:8082/apis/ccompat/v7", description="Confluent-compatible schema registry"
    )
    topic_prefix: str = Field(
        "market",
        pattern=r"^[a-zA-Z0-9._-]{1,200}$",
        description="topics are <prefix>.trades, .quotes, .candles, .alerts, .gaps, .provider-bars,"
        " .provider-candles, .dead-letter, .streams; a replay has its own",
    )


class TopicSettings(KafkaSettings):
    topic_partitions: int = Field(
        2,
        ge=1,
        le=1000,
        description="partitions of each topic, at least PARALLELISM. More come when the system is started"
        " with a higher number, none ever go. Each costs: the producer's client sends to it by itself",
    )
    topic_replication_factor: int = Field(
        1, ge=1, description="copies of each partition; 3 on a real cluster"
    )
    topic_retention_hours: int = Field(168, ge=0, description="how long Kafka keeps records; 0: for ever")


class CassandraSettings(EnvironmentSettings):
    cassandra_hosts: str = Field("127.0.0.1", description="contact points, separated by commas")
    cassandra_port: Port = Field(9042, description="CQL port")
    cassandra_keyspace: str = Field(
        "market", pattern=r"^[a-z][a-z0-9_]{0,47}$", description="keyspace of all tables"
    )
    cassandra_datacenter: str = Field(
        "datacenter1", pattern=r"^[A-Za-z0-9_-]+$", description="local datacenter of the cluster"
    )
    cassandra_replication_factor: int = Field(1, ge=1, description="copies of each row; 3 on a real cluster")
    cassandra_username: str = Field("", description="user, where the cluster asks for one")
    cassandra_password: str = Field("", repr=False, description="its password; never logged")
    bronze_ttl_days: int = Field(7, ge=1, description="how long trades as received are kept")
    silver_ttl_days: int = Field(30, ge=1, description="how long valid trades are kept")
    quotes_ttl_days: int = Field(7, ge=1, description="how long quotes are kept")
    versions_ttl_days: int = Field(7, ge=1, description="how long every version of a bar is kept")
    alerts_ttl_days: int = Field(365, ge=1, description="how long alerts are kept")
    gaps_ttl_days: int = Field(365, ge=1, description="how long the record of what was not observed is kept")
    provider_bars_ttl_days: int = Field(365, ge=1, description="how long bars of providers are kept")
    gold_minutes_ttl_days: int = Field(90, ge=1, description="how long 1m, 5m and 15m bars are kept")
    gold_hours_ttl_days: int = Field(365, ge=1, description="how long 1h, 4h and 1d bars are kept")
