"""Corrections over real HTTP from a real Cassandra, as the store job writes them."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from schemas.events import Correction
from schemas.intervals import INTERVALS, MINUTE_US
from tests.support.api import Tables, correction_json, get, utc

pytestmark = pytest.mark.servers
NOW = int(datetime.now(UTC).timestamp()) * 1_000_000
HOUR = NOW - NOW % INTERVALS["1h"] - INTERVALS["1d"]


def a_correction(number: int, at: int) -> Correction:
    """A correction whose every field tells which one it is."""
    changed = number % 2 == 1
    return Correction(
        "MENDED", at, at + number, f"c{number}", number, f"source {number}", f"t{number}",
        at - MINUTE_US if changed else None, "correct" if changed else "cancel",
        100.25 + number if changed else None, 2.0 * number if changed else None, "V" * changed,
        ("@", f"C{number}") if changed else (), not changed, number % 3 == 0, True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def corrections(tables: Tables) -> list[Correction]:
    """Corrections over three days, newest first; two in the same microsecond."""
    tables.symbol("MENDED")
    times = [HOUR, HOUR, HOUR + 59 * MINUTE_US, HOUR + 5 * INTERVALS["1h"], HOUR - 2 * INTERVALS["1d"]]
    written = [a_correction(number, time) for number, time in enumerate(times)]
    for correction in written:
        tables.correction(correction)
    return sorted(written, key=lambda each: (each.event_time, each.sequence), reverse=True)


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_every_field_of_every_correction_comes_back_page_by_page(
    api: httpx.Client, corrections: list[Correction], limit: int
) -> None:
    """Newest first; a page may be short or empty although more follow; in lower case, too."""
    seen: list[Any] = []
    parameters: dict[str, str | int] = {"limit": limit, "from": utc(HOUR - 3 * INTERVALS["1d"])}
    while True:
        body = get(api, "/api/v1/corrections/mended", **parameters)
        assert (body["symbol"], len(body["corrections"]) <= limit) == ("MENDED", True)
        seen += body["corrections"]
        if body["next_cursor"] is None:
            break
        parameters["cursor"] = body["next_cursor"]
    assert seen == [correction_json(each) for each in corrections]


def test_a_range_has_its_start_and_not_its_end(api: httpx.Client, corrections: list[Correction]) -> None:
    """By the time at which they were reported."""
    body = get(api, "/api/v1/corrections/MENDED", **{"from": utc(HOUR), "to": utc(HOUR + 59 * MINUTE_US)})
    expected = [each for each in corrections if each.event_time == HOUR]
    assert len(expected) == 2
    assert body["corrections"] == [correction_json(each) for each in expected]
