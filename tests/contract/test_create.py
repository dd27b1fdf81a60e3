"""Topics and tables as real servers have them after we made them."""

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType
from structlog.testing import capture_logs

from docker.local.class_archive import ClassArchives
from docker.local.parts import Step, parts_of
from docker.local.settings import LocalSettings
from jobs.settings import JobSettings
from jobs.submit import submit
from schemas.__main__ import main
from schemas.cassandra_session import connect
from schemas.create import create_tables, create_topics, delete_topics
from schemas.errors import ConfigurationError, UnavailableError
from schemas.kafka_admin import admin_client
from schemas.registry import registry_client
from schemas.settings import CassandraSettings, KafkaSettings, TopicSettings
from schemas.topics import Topics
from tests.support.reading import eventually

pytestmark = pytest.mark.servers
FIRST = Path(__file__).parent / "first"
"""The DDL of the first release, laid out as in ``schemas``."""


def layout(settings: TopicSettings) -> dict[str, tuple[int, str]]:
    """Topic -> number of partitions and retention in ms, as the broker says."""
    admin = admin_client(settings)
    names = list(Topics(settings.topic_prefix).event_types)
    known = admin.list_topics(timeout=30).topics
    configs = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
    retention = {
        resource.name: future.result(30)["retention.ms"].value for resource, future in configs.items()
    }
    return {name: (len(known[name].partitions), retention[name]) for name in names}


def test_topics_have_the_configured_partitions_and_retention(topics: TopicSettings) -> None:
    """Made again with another retention they get it, with more partitions those, too; none ever goes."""
    names = list(Topics(topics.topic_prefix).event_types)
    assert layout(topics) == dict.fromkeys(names, (2, "-1"))
    for wanted in (3, 1):
        changed = topics.model_copy(update={"topic_retention_hours": 168, "topic_partitions": wanted})
        assert create_topics(changed) == Topics(topics.topic_prefix)
        # A broker applies settings a moment after it has acknowledged them.
        eventually(
            lambda: layout(topics) == dict.fromkeys(names, (3, "604800000")),
            30,
            "they have their new retention",
        )


def test_orders_to_the_producer_are_kept_for_good(topics: TopicSettings) -> None:
    """Its topic has one partition, and the last record of each key stays: a stop outlives everything."""
    name = Topics(topics.topic_prefix).streams
    admin = admin_client(topics)
    assert len(admin.list_topics(timeout=30).topics[name].partitions) == 1
    [described] = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)]).values()
    config = described.result(30)
    assert (config["cleanup.policy"].value, config["retention.ms"].value) == ("compact", "-1")


def test_deleted_topics_are_gone_and_deleting_them_again_is_fine(topics: TopicSettings) -> None:
    """A replay's topics are made anew each time."""
    for _ in range(2):
        delete_topics(topics)
        assert (
            not set(Topics(topics.topic_prefix).names)
            & admin_client(topics).list_topics(timeout=30).topics.keys()
        )
    create_topics(topics.model_copy(update={"topic_partitions": 1}))
    assert {partitions for partitions, _ in layout(topics).values()} == {1}


def test_more_instances_than_partitions_are_refused(topics: TopicSettings, tmp_path: Path) -> None:
    """Before anything is brought up for them, by ``make run``, too: the user has to decide."""
    servers = topics.model_dump(include={"kafka_bootstrap_servers", "schema_registry_url", "topic_prefix"})
    environment = {name.upper(): value for name, value in servers.items()}
    local = LocalSettings(state_dir=tmp_path, lib_dir=tmp_path)
    asked = environment | {"PARALLELISM": "3"}
    step = parts_of(local, asked, tmp_path, ClassArchives(local.folders, tmp_path))["topics"]
    assert isinstance(step, Step)
    for act in (step.run, lambda: submit(JobSettings(**servers, parallelism=3), ["bars"])):
        with pytest.raises(ConfigurationError, match=r"PARALLELISM is 3, but .* has 2 partitions"):
            act()


