"""The bridge from the driver's threads to the event loop, over a session that answers when it is told."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from cassandra import OperationTimedOut
from structlog.testing import capture_logs

from api import database as module
from api.database import Database
from api.errors import StorageUnavailable
from api.metrics import ApiMetrics
from schemas.settings import CassandraSettings

Rows = list[tuple[Any, ...]]


class Response:
    """A query under way: the test answers it, page by page, from another thread as the driver does."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values
        self.has_more_pages = False
        self.asked_for_more = 0
        self._page: Callable[[Rows], None]
        self._error: Callable[[Exception], None]

    def add_callbacks(self, page: Callable[[Rows], None], error: Callable[[Exception], None]) -> None:
        self._page, self._error = page, error

    def start_fetching_next_page(self) -> None:
        self.asked_for_more += 1

    def answer(self, rows: Rows, *, more: bool = False) -> None:
        self.has_more_pages = more
        self._on_another_thread(lambda: self._page(rows))

    def fail(self, error: Exception) -> None:
        self._on_another_thread(lambda: self._error(error))

    @staticmethod
    def _on_another_thread(act: Callable[[], None]) -> None:
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()


class Session:
    """Keeps what was asked."""

    def __init__(self) -> None:
        self.cluster = self
        self.responses: list[Response] = []
        self.shut_down = False

    def prepare(self, text: str) -> str:
        return f"prepared {text}"

    def execute_async(self, statement: str, values: Sequence[Any], timeout: float) -> Response:
        assert (statement, timeout) == ("prepared SELECT 1", 0.2)
        self.responses.append(Response(values))
        return self.responses[-1]

    def shutdown(self) -> None:
        self.shut_down = True


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """What ``connect`` will give."""
    session = Session()
    monkeypatch.setattr(module, "connect", lambda _: session)
    return session


async def connected(max_queries: int = 2) -> Database:
    database = Database(
        CassandraSettings(), {"one": "SELECT 1"}, ApiMetrics(), timeout_seconds=0.2, max_queries=max_queries
    )
    await database.run()
    return database


async def under_way(session: Session, count: int) -> None:
    """Returns when so many queries have reached the session."""
    while len(session.responses) < count:
        await asyncio.sleep(0)


def test_all_pages_of_an_answer_come_together(session: Session) -> None:
    """In order, and the values were those of the query."""

    async def scenario() -> None:
        database = await connected()
        query = asyncio.create_task(database.query("one", ("AAPL", 5)))
        await under_way(session, 1)
        response = session.responses[0]
        response.answer([(1,), (2,)], more=True)
        response.answer([(3,)])
        assert await query == [(1,), (2,), (3,)]
        assert (response.values, response.asked_for_more) == (("AAPL", 5), 1)

    asyncio.run(scenario())


def test_more_queries_than_slots_wait_their_turn(session: Session) -> None:
    """The next one reaches Cassandra when one is done."""

    async def scenario() -> None:
        database = await connected(max_queries=2)
        queries = [asyncio.create_task(database.query("one", (i,))) for i in range(3)]
        await under_way(session, 2)
        for _ in range(20):
            await asyncio.sleep(0)
        assert [response.values for response in session.responses] == [(0,), (1,)]
        session.responses[0].answer([])
        await under_way(session, 3)
        assert session.responses[2].values == (2,)
        for response in session.responses[1:]:
            response.answer([("done",)])
        assert await asyncio.gather(*queries) == [[], [("done",)], [("done",)]]

    asyncio.run(scenario())


def test_no_query_waits_longer_than_its_time(session: Session) -> None:
    """Neither for an answer nor for a slot; a late answer harms nobody, and the slots are free again."""

    async def scenario() -> None:
        database = await connected(max_queries=1)
        results = await asyncio.gather(
            database.query("one", (0,)), database.query("one", (1,)), return_exceptions=True
        )
        assert [str(result) for result in results] == [
            "the storage does not answer (no answer within 0.2 s): try again in 2 s"
        ] * 2
        for response in session.responses:
            response.answer([("late",)])
        count = len(session.responses)
        query = asyncio.create_task(database.query("one", (2,)))
        await under_way(session, count + 1)
        session.responses[-1].answer([("in time",)])
        assert await query == [("in time",)]

    asyncio.run(scenario())


def test_an_outage_is_logged_once_and_its_end_too(session: Session) -> None:
    """Each failed request has its own line anyway."""

    async def scenario() -> None:
        database = await connected()
        for answer in (OperationTimedOut(), OperationTimedOut(), None, None):
            count = len(session.responses)
            query = asyncio.create_task(database.query("one"))
            await under_way(session, count + 1)
            if answer is None:
                session.responses[-1].answer([])
                await query
            else:
                session.responses[-1].fail(answer)
                with pytest.raises(StorageUnavailable, match="OperationTimedOut"):
                    await query

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert [line["event"] for line in logs] == [
        "cassandra_available",
        "cassandra_unavailable",
        "query_failed",  # each of them, with the id of its request
        "query_failed",
        "cassandra_available",
    ]


def test_closing_ends_the_session_and_what_is_asked_afterwards_is_refused(session: Session) -> None:
    """A late request gets the answer of an outage, not a fault."""

    async def scenario() -> None:
        database = await connected()
        database.close()
        assert session.shut_down
        with pytest.raises(StorageUnavailable, match="closed"):
            await database.query("one")

    asyncio.run(scenario())


def test_a_session_that_comes_after_the_end_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting takes seconds while Cassandra is away; the API may be stopped meanwhile."""

    async def scenario() -> None:
        session = Session()
        database = Database(CassandraSettings(), {}, ApiMetrics(), timeout_seconds=1, max_queries=1)

        def connect_slowly(_: CassandraSettings) -> Session:
            database.close()
            return session

        monkeypatch.setattr(module, "connect", connect_slowly)
        await database.run()
        assert session.shut_down

    asyncio.run(scenario())
