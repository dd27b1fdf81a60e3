"""Cassandra as the event loop sees it: connected in the background, queried without blocking."""

import asyncio
import contextlib
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import structlog
from cassandra import DriverException, InvalidRequest
from cassandra.cluster import NoHostAvailable, ResponseFuture, Session

from api.errors import StorageUnavailable
from api.metrics import ApiMetrics
from schemas.cassandra_session import connect
from schemas.errors import ConfigurationError, TickstreamError
from schemas.settings import CassandraSettings
from schemas.tracing import Tracing

log = structlog.get_logger()
RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
Row = tuple[Any, ...]
STORAGE_ERRORS = (DriverException, NoHostAvailable)


class Database:
    """Prepared statements by name over one session.

    ``run`` connects, and goes on trying for as long as there is no Cassandra; afterwards the driver itself
    reconnects. At most ``max_queries`` run at a time; more wait their turn, each no longer than
    ``timeout_seconds``, and are then refused.
    """

    def __init__(
        self,
        settings: CassandraSettings,
        statements: Mapping[str, str],
        metrics: ApiMetrics,
        *,
        timeout_seconds: float,
        max_queries: int,
    ) -> None:
        self.tracing: Tracing | None = None
        """Set where it is on: then the queries of traced requests have spans."""
        self._settings = settings
        self._texts = statements
        self._metrics = metrics
        self._timeout = timeout_seconds
        self._slots = asyncio.Semaphore(max_queries)
        self._session: Session | None = None
        self._prepared: dict[str, Any] = {}
        self._problem = "not connected yet"
        self._available: bool | None = None  # None: not tried yet
        self._closing = threading.Lock()
        self._closed = False

    async def run(self) -> None:
        """Returns when connected or closed; never raises but for cancellation."""
        attempt = 0
        while True:
            try:
                await asyncio.to_thread(self._open)
            except TickstreamError as error:
                self._fails(str(error))
            except Exception as error:  # whatever the driver raises half-way through a start of the server
                self._fails(repr(error))
            else:
                if self._session is not None:
                    self._works()
                return
            await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
            attempt += 1

    async def query(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a prepared statement, in the table's order; raises StorageUnavailable."""
        span: AbstractContextManager[None] = nullcontext()
        if self.tracing is not None:
            described = {"db.system.name": "cassandra", "db.operation.name": statement}
            span = self.tracing.inside(f"cassandra {statement}", described)
        try:
            with span:
                return await self._query(statement, values)
        except StorageUnavailable as error:
            log.info("query_failed", statement=statement, error=str(error))  # with the id of the request
            raise

    async def _query(self, statement: str, values: Sequence[Any]) -> list[Row]:
        outcome = "failed"
        with (
            self._metrics.query_seconds.labels(statement).time(),
            self._metrics.queries_in_flight.track_inprogress(),
        ):
            try:
                async with asyncio.timeout(self._timeout), self._slots:
                    rows = await self._execute(statement, values)
                outcome = "ok"
            except TimeoutError:
                raise self._fails(f"no answer within {self._timeout:g} s") from None
            except STORAGE_ERRORS as error:
                raise self._fails(_short(error)) from error
            finally:
                self._metrics.queries.labels(statement, outcome).inc()
        self._works()
        return rows

    def close(self) -> None:
        """Ends the session; blocks shortly."""
        with self._closing:
            self._closed = True
            session, self._session = self._session, None
            self._problem = "closed"
        if session is not None:
            session.cluster.shutdown()

    def _open(self) -> None:
        """Connects and prepares, on a thread of its own."""
        session = connect(self._settings)
        try:
            prepared = {name: session.prepare(text) for name, text in self._texts.items()}
        except InvalidRequest as error:
            session.cluster.shutdown()
            raise ConfigurationError(
                f"keyspace {self._settings.cassandra_keyspace} lacks tables ({error}):"
                " run `make cassandra-init`"
            ) from error
        except BaseException:
            session.cluster.shutdown()
            raise
        with self._closing:
            if self._closed:
                session.cluster.shutdown()
                return
            self._prepared = prepared
            self._session = session

    async def _execute(self, statement: str, values: Sequence[Any]) -> list[Row]:
        if self._session is None:
            raise StorageUnavailable(self._problem)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Row]] = loop.create_future()
        response: ResponseFuture = self._session.execute_async(
            self._prepared[statement], values, timeout=self._timeout
        )
        rows: list[Row] = []

        def finish(error: BaseException | None) -> None:
            if done.done():  # cancelled: the client went away, or time was up
                return
            if error is None:
                done.set_result(rows)
            else:
                done.set_exception(error)

        def hand_over(error: BaseException | None = None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it who asked
                loop.call_soon_threadsafe(finish, error)

        def page(part: list[Row] | None) -> None:
            """Called on the driver's thread, once for each page."""
            rows.extend(part or ())
            if response.has_more_pages:
                response.start_fetching_next_page()
            else:
                hand_over()

        response.add_callbacks(page, hand_over)
        return await done

    def _works(self) -> None:
        if not self._available:
            self._available = True
            log.info("cassandra_available")

    def _fails(self, problem: str) -> StorageUnavailable:
        """Logs only the first failure of an outage: each failed request has its own line anyway."""
        if self._available is not False:
            self._available = False
            log.warning("cassandra_unavailable", error=problem)
        self._problem = problem
        return StorageUnavailable(problem)


def _short(error: Exception) -> str:
    """An error of the driver in one line without the addresses and frames that its text carries."""
    return "no node can be reached" if isinstance(error, NoHostAvailable) else type(error).__name__
