"""The INSERTs of the store job, held against the tables, and rows as the writer takes them."""

import pytest

from jobs.sinks.inserts import BRONZE, GOLD, INSERTS, SYMBOL, Insert
from tests.unit.jobs.row_reading import tables


@pytest.mark.parametrize("insert", INSERTS, ids=lambda insert: insert.table)
def test_an_insert_begins_with_its_tables_key(insert: Insert) -> None:
    """The partition key first, then the rest of it; every column is one of the table's, none comes twice."""
    table = tables()[insert.table]
    assert insert.columns[: insert.partition] == table.partition
    assert insert.columns[: insert.key] == table.key
    assert set(insert.columns) <= set(table.types)
    assert len(set(insert.columns)) == len(insert.columns)


def test_a_number_is_the_place_of_its_insert() -> None:
    """By it the writer, in another language, knows which is meant."""
    assert [insert.number for insert in INSERTS] == list(range(len(INSERTS)))


def test_every_column_of_a_table_is_written() -> None:
    """Or what a row had before would show through; but for the list of symbols and what readers of API keys
    write themselves."""
    columns: dict[str, set[str]] = {}
    for insert in INSERTS:
        columns.setdefault(insert.table, set()).update(insert.columns)
    expected = {name: set(table.types) for name, table in tables().items() if name != "api_keys"}
    assert columns == expected


def test_a_statement_has_a_marker_for_each_value() -> None:
    """The timestamp is one more, after those of the columns."""
    assert SYMBOL.statement == "INSERT INTO symbols (part, symbol) VALUES (?, ?)"
    assert GOLD["1m"].statement.endswith("?) USING TIMESTAMP ?")
    assert all(insert.statement.count("?") == insert.values for insert in INSERTS)


def test_a_row_is_its_inserts_number_and_each_value_after_its_length() -> None:
    """A null has the length -1, and nothing after it."""
    row = SYMBOL.row([b"\0\0\0\7", None])
    assert row == SYMBOL.number.to_bytes(2, "big") + b"\0\0\0\4\0\0\0\7\xff\xff\xff\xff"
    assert BRONZE.head == BRONZE.number.to_bytes(2, "big")
