"""How sessions are opened; what becomes of one that cannot be, the tests with servers show."""

import socket
from typing import Any

import pytest

from schemas import cassandra_session
from schemas.errors import UnavailableError
from schemas.settings import CassandraSettings


def test_small_requests_are_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP_NODELAY: without it each waits some 40 ms for the acknowledgement of the one before."""
    options: dict[str, Any] = {}

    class Cluster:
        def __init__(self, hosts: list[str], **given: Any) -> None:
            options.update(given, hosts=hosts)

        def connect(self) -> None:
            raise cassandra_session.NoHostAvailable("nobody", {})

        def shutdown(self) -> None:
            options["shut"] = True

    monkeypatch.setattr(cassandra_session, "Cluster", Cluster)
    with pytest.raises(UnavailableError):
        cassandra_session.connect(CassandraSettings())
    assert options["sockopts"] == [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    assert options["shut"]
