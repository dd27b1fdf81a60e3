"""What each Flink worker process needs before it runs functions of ours."""

from typing import Any

import structlog


def prepare_worker() -> None:
    """To be called by every function when it is opened; several times is no harm."""
    _configure_logging()
    _spare_bundles()
    _end_without_taskmanager()


def _configure_logging() -> None:
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


def _spare_bundles() -> None:
    """Leaves out what Beam's harness does in every bundle to measure how long each step takes, which Flink
    does not ask for: a new thread that looks every few milliseconds, whose next look the end of the bundle
    waits for, and a report of it all. A bundle of ours is but some milliseconds of records."""
    # A second of imports, which only a worker has made already.
    from apache_beam.runners.worker.bundle_processor import BundleProcessor  # noqa: PLC0415
    from apache_beam.runners.worker.statesampler import StateSampler, set_current_tracker  # noqa: PLC0415

    if hasattr(StateSampler, "is_sampled"):
        return
    stop_sampling = StateSampler.stop

    def start(sampler: Any) -> None:
        sampler.is_sampled = False
        set_current_tracker(sampler)
        sampler.started = True

    def stop(sampler: Any) -> None:
        if sampler.is_sampled:  # the bundle in which this function is called had begun before
            stop_sampling(sampler)
        else:
            set_current_tracker(None)
            sampler.finished = True

    StateSampler.is_sampled = True
    StateSampler.start = start
    StateSampler.stop = stop
    BundleProcessor.monitoring_infos = lambda self: []  # noqa: ARG005 -- the method's own form


def _end_without_taskmanager() -> None:
    """Lets the process end when its TaskManager has been killed. It would stay for ever, with its memory:
    Beam's log thread tells of the lost connection with ``print``, which PyFlink has made a call of the
    logger, whose lock the main thread holds while it waits for that thread. Nobody is left to be told."""
    from apache_beam.runners.worker import log_handler  # noqa: PLC0415 -- a second, see above

    log_handler.print = lambda *args, **kwargs: None  # noqa: ARG005 -- the form of print
