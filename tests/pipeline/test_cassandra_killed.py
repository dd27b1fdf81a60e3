"""What Cassandra has acknowledged stays stored, even if it is killed before its commit log has a mark."""

import time
from collections.abc import Mapping

import psutil
import pytest

from docker.local.supervisor import Supervisor
from schemas.cassandra_session import connect
from schemas.errors import UnavailableError
from schemas.events import Trade
from schemas.settings import CassandraSettings
from tests.conftest import uses_running_servers
from tests.pipeline.test_cassandra_writer import silver, some_trades, trade_rows
from tests.support.java_writer import java_writer
from tests.support.reading import eventually, session_of
from tests.support.servers import Servers

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(uses_running_servers(), reason="kills Cassandra, which is somebody else's"),
]
WRITING_S = 1.0
BACK_SECONDS = 180
PATIENCE_SECONDS = 30


def test_nothing_acknowledged_is_lost_with_the_process(
    cassandra: CassandraSettings, servers: Servers, planner_environment: Mapping[str, str]
) -> None:
    """Without another write: the next one may never come, and a checkpoint may cover what is lost."""
    trades = some_trades(100_000, "KILLED")
    victim = psutil.Process(Supervisor(servers.settings.folders).processes()["cassandra"].pid)
    written: list[Trade] = []
    with java_writer(planner_environment) as writer:
        writer.connect(cassandra, BACK_SECONDS)
        until = time.monotonic() + WRITING_S
        for trade in trades:
            writer.write(trade_rows([trade], len(written)))
            written.append(trade)
            if time.monotonic() > until:
                victim.kill()
                break

        eventually(lambda: not victim.is_running(), BACK_SECONDS, "Cassandra is gone")
        eventually(lambda: answers(cassandra), BACK_SECONDS, "Cassandra is back")
        with session_of(cassandra) as another:
            eventually(
                lambda: silver(another, "KILLED") == written,
                PATIENCE_SECONDS,
                f"{len(written)} trades are stored",
            )


def answers(cassandra: CassandraSettings) -> bool:
    """Whether a session can be opened."""
    try:
        connect(cassandra).cluster.shutdown()
    except UnavailableError:
        return False
    return True
