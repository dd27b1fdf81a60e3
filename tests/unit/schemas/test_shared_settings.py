"""Settings that more than one part needs."""

from typing import Self

import pytest
from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticUndefined

from schemas.errors import ConfigurationError
from schemas.settings import (
    CassandraSettings,
    EnvironmentSettings,
    KafkaSettings,
    LogSettings,
    SessionSettings,
    SymbolSettings,
    TopicSettings,
    load_settings,
    split_names,
)

ALL: list[type[EnvironmentSettings]] = [
    LogSettings, SymbolSettings, SessionSettings, KafkaSettings, TopicSettings, CassandraSettings
]  # fmt: skip
VALUES = {
    "LOG_LEVEL": "DEBUG",
    "LOG_FORMAT": "console",
    "SOURCE": "coinbase",
    "SOURCES": "binance,simulator",
    "SYMBOLS": "A,B",
    "SYMBOL_CLASSES": "A*=us_equities,B=crypto",
    "US_EQUITY_HOURS": "regular",
    "KAFKA_BOOTSTRAP_SERVERS": "k1:9092,k2:9092",
    "SCHEMA_REGISTRY_URL": "http://r:1",
    "TOPIC_PREFIX": "replay-1",
    "TOPIC_PARTITIONS": "12",
    "TOPIC_REPLICATION_FACTOR": "3",
    "TOPIC_RETENTION_HOURS": "0",
    "CASSANDRA_HOSTS": "c1,c2",
    "CASSANDRA_PORT": "9043",
    "CASSANDRA_KEYSPACE": "other",
    "CASSANDRA_DATACENTER": "eu",
    "CASSANDRA_REPLICATION_FACTOR": "3",
    "CASSANDRA_USERNAME": "u",
    "CASSANDRA_PASSWORD": "p",
    "BRONZE_TTL_DAYS": "1",
    "SILVER_TTL_DAYS": "2",
    "QUOTES_TTL_DAYS": "5",
    "VERSIONS_TTL_DAYS": "6",
    "ALERTS_TTL_DAYS": "8",
    "GAPS_TTL_DAYS": "9",
    "PROVIDER_BARS_TTL_DAYS": "10",
    "GOLD_MINUTES_TTL_DAYS": "3",
    "GOLD_HOURS_TTL_DAYS": "4",
}


@pytest.mark.parametrize("settings", ALL)
def test_every_setting_comes_from_the_variable_of_its_name(
    settings: type[EnvironmentSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a default, a description, and follows the environment."""
    defaults = settings()
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value)
    changed = settings()
    for name, field in settings.model_fields.items():
        assert field.description, name
        assert field.default is not PydanticUndefined, name
        value = getattr(changed, name)
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        assert text == VALUES[name.upper()], name
        assert value != getattr(defaults, name), name


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """`NAME=` in .env means the default."""
    monkeypatch.setenv("TOPIC_PREFIX", "")
    assert KafkaSettings().topic_prefix == "market"


def test_settings_cannot_be_changed() -> None:
    """They are made once and passed in."""
    settings = KafkaSettings()
    with pytest.raises(ValidationError):
        settings.topic_prefix = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("SYMBOLS", " , "),
        ("TOPIC_PREFIX", "with space"),
        ("TOPIC_PARTITIONS", "0"),
        ("CASSANDRA_PORT", "65536"),
        ("CASSANDRA_PORT", "0"),
        ("CASSANDRA_KEYSPACE", "market; DROP"),
        ("CASSANDRA_KEYSPACE", "Upper"),
        ("CASSANDRA_DATACENTER", "dc'1"),
        ("BRONZE_TTL_DAYS", "0"),
        ("BRONZE_TTL_DAYS", "week"),
    ],
)
def test_a_value_that_cannot_work_is_refused_at_once(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the setting; nothing of ours ends up inside CQL unchecked."""
    monkeypatch.setenv(name, value)
    settings = next(kind for kind in ALL if name.lower() in kind.model_fields)
    with pytest.raises(ValidationError, match=name.lower()):
        settings()


class Together(CassandraSettings):
    """Settings that can be wrong together."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.cassandra_username and not self.cassandra_password:
            raise ValueError("set both CASSANDRA_USERNAME and CASSANDRA_PASSWORD, or none of them")
        return self


def test_what_is_wrong_is_told_by_the_names_of_the_variables() -> None:
    """Every one, with what it is and what it may be; where to read more."""
    with pytest.raises(ConfigurationError) as refused:
        load_settings(CassandraSettings, {"CASSANDRA_PORT": "99999", "BRONZE_TTL_DAYS": "week"})
    text = str(refused.value)
    assert "CASSANDRA_PORT=99999: Input should be less than or equal to 65535" in text
    assert "BRONZE_TTL_DAYS=week: " in text
    assert text.endswith("(.env.example says what each may be)")
    with pytest.raises(ConfigurationError, match="wrong settings: set both CASSANDRA_USERNAME and"):
        load_settings(Together, {"CASSANDRA_USERNAME": "me"})


def test_no_secret_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where it is wrong itself, nor beside others that are, nor by an error that nobody catches."""

    class Keys(Together):
        api_key: str = Field("", repr=False, max_length=10, description="of a provider")

    monkeypatch.setenv("API_KEY", "hunter2-hunter2")
    with pytest.raises(ConfigurationError, match="API_KEY: String should have at most 10") as refused:
        load_settings(Keys)
    monkeypatch.setenv("API_KEY", "hunter2")
    monkeypatch.setenv("CASSANDRA_USERNAME", "me")
    with pytest.raises(ConfigurationError, match="set both") as together:
        load_settings(Keys)
    with pytest.raises(ValidationError) as uncaught:
        Keys()
    assert not any("hunter2" in str(error.value) for error in (refused, together, uncaught))


@pytest.mark.parametrize(
    ("source", "sources", "first"),
    [("", "", "AAPL"), ("coinbase", "", "BTC-USD"), ("coinbase", "binance, simulator", "BTCUSDT")],
)
def test_default_symbols_are_those_that_the_first_source_has(
    source: str, sources: str, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stocks, or pairs where the source has no stocks; what SYMBOLS says wins."""
    monkeypatch.setenv("SOURCE", source)
    monkeypatch.setenv("SOURCES", sources)
    assert SymbolSettings().symbols[0] == first
    monkeypatch.setenv("SYMBOLS", "V")
    assert SymbolSettings().symbols == ("V",)


def test_the_password_is_not_shown() -> None:
    """Neither in a log line nor in a debugger's."""
    assert "hunter2" not in repr(CassandraSettings(cassandra_password="hunter2"))  # noqa: S106 -- no secret


def test_names_are_split_at_commas_and_trimmed() -> None:
    """Empty names are left out; what is no text is left as it is."""
    assert split_names(" AAPL, msft ,,V ") == ("AAPL", "msft", "V")
    assert split_names("") == ()
    assert split_names(("A",)) == ("A",)
