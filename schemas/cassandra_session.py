"""Opening a Cassandra session, the same way in every part."""

import socket

from cassandra import ConsistencyLevel, DriverException, InvalidRequest
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    Session,
)
from cassandra.policies import DCAwareRoundRobinPolicy, ExponentialReconnectionPolicy, TokenAwarePolicy

from schemas.errors import ConfigurationError, UnavailableError
from schemas.settings import CassandraSettings

PROTOCOL_VERSION = 5
REQUEST_TIMEOUT_S = 10.0


def connect(settings: CassandraSettings, keyspace: bool = True) -> Session:
    """A session on our keyspace, or on none; close it with ``session.cluster.shutdown()``.

    Never open one before a fork. Raises UnavailableError where no node answers, ConfigurationError where the
    keyspace has not been created or the login is refused.
    """
    policy = TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=settings.cassandra_datacenter))
    profile = ExecutionProfile(
        load_balancing_policy=policy,
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=REQUEST_TIMEOUT_S,
    )
    auth = (
        PlainTextAuthProvider(settings.cassandra_username, settings.cassandra_password)
        if settings.cassandra_username
        else None
    )
    cluster = Cluster(
        [host.strip() for host in settings.cassandra_hosts.split(",")],
        port=settings.cassandra_port,
        # By itself the driver waits two seconds for the answers that a session begins with, which a node that
        # has just come up may take longer for.
        connect_timeout=REQUEST_TIMEOUT_S,
        control_connection_timeout=REQUEST_TIMEOUT_S,
        protocol_version=PROTOCOL_VERSION,
        # Without it every small pipelined bundle waits 40 ms for a delayed acknowledgement.
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        auth_provider=auth,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        reconnection_policy=ExponentialReconnectionPolicy(base_delay=0.5, max_delay=10.0),
    )
    try:
        session = cluster.connect()
        if keyspace:
            # Given to connect(), a keyspace that is missing looks like a server that does not answer.
            session.set_keyspace(settings.cassandra_keyspace)
    except InvalidRequest as error:
        cluster.shutdown()
        raise ConfigurationError(
            f"keyspace {settings.cassandra_keyspace} cannot be used ({error}): run `make cassandra-init`,"
            f" or set CASSANDRA_KEYSPACE"
        ) from error
    except (NoHostAvailable, DriverException) as error:
        cluster.shutdown()
        if "AuthenticationFailed" in repr(getattr(error, "errors", None)):
            raise ConfigurationError(
                f"Cassandra refuses the login ({error}): check CASSANDRA_USERNAME and CASSANDRA_PASSWORD"
            ) from error
        raise UnavailableError(
            f"Cassandra does not answer at {settings.cassandra_hosts}:{settings.cassandra_port}"
            f" (datacenter {settings.cassandra_datacenter}): start it, or set CASSANDRA_HOSTS, CASSANDRA_PORT"
            f" and CASSANDRA_DATACENTER ({error})"
        ) from error
    return session
