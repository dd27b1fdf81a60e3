"""Logs of a Flink worker process."""

import structlog


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
