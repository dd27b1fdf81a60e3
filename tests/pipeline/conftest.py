"""A running API over a real Cassandra, shared by the tests of its endpoints."""

from collections.abc import Iterator

import httpx
import pytest

from schemas.cassandra_session import connect
from schemas.settings import CassandraSettings
from tests.support.api import Tables, eventually, running_api


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
