"""Servers for the tests that need real ones.

Nothing is started until a test asks for it, and then only what it asks for. The servers live in a folder of
their own on free ports, so a running ``make run`` is not disturbed. ``TICKSTREAM_TEST_SERVERS=1`` takes the
Kafka, registry, Cassandra and Flink at the addresses in the environment instead.
"""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import hypothesis
import psutil
import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from schemas.cassandra_session import connect
from schemas.create import create_tables, create_topics, delete_topics
from schemas.settings import CassandraSettings, KafkaSettings, TopicSettings
from tests.support.servers import Servers, Stage

# How long an example takes depends on what else the machine does: no test fails for that.
hypothesis.settings.register_profile("tickstream", deadline=None)
hypothesis.settings.load_profile("tickstream")


@dataclass(frozen=True, slots=True)
class KafkaServers:
    """Where the Kafka and the schema registry of this test session listen."""

    bootstrap_servers: str
    registry_url: str

    def settings(self, prefix: str, **changes: int) -> TopicSettings:
        """Settings of the topics under ``prefix`` on these servers."""
        return TopicSettings(
            kafka_bootstrap_servers=self.bootstrap_servers,
            schema_registry_url=self.registry_url,
            topic_prefix=prefix,
            **changes,
        )


ROOM_FOR_TWO_SYSTEMS = psutil.virtual_memory().available > 11 * 2**30
"""And for what tests them."""


class ServersTogether(LoadScopeScheduling):
    """Divides the tests among processes (`make test`): one has servers and all that may need them, in their
    order; what never does runs beside them, file by file, and so do the tests of a whole system, which are
    waiting most of the time, where there is memory for two. xdist's own groups do not work with pytest 9."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith(("tests/unit/", "tests/property/")):
            return file
        return "system" if file.startswith("tests/e2e/") and ROOM_FOR_TWO_SYSTEMS else "servers"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Where there is more than one process."""
    return ServersTogether(config, log)


def uses_running_servers() -> bool:
    return os.environ.get("TICKSTREAM_TEST_SERVERS") == "1"


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """What runs of our own servers; nothing does after the session."""
    stage = Stage()
    yield stage
    stage.clear()


@pytest.fixture(scope="session")
def servers(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    """Single servers of this session; ``need`` starts them."""
    servers = Servers(tmp_path_factory.mktemp("servers"))
    stage.enter(servers)
    return servers


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> KafkaServers:
    """Kafka and the schema registry; nothing else is started for it."""
    if uses_running_servers():
        running = KafkaSettings()
        return KafkaServers(running.kafka_bootstrap_servers, running.schema_registry_url)
    servers: Servers = request.getfixturevalue("servers")
    servers.need("kafka", "registry")
    return KafkaServers(servers.settings.kafka_address, servers.settings.registry_url)


@pytest.fixture(scope="session")
def cassandra(request: pytest.FixtureRequest) -> Iterator[CassandraSettings]:
    """Cassandra, with a keyspace for this session and all tables in it; servers that stay lose it again."""
    keyspace = f"test_{uuid.uuid4().hex[:8]}"
    if uses_running_servers():
        settings = CassandraSettings(cassandra_keyspace=keyspace)
    else:
        servers: Servers = request.getfixturevalue("servers")
        servers.need("cassandra")
        settings = CassandraSettings(
            cassandra_port=servers.settings.cassandra_port, cassandra_keyspace=keyspace
        )
    create_tables(settings)
    yield settings
    if uses_running_servers():
        session = connect(settings, keyspace=False)
        session.execute(f"DROP KEYSPACE {keyspace}", timeout=60)
        session.cluster.shutdown()


@pytest.fixture
def topics(kafka: KafkaServers) -> Iterator[TopicSettings]:
    """Settings whose topics exist, under a prefix that no other test has; deleted afterwards. Nothing in them
    expires: Kafka looks for that every five minutes, by the dates of records, which may be of any year."""
    settings = kafka.settings(f"test_{uuid.uuid4().hex[:8]}", topic_retention_hours=0)
    create_topics(settings)
    yield settings
    delete_topics(settings)


@pytest.fixture(scope="session")
def flink_environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of a process that finds Kafka, registry, Cassandra and a Flink cluster without jobs."""
    if uses_running_servers():
        return dict(os.environ)
    servers: Servers = request.getfixturevalue("servers")
    servers.need("kafka", "registry", "cassandra", "jobmanager", "taskmanager")
    return servers.environment


@pytest.fixture(scope="session")
def planner_environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of a process that brings up a JVM with Flink in it, and needs no server."""
    if uses_running_servers():
        return dict(os.environ)
    request.getfixturevalue("kafka")  # with the first server the jars are there too
    servers: Servers = request.getfixturevalue("servers")
    return servers.environment