def test_settings_that_the_broker_refuses_are_a_configuration_error(topics: TopicSettings) -> None:
    """More copies than brokers: the user has to decide."""
    refused = topics.model_copy(
        update={"topic_prefix": f"{topics.topic_prefix}-x", "topic_replication_factor": 100}
    )
    with pytest.raises(ConfigurationError, match=re.escape(f"{refused.topic_prefix}.*")):
        create_topics(refused)


def test_servers_that_are_not_there_are_named() -> None:
    """With the setting to look at."""
    with pytest.raises(UnavailableError, match="CASSANDRA_HOSTS"):
        create_tables(CassandraSettings(cassandra_port=1))


def test_tables_follow_the_ttl_settings(keyspace: CassandraSettings) -> None:
    """Made twice: the second time only the TTLs change, and rows stay."""
    create_tables(keyspace)
    session = connect(keyspace)
    try:
        session.execute("INSERT INTO symbols (part, symbol) VALUES (0, 'AAPL')")
        before = ttls(session, keyspace)
        create_tables(keyspace.model_copy(update={"silver_ttl_days": 2, "gold_hours_ttl_days": 700}))
        after = ttls(session, keyspace)
        rows = [tuple(row) for row in session.execute("SELECT part, symbol FROM symbols")]
    finally:
        session.cluster.shutdown()
    days = 86_400
    minutes = {f"trades_gold_{interval}": 90 * days for interval in ("1m", "5m", "15m")}
    hours = ("trades_gold_1h", "trades_gold_4h", "trades_gold_1d")
    weeks = dict.fromkeys(("trades_bronze", "quotes", "latest_quotes", "candle_versions"), 7 * days)
    alerts = dict.fromkeys(("alerts_by_symbol", "alerts_by_day", "gaps", "provider_candles"), 365 * days)
    fixed = {"symbols": 0, "api_keys": 0, "provider_buckets": 0, **weeks, **alerts, **minutes}
    silver = ("trades_silver", "trade_corrections")
    assert before == {**fixed, **dict.fromkeys(silver, 30 * days), **dict.fromkeys(hours, 365 * days)}
    assert after == {**fixed, **dict.fromkeys(silver, 2 * days), **dict.fromkeys(hours, 700 * days)}
    assert rows == [(0, "AAPL")]


def columns(session: Any, settings: CassandraSettings) -> dict[tuple[str, str], tuple[str, str]]:
    """(table, column) -> its type and what kind of column it is, as Cassandra says."""
    rows = session.execute(
        "SELECT table_name, column_name, type, kind FROM system_schema.columns WHERE keyspace_name = %s",
        (settings.cassandra_keyspace,),
    )
    return {(row.table_name, row.column_name): (row.type, row.kind) for row in rows}


