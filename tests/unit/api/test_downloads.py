"""Files: what is in them, where they end, and what happens when they cannot."""

import asyncio
import csv
import io
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from pyarrow import parquet
from structlog.testing import capture_logs

from api import downloads
from api.downloads import Downloads, asked_format, cut
from api.encoders import ROW_GROUP, Column, CsvEncoder, ParquetEncoder, Values
from api.errors import StorageUnavailable
from tests.support.api import a_trade
from tests.unit.api.fake_market import NOW, SYMBOL, Market, a_version, ask, at, final_bars, get

MINUTE_US = 60_000_000
BASE = at(2026, 3, 16, 12)
STARTS = [BASE + i * MINUTE_US for i in range(1300)]


async def pages(*sizes: int, ties: int = 1) -> AsyncGenerator[list[Values], None]:
    number = 0
    for size in sizes:
        yield [((number + i) // ties,) for i in range(size)]
        number += size


def kept(most: int, *sizes: int, ties: int | None = None) -> int:
    async def count() -> int:
        tie = None if ties is None else lambda row: row[0]
        return sum([len(page) async for page in cut(pages(*sizes, ties=ties or 1), most, tie)])

    return asyncio.run(count())


@pytest.mark.parametrize(
    ("most", "sizes", "ties", "rows"),
    [
        (5, (3, 3, 3), None, 5), (3, (3, 3), None, 3), (9, (3, 3), None, 6), (1, (0, 4), None, 1),
        (5, (3, 3, 3), 1, 5), (3, (3, 3), 1, 3), (4, (3, 3, 3), 3, 6), (3, (3, 3), 2, 4),
        (2, (1, 1, 1, 0, 1, 1), 5, 5), (9, (4, 4), 3, 8), (6, (3, 3), 6, 6),
    ],
)  # fmt: skip
def test_rows_are_cut_at_the_limit_but_never_between_those_of_one_time(
    most: int, sizes: tuple[int, ...], ties: int | None, rows: int
) -> None:
    """Within and across pages; who goes on before the last time gets the rest."""
    assert kept(most, *sizes, ties=ties) == rows


def read_parquet(content: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.ParquetFile(io.BytesIO(content)).read(use_threads=False).to_pylist()
    return rows


def test_a_parquet_file_has_row_groups_that_were_sent_as_they_came() -> None:
    """Nothing is held back but the rows of one group; an empty file has its columns."""
    columns = (Column("n", "count"), Column("f", "number"))
    encoder = ParquetEncoder(columns)
    rows: list[Values] = [(i, i / 7) for i in range(2 * ROW_GROUP + 5)]
    parts = [encoder.add(rows[at : at + 500]) for at in range(0, len(rows), 500)]
    assert [bool(part) for part in parts] == [(i + 1) % 20 == 0 or i == 0 for i in range(len(parts))]
    content = b"".join([*parts, encoder.end()])
    file = parquet.ParquetFile(io.BytesIO(content))
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [
        ROW_GROUP, ROW_GROUP, 5,
    ]  # fmt: skip
    assert read_parquet(content) == [{"n": n, "f": f} for n, f in rows]
    empty = parquet.ParquetFile(io.BytesIO(ParquetEncoder(columns).end()))
    assert (empty.schema_arrow.names, empty.metadata.num_rows) == (["n", "f"], 0)


def test_csv_writes_unknown_as_nothing_and_quotes_what_has_to_be() -> None:
    """Flags as JSON does, lists with semicolons, and numbers that lead back to themselves."""
    columns = (Column("a", "text"), Column("b", "texts"), Column("c", "flag"), Column("d", "number"))
    encoder = CsvEncoder(columns)
    text = encoder.add([('x,"y"', ["@", "I"], True, 0.1), ("", [], None, None)]) + encoder.end()
    assert text == b'a,b,c,d\r\n"x,""y""",@;I,true,0.1\r\n,,,\r\n'


def from_json(value: Any) -> str:
    """A value of JSON as CSV writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ";".join(value) if isinstance(value, list) else str(value)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"/candles/{SYMBOL}?interval=1m", "candles"),
        (f"/candles/{SYMBOL}?interval=1min&fill=forward", "candles"),
        (f"/trades/{SYMBOL}?from=2026-03-16", "trades"),
    ],
)
def test_a_whole_range_as_csv_and_parquet_is_what_all_pages_of_json_hold(path: str, name: str) -> None:
    """Each value, newest first, over more than one page of each."""
    holes = [start for number, start in enumerate(STARTS) if number % 7]
    trades = [a_trade(SYMBOL, start + i, 3 * n + i) for n, start in enumerate(holes[:300]) for i in range(3)]
    market = Market(final_bars(*holes), trades)

    async def all_of_it(client: httpx.AsyncClient) -> tuple[list[dict[str, Any]], bytes, bytes]:
        rows: list[dict[str, Any]] = []
        cursor = {}
        while True:
            body = (await client.get(path, params={**httpx.URL(path).params, "limit": 400, **cursor})).json()
            rows += body[name]
            if body["next_cursor"] is None:
                break
            cursor = {"cursor": body["next_cursor"]}
        files = [(await client.get(f"{path}&format={kind}")).content for kind in ("csv", "parquet")]
        return rows, files[0], files[1]

    rows, as_csv, as_parquet = ask(market, all_of_it)
    assert len(rows) > 700
    lines = list(csv.DictReader(io.StringIO(as_csv.decode())))
    assert lines == [{key: from_json(value) for key, value in row.items()} for row in rows]
    found = [
        {
            key: value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value
            for key, value in row.items()
        }
        for row in read_parquet(as_parquet)
    ]
    assert found == rows


def test_indicators_have_a_column_each() -> None:
    """Those that are named, else those of the newest bars; one that a bar lacks is empty."""
    market = Market([a_version(BASE, 3, NOW), a_version(BASE + MINUTE_US, 5, NOW)])
    lines = get(market, f"/indicators/{SYMBOL}?format=csv").text.splitlines()
    assert lines == [
        "symbol,interval,start,end,final,version,sma_20",
        "A,1m,2026-03-16T12:01:00Z,2026-03-16T12:02:00Z,true,5,5.0",
        "A,1m,2026-03-16T12:00:00Z,2026-03-16T12:01:00Z,true,3,3.0",
    ]
    lines = get(market, f"/indicators/{SYMBOL}?format=csv&names=rsi_14,sma_20&limit=1").text.splitlines()
    assert [line.split(",")[6:] for line in lines] == [["rsi_14", "sma_20"], ["", "5.0"]]
    header, _ = get(market, f"/candles/{SYMBOL}?format=csv&include=indicators&limit=1").text.splitlines()
    assert header.split(",")[-2:] == ["observed", "sma_20"]


def test_a_file_says_what_it_is_and_may_be_asked_for_by_accept() -> None:
    """Its type, its name without what no file name takes; nobody keeps it."""
    market = Market(final_bars(BASE))
    response = get(market, f"/candles/{SYMBOL}?interval=1m", accept="text/csv, */*;q=0.1")
    assert response.headers["Content-Type"].startswith("text/csv")
    assert response.headers["Content-Disposition"] == 'attachment; filename="A_1m_candles.csv"'
    assert response.headers["Cache-Control"] == "no-store"
    response = get(market, f"/trades/{SYMBOL}", accept="Application/Vnd.Apache.Parquet")
    assert response.headers["Content-Type"] == "application/vnd.apache.parquet"
    assert response.content.startswith(b"PAR1")
    for accept in ("*/*", "", "text/html,application/json"):
        response = get(market, f"/candles/{SYMBOL}", accept=accept)
        assert response.headers["Content-Type"] == "application/json"
    assert get(market, f"/candles/{SYMBOL}?format=json", accept="text/csv").json()["symbol"] == SYMBOL


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        (None, "json"), ("", "json"), ("*/*", "json"), ("text/html", "json"), ("text/csv", "csv"),
        ("application/json;q=0.1, text/csv;q=0.9", "csv"), ("text/csv;q=0, application/json", "json"),
        ("text/csv;q=0", "json"), ("text/csv;q=0.5, application/json;q=0.5", "csv"),
        ("application/json, text/csv", "json"), ("text/csv; header=present; Q=0.2, */*;q=0.1", "csv"),
        ("text/csv;q=high", "csv"), ("application/vnd.apache.parquet;q=0.3,text/csv;q=0.2", "parquet"),
    ],
)  # fmt: skip
def test_accept_says_what_is_liked_best(accept: str | None, found: str) -> None:
    """What has a q of 0 is not wanted; a q that is no number is none."""
    assert asked_format(None, accept) == found
    assert asked_format("csv", accept) == "csv"


def test_a_file_ends_after_as_many_rows_as_the_settings_allow() -> None:
    """The newest; and with a limit, after that many."""
    market = Market(final_bars(*STARTS))
    path = f"/candles/{SYMBOL}?format=csv"
    for most, query, rows in ((700, "", 700), (700, "&limit=3", 3), (2, "&limit=3", 3)):
        response = ask(market, lambda client, q=query: client.get(path + q), Downloads(2, most))
        assert len(response.text.splitlines()) == rows + 1
        assert response.headers["X-Row-Limit"] == str(rows)


def test_what_fails_before_the_first_byte_is_an_ordinary_error() -> None:
    """503 with its code, not a file."""
    market = Market(final_bars(*STARTS))
    market.broken_after = 0
    response = get(market, f"/candles/{SYMBOL}?format=csv")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "storage_unavailable")
    response = get(market, f"/candles/{SYMBOL}?format=csv&as_of=2026-01-01")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "as_of_too_old")


def test_what_fails_later_is_no_whole_answer_and_gives_its_place_back() -> None:
    """The server never says that the body has ended; the next download may run."""
    market = Market(final_bars(*STARTS))
    market.broken_after = 2
    running = Downloads(most=1, most_rows=100_000)
    path = f"/candles/{SYMBOL}?format=csv"
    with capture_logs(), pytest.raises((StorageUnavailable, RuntimeError)):
        ask(market, lambda client: client.get(path), running)
    market.broken_after = None
    assert ask(market, lambda client: client.get(path), running).status_code == 200


def test_a_client_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place is free again."""
    monkeypatch.setattr(downloads, "SEND_SECONDS", 0.05)
    running = Downloads(most=1, most_rows=10)

    async def never(*_: Any) -> None:
        await asyncio.sleep(60)

    async def run() -> None:
        response = await running.answer("x", "csv", lambda: [Column("n", "count")], pages(3), 0, None)
        scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
        with pytest.raises(TimeoutError):
            await response(scope, never, never)  # type: ignore[arg-type]
        again = await running.answer("x", "csv", lambda: [Column("n", "count")], pages(3), 0, None)
        assert again.status_code == 200

    asyncio.run(run())


def test_more_downloads_than_may_run_are_refused_for_a_while() -> None:
    """503 with its own code and Retry-After."""
    response = ask(
        Market(final_bars(BASE)), lambda client: client.get(f"/candles/{SYMBOL}?format=csv"), Downloads(0, 10)
    )
    assert (response.status_code, response.json()["error"]["code"]) == (503, "too_many_downloads")
    assert response.headers["Retry-After"] == "5"
