"""Ports for the servers of tests."""

import random
import socket

from docker.local.settings import HOST

PORTS = range(20_000, 32_000)
"""Below those that the system gives to whoever asks for any: between the choice of a port and its use many
do."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        if _is_free(port):
            found.append(port)
    assert len(found) == count
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
