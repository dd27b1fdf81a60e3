"""What a function needs inside a Flink worker process."""

import time
from functools import cache

import structlog
from cassandra.cluster import Session

from jobs.settings import JobSettings
from schemas.cassandra_session import connect
from schemas.errors import UnavailableError

log = structlog.get_logger()


def configure_worker_logging() -> None:
    """Structured lines through the standard library's loggers, whose handler PyFlink has set up already: it
    brings them to the TaskManager's log."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


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
