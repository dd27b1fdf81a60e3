"""Gaps over real HTTP from a real Cassandra, as the store job writes them."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from schemas.events import Gap
from schemas.intervals import INTERVALS
from tests.support.api import Tables, gap_json, get, utc

pytestmark = pytest.mark.servers
HOUR_US, DAY_US = INTERVALS["1h"], INTERVALS["1d"]
NOW = int(datetime.now(UTC).timestamp()) * 1_000_000
HOUR = NOW - NOW % HOUR_US - DAY_US


def a_gap(number: int, start: int, length: int) -> Gap:
    """A gap whose every field tells which one it is."""
    return Gap(
        f"silence:HOLED:{number}", "HOLED", f"source {number}", start, start + length, number % 2 == 0,
        ("silence", "disconnect", "failover")[number % 3], f"test gap {number}", start + length + number,
        number % 2 == 0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def gaps(tables: Tables) -> list[Gap]:
    """Gaps over months, newest first; two begin in the same microsecond."""
    tables.symbol("HOLED")
    spans = [(HOUR, 5), (HOUR, HOUR_US), (HOUR + 7, 0), (HOUR - 40 * DAY_US, 9), (HOUR - 100 * DAY_US, 9)]
    written = [a_gap(number, start, length) for number, (start, length) in enumerate(spans)]
    for gap in written:
        tables.gap(gap)
    return sorted(written, key=lambda gap: (gap.start, gap.gap_id), reverse=True)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_every_field_of_every_gap_comes_back_page_by_page(
    api: httpx.Client, gaps: list[Gap], limit: int
) -> None:
    """Newest first; without a range as far back as gaps are kept; in lower case, too."""
    seen: list[Any] = []
    parameters: dict[str, str | int] = {"symbol": "holed", "limit": limit}
    while True:
        body = get(api, "/api/v1/gaps", **parameters)
        assert (body["symbol"], len(body["gaps"]) <= limit) == ("HOLED", True)
        seen += body["gaps"]
        if body["next_cursor"] is None:
            break
        parameters["cursor"] = body["next_cursor"]
    assert seen == [gap_json(gap) for gap in gaps]


def test_a_range_has_the_gaps_that_touch_it(api: httpx.Client, gaps: list[Gap]) -> None:
    """Also one that began before it."""
    body = get(api, "/api/v1/gaps", symbol="HOLED", **{"from": utc(HOUR + 6), "to": utc(HOUR + 8)})
    expected = [gap for gap in gaps if gap.start < HOUR + 8 and (gap.end > HOUR + 6 or gap.start >= HOUR + 6)]
    assert len(expected) == 2
    assert body == {"symbol": "HOLED", "gaps": [gap_json(gap) for gap in expected], "next_cursor": None}
