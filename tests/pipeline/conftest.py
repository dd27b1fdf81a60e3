"""A running API over a real Cassandra, shared by the tests of its endpoints; and where Flink's jars are."""

import os
from collections.abc import Iterator, Mapping

import httpx
import pytest

from schemas.cassandra_session import connect
from schemas.settings import CassandraSettings
from tests.support.api import Tables, eventually, running_api
from tests.support.servers import Servers


@pytest.fixture(scope="module")
def tables(cassandra: CassandraSettings) -> Iterator[Tables]:
    """Rows can be written; the session ends with the module."""
    session = connect(cassandra)
    yield Tables(session)
    session.cluster.shutdown()


@pytest.fixture(scope="module")
def api(cassandra: CassandraSettings) -> Iterator[httpx.Client]:
    """A client of a running API that has reached Cassandra."""
    with running_api(cassandra) as (client, _):
        eventually(lambda: client.get("/ready").json()["parts"]["cassandra"]["ready"])
        yield client


@pytest.fixture(scope="session")
def planner_environment(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """For a process that brings up a JVM with Flink in it."""
    if os.environ.get("TICKSTREAM_TEST_SERVERS") == "1":
        return os.environ
    request.getfixturevalue("kafka")  # with the first server the jars are there too
    servers: Servers = request.getfixturevalue("servers")
    return servers.environment
