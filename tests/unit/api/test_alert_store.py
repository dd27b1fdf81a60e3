"""Which rows and partitions of alerts are read, over tables in memory; real ones are in tests/pipeline."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from api.alert_store import (
    ALL,
    BY_DAY,
    BY_SYMBOL,
    MAX_PARTITIONS,
    MAX_ROWS,
    ROWS_AT_ONCE,
    AlertFilter,
    AlertPlace,
    AlertStore,
    _partitions,
)
from api.times import to_datetime, to_micros
from schemas.intervals import INTERVALS

DAY_US = INTERVALS["1d"]
Key = tuple[int, str]


def at(*moment: int) -> int:
    return to_micros(datetime(*moment, tzinfo=UTC))


END = at(2026, 3, 15, 12)


class Tables:
    """Answers the store's statements from (event time, id) of alerts in memory, and keeps what was asked."""

    def __init__(self, alerts: list[Key], severity: str = "low") -> None:
        self._alerts = sorted(alerts, key=lambda alert: (-alert[0], alert[1]))
        self._severity = severity
        self.asked: list[tuple[str, int]] = []

    async def query(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        table, _, kind = statement.replace("alerts_by_", "").partition("_")
        length = {"symbol": 7, "day": 10}[table]
        values = values[1:] if table == "symbol" else values
        if kind == "held":
            held = {self._period(alert, length) for alert in self._alerts}
            self.asked.append((statement, len(values[0])))
            return [(period,) for period in sorted(values[0]) if period in held]
        period, *bounds, limit = values
        found = [
            alert
            for alert in self._alerts
            if self._period(alert, length) == period
            and (
                alert[0] == bounds[0] and alert[1] > bounds[1]
                if kind == "tied"
                else bounds[0] <= alert[0] < bounds[1]
            )
        ][:limit]
        self.asked.append((statement, len(found)))
        return [self._row(alert) for alert in found]

    @staticmethod
    def _period(alert: Key, length: int) -> str:
        return to_datetime(alert[0]).isoformat()[:length]

    def _row(self, alert: Key) -> tuple[Any, ...]:
        event_time, alert_id = alert
        bar = (None, None, None)
        return alert_id, event_time, "A", 0, "t", self._severity, "raised", event_time, *bar, 1.0, 0.5, "m"


def page(
    tables: Tables, start: int, place: AlertPlace, limit: int, *, only: AlertFilter = ALL,
    symbol: str | None = None,
) -> tuple[list[Key], AlertPlace | None]:  # fmt: skip
    store = AlertStore(tables, 365)  # type: ignore[arg-type]
    found, more = asyncio.run(store.alerts(symbol, only, start, place, limit))
    return [(to_micros(alert.event_time), alert.alert_id) for alert in found], more


def test_partitions_are_walked_from_the_newest_to_the_oldest() -> None:
    """Days and months in which the range lies, none for an empty one."""
    start, end = at(2023, 12, 30, 23), at(2024, 1, 2)
    days = [partition.period for partition in _partitions(BY_DAY, start, AlertPlace(end))]
    assert days == ["2024-01-01", "2023-12-31", "2023-12-30"]
    months = list(_partitions(BY_SYMBOL, start, AlertPlace(end)))
    assert months == [("2024-01", at(2024, 1, 1)), ("2023-12", at(2023, 12, 1))]
    assert list(_partitions(BY_DAY, end, AlertPlace(end))) == []


def test_a_place_at_the_start_of_a_day_still_has_the_rest_of_its_microsecond() -> None:
    """With an id there may be more in the same partition, without one there is not."""
    midnight = at(2024, 1, 2)
    for place, periods in ((AlertPlace(midnight, "a"), ["2024-01-02"]), (AlertPlace(midnight), [])):
        assert [partition.period for partition in _partitions(BY_DAY, midnight, place)] == periods


@pytest.mark.parametrize("symbol", [None, "A"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_join_without_gap_or_overlap(symbol: str | None, limit: int) -> None:
    """Whatever shares a microsecond, and wherever days and months end."""
    times = [END - 1, END - 2, at(2026, 3, 15), at(2026, 3, 15) - 1, at(2026, 3, 1), at(2026, 2, 1) - 1]
    alerts = [(time, f"id{number}") for time in times for number in range(3)]
    tables = Tables(alerts)
    seen: list[Key] = []
    place: AlertPlace | None = AlertPlace(END)
    while place is not None:
        found, place = page(tables, 0, place, limit, symbol=symbol)
        assert len(found) <= limit
        seen += found
    assert seen == alerts


def test_the_range_holds_its_start_and_not_its_end() -> None:
    """To the microsecond."""
    tables = Tables([(END - number, "a") for number in range(5)])
    assert page(tables, END - 3, AlertPlace(END), 10) == ([(END - n, "a") for n in (1, 2, 3)], None)


def test_a_calm_year_is_a_question_for_36_days_at_a_time() -> None:
    """No partition without alerts is read."""
    tables = Tables([(END - 300 * DAY_US, "a")])
    store = AlertStore(tables, 365)  # type: ignore[arg-type]
    assert page(tables, store.oldest(END), AlertPlace(END), 100) == ([(END - 300 * DAY_US, "a")], None)
    read = [statement for statement, _ in tables.asked if not statement.endswith("held")]
    assert read == ["alerts_by_day"]
    assert [count for statement, count in tables.asked if statement.endswith("held")] == [36] * 10 + [6]


def test_a_page_ends_where_a_filter_has_left_out_too_many_and_the_cursor_goes_on() -> None:
    """One request reads a bounded number of rows, and the next ones get to the end."""
    count = MAX_ROWS + 700
    tables = Tables([(END - 1 - number // 4, f"id{number:05}") for number in range(count)])
    only = AlertFilter(severities=frozenset({"high"}))
    place: AlertPlace | None = AlertPlace(END)
    read = []
    while place is not None:
        tables.asked.clear()
        found, place = page(tables, END - DAY_US, place, 5, only=only)
        assert found == []
        rows = [rows for statement, rows in tables.asked if not statement.endswith("held")]
        assert sum(rows) < MAX_ROWS + ROWS_AT_ONCE
        read.append(sum(rows))
    assert sum(read) == count
    assert len(read) == 2


def test_a_page_ends_where_too_many_days_hold_nothing_and_the_cursor_goes_on() -> None:
    """A range of decades is walked over several pages."""
    oldest = (END - (MAX_PARTITIONS + 100) * DAY_US, "a")
    tables = Tables([oldest])
    place: AlertPlace | None = AlertPlace(END)
    pages = []
    while place is not None:
        found, place = page(tables, 0, place, 5)
        pages.append(found)
        if oldest in found:
            break
    assert pages == [[], [oldest]]


def test_a_filter_takes_what_every_part_of_it_takes() -> None:
    """An empty part takes all."""
    tables = Tables([(END - 1, "a")], severity="high")
    for only, expected in (
        (AlertFilter(types=frozenset({"t"})), 1),
        (AlertFilter(types=frozenset({"u"})), 0),
        (AlertFilter(severities=frozenset({"high", "low"}), statuses=frozenset({"raised"})), 1),
        (AlertFilter(types=frozenset({"t"}), statuses=frozenset({"resolved"})), 0),
    ):
        assert len(page(tables, 0, AlertPlace(END), 5, only=only)[0]) == expected


def test_a_range_without_a_start_reaches_back_as_long_as_alerts_are_kept() -> None:
    """From its end, and no further than 1970."""
    store = AlertStore(Tables([]), 30)  # type: ignore[arg-type]
    assert store.oldest(END) == END - 30 * DAY_US
    assert store.oldest(DAY_US) == 0
