"""What each Flink worker process needs before it runs functions of ours."""

import gc
import threading
from typing import Any

import structlog

from jobs.flink.columns import from_arrow, to_arrow


def prepare_worker() -> None:
    """To be called by every function when it is opened; several times is no harm."""
    _configure_logging()
    _spare_bundles()
    _pass_columns()
    _commit_at_once()
    _end_without_taskmanager()
    # Modules live as long as the process: looking through them for garbage holds up bundles for 0.1 s.
    gc.freeze()


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


def _pass_columns() -> None:
    """Hands vectorised functions their columns without pandas in between: see jobs.flink.columns."""
    from pyflink.fn_execution import coders  # noqa: PLC0415 -- Beam is among its imports

    coders.coder_impl.arrow_to_pandas = from_arrow
    coders.coder_impl.pandas_to_arrow = to_arrow


def _commit_at_once() -> None:
    """Lets the end of a bundle write what the bundle has changed, all of it and then wait once. PyFlink goes
    through all that it has ever cached, and waits for the TaskManager after each state of each key."""
    from apache_beam.runners.worker.sdk_worker import GrpcStateHandler, _Future  # noqa: PLC0415
    from pyflink.fn_execution.state_impl import RemoteKeyedStateBackend  # noqa: PLC0415

    if hasattr(RemoteKeyedStateBackend, "touched"):
        return
    sending = threading.local()
    put_aside = RemoteKeyedStateBackend.cache_internal_state

    def unawaited(send: Any) -> Any:
        def sent(handler: Any, *request: Any) -> Any:
            future = send(handler, *request)
            answers = getattr(sending, "answers", None)
            if answers is None:
                return future
            answers.append(future)
            return _Future.done()

        return sent

    def cache_internal_state(backend: Any, key: Any, state: Any) -> None:
        put_aside(backend, key, state)
        if backend.touched is None:
            backend.touched = {}
        internal = state._internal_state
        backend.touched[id(internal)] = internal

    def commit(backend: Any) -> None:
        touched, backend.touched = backend.touched or {}, None
        current = (state._internal_state for state in backend._all_states.values())
        answers: list[Any] = []
        sending.answers = answers
        try:
            for internal in (*touched.values(), *current):
                backend.commit_internal_state(internal)
        finally:
            sending.answers = None
        failed = next((response.error for future in answers if (response := future.get()).error), None)
        if failed:
            raise RuntimeError(failed)

    GrpcStateHandler.append_raw = unawaited(GrpcStateHandler.append_raw)
    GrpcStateHandler.clear = unawaited(GrpcStateHandler.clear)
    RemoteKeyedStateBackend.touched = None
    RemoteKeyedStateBackend.cache_internal_state = cache_internal_state
    RemoteKeyedStateBackend.commit = commit


def _end_without_taskmanager() -> None:
    """Lets the process end when its TaskManager has been killed. It would stay for ever, with its memory:
    Beam's log thread tells of the lost connection with ``print``, which PyFlink has made a call of the
    logger, whose lock the main thread holds while it waits for that thread. Nobody is left to be told."""
    from apache_beam.runners.worker import log_handler  # noqa: PLC0415 -- a second, see above

    log_handler.print = lambda *args, **kwargs: None  # noqa: ARG005 -- the form of print
