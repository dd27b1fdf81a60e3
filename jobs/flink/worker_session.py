"""The Cassandra session of a Flink worker process."""

import time
from functools import cache

import structlog
from cassandra.cluster import Session

from jobs.settings import JobSettings
from schemas.cassandra_session import connect
from schemas.errors import UnavailableError

log = structlog.get_logger()


@cache
def shared_session(settings: JobSettings) -> Session:
    """The one Cassandra session of this process; all functions of a slot run in it, and it ends with them.

    Waits for Cassandra as long as a write would; then raises UnavailableError.
    """
    give_up_at = time.monotonic() + settings.cassandra_retry_seconds
    while True:
        try:
            return connect(settings)
        except UnavailableError as error:
            if time.monotonic() > give_up_at:
                raise
            log.warning("cassandra_unavailable", error=str(error))
            time.sleep(1.0)