def test_tables_of_the_first_release_get_what_they_lack(
    cassandra: CassandraSettings, keyspace: CassandraSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has the columns of a new one afterwards, with the same types, beside what is no longer used; rows
    stay, and rows of today go in."""
    with monkeypatch.context() as patch:
        patch.setattr("schemas.tables.files", lambda _: FIRST)
        create_tables(keyspace)
    session = connect(keyspace)
    try:
        assert ("trades_gold_1m", "indicators") not in columns(session, keyspace)
        session.execute(
            "INSERT INTO trades_silver (minute, shard, symbol, event_time, sequence, source, trade_id, price,"
            " updates_price) VALUES (0, 1, 'AAPL', 5, 0, 's', 't', 1.5, false)"
        )
        session.execute(
            "INSERT INTO trades_gold_1m (symbol, bucket, start, open) VALUES ('AAPL', '1970-01', 0, 1.5)"
        )
        create_tables(keyspace)
        unused = {("trades_silver", "updates_price"): ("boolean", "regular")}
        assert columns(session, keyspace) == columns(session, cassandra) | unused
        (silver,) = session.execute("SELECT * FROM trades_silver")
        assert (silver.trade_id, silver.price, silver.updates_price) == ("t", 1.5, False)
        assert (silver.updates_open_close, silver.updates_high_low, silver.correctable) == (None, None, None)
        session.execute(
            "INSERT INTO trades_gold_1m (symbol, bucket, start, open, late_trades, updated_at, quality,"
            " indicators) VALUES ('AAPL', '1970-01', 60000, 2.5, 3, 4, 0.5, {'sma_20': 1.25})"
        )
        read = "SELECT open, late_trades, updated_at, quality, indicators FROM trades_gold_1m"
        rows = [tuple(row) for row in session.execute(read)]
        assert rows == [(2.5, 3, 4, 0.5, {"sma_20": 1.25}), (1.5, None, None, None, None)]
    finally:
        session.cluster.shutdown()


def ttls(session: Any, settings: CassandraSettings) -> dict[str, int]:
    """Table -> TTL in seconds, as Cassandra says."""
    rows = session.execute(
        "SELECT table_name, default_time_to_live FROM system_schema.tables WHERE keyspace_name = %s",
        (settings.cassandra_keyspace,),
    )
    return {row.table_name: row.default_time_to_live for row in rows}


@pytest.fixture
def keyspace(cassandra: CassandraSettings) -> Iterator[CassandraSettings]:
    """Settings of a keyspace that does not exist yet; dropped afterwards."""
    settings = cassandra.model_copy(update={"cassandra_keyspace": f"test_{uuid.uuid4().hex[:8]}"})
    yield settings
    session = connect(settings, keyspace=False)
    session.execute(f"DROP KEYSPACE IF EXISTS {settings.cassandra_keyspace}", timeout=60)
    session.cluster.shutdown()


def test_a_keyspace_that_is_missing_says_how_to_make_it(keyspace: CassandraSettings) -> None:
    """Not to be taken for a server that does not answer."""
    with pytest.raises(ConfigurationError, match="make cassandra-init"):
        connect(keyspace)


def command(monkeypatch: pytest.MonkeyPatch, name: str, settings: KafkaSettings | CassandraSettings) -> int:
    """Exit code of ``python -m schemas <name>`` under these settings; logging stays as the tests have it."""
    for key, value in settings.model_dump().items():
        monkeypatch.setenv(key.upper(), str(value))
    monkeypatch.setattr("schemas.__main__.configure_logging", lambda *_: None)
    return main([name])


def test_the_commands_prepare_servers_that_run_elsewhere(
    topics: TopicSettings, keyspace: CassandraSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Topics with their registered schemas, and tables; both say so and end with 0."""
    with capture_logs() as logs:
        assert command(monkeypatch, "topics", topics) == 0
        assert command(monkeypatch, "cassandra-init", keyspace) == 0
    assert [line["event"] for line in logs] == ["topics_ready", "tables_ready"]
    names = Topics(topics.topic_prefix)
    subjects = {names.subject(name) for name in names.record_types}
    assert names.record_types.keys() == logs[0]["schema_ids"].keys()
    with registry_client(topics.schema_registry_url) as client:
        assert subjects <= set(client.get_subjects())
    connect(keyspace).cluster.shutdown()


def test_a_command_that_cannot_work_says_why_and_fails() -> None:
    """As a user calls it: exit code 1, and the last line names the setting to look at."""
    result = subprocess.run(
        [sys.executable, "-m", "schemas", "cassandra-init"],
        env={**os.environ, "CASSANDRA_PORT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "CASSANDRA_HOSTS" in result.stderr.splitlines()[-1]


def test_a_kafka_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the setting to look at."""
    monkeypatch.setattr("schemas.create.TIMEOUT_S", 0.2)
    nowhere = TopicSettings(kafka_bootstrap_servers="127.0.0.1:1")
    for act in (create_topics, delete_topics):
        with pytest.raises(UnavailableError, match="KAFKA_BOOTSTRAP_SERVERS"):
            act(nowhere)
