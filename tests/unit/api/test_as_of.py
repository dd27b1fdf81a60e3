"""Bars as they were known at a time."""

import asyncio

import pytest

from api import as_of as as_of_module
from api.bars import BarQuery, BarReader
from api.errors import AsOfTooOld
from api.times import to_micros
from schemas.intervals import INTERVALS, MINUTE_US
from tests.unit.api.fake_market import NOW, SYMBOL, Market, a_version, at, final_bars, readers

START = at(2026, 3, 16, 12)
SECOND = 1_000_000
GENERATION = 2**33


def known(
    bars: BarReader, as_of: int, *, limit: int = 100, end: int = NOW, interval: str = "1m", fill: bool = False
) -> list[tuple[int, int]]:
    """(start, version) of every bar of all pages, newest first."""
    found: list[tuple[int, int]] = []
    place: int | None = end
    while place is not None:
        query = BarQuery(SYMBOL, interval, 0, place, limit, fixed=True, as_of=as_of, fill=fill)
        page = asyncio.run(bars.page(query))
        assert len(page.bars) <= limit
        found += [(to_micros(bar.start), bar.version) for bar in page.bars]
        place = page.more
    return found


@pytest.mark.parametrize(
    ("seconds", "version"),
    [(4.999, None), (5, 2), (9, 2), (10, 4), (60, 4), (60.5, 5), (89.9, 5), (90, 7), (3000, 7),
     (3600, GENERATION + 5)],
)  # fmt: skip
def test_a_bar_is_the_greatest_version_made_until_then(seconds: float, version: int | None) -> None:
    """Live, final, revised and rebuilt in turn; before its first version there was no bar."""
    made = {2: 5.0, 4: 10.0, 5: 60.5, 7: 90.0, GENERATION + 5: 3600.0}
    versions = [a_version(START, number, START + round(after * SECOND)) for number, after in made.items()]
    _, bars = readers(Market(versions))
    expected = [] if version is None else [(START, version)]
    assert known(bars, START + round(seconds * SECOND)) == expected


def test_what_was_published_again_later_does_not_hide_a_greater_version() -> None:
    """After a restart some versions are made once more; the greatest known one counts, not the latest."""
    versions = [a_version(START, 2, START + 40 * SECOND), a_version(START, 4, START + 10 * SECOND),
                a_version(START, 5, START + 70 * SECOND)]  # fmt: skip
    _, bars = readers(Market(versions))
    assert known(bars, START + 50 * SECOND) == [(START, 4)]


def test_bars_that_have_not_changed_since_are_not_looked_up() -> None:
    """Their newest version was known then: gold is enough."""
    minutes = [START + i * MINUTE_US for i in range(50)]
    market = Market(final_bars(*minutes))
    _, bars = readers(market)
    as_of = minutes[40] + 30 * SECOND
    assert known(bars, as_of) == [(start, 3) for start in reversed(minutes[:40])]
    assert market.asked.count("known_candle") <= 2  # those that a clock ahead of ours could have begun


def test_pages_join_without_gap_or_overlap() -> None:
    """Revised and unknown bars among them."""
    minutes = [START + i * MINUTE_US for i in range(40)]
    as_of = minutes[-1] + 2 * MINUTE_US
    versions = final_bars(*minutes)
    versions += [a_version(start, 5, as_of + SECOND) for start in minutes[::3]]
    replayed = [a_version(START - i * MINUTE_US, 3, as_of + SECOND) for i in range(1, 20)]
    _, bars = readers(Market(versions + replayed))
    for limit in (1, 3, 7, 100):
        assert known(bars, as_of, limit=limit) == [(start, 3) for start in reversed(minutes)]


def test_a_page_ends_where_too_many_bars_did_not_exist_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before a long replay nothing of it was known: no request walks through all of it."""
    most = 200
    monkeypatch.setattr(as_of_module, "MAX_BARS", most)
    old = at(2024, 8, 9)
    first = a_version(old, 3, START)
    replayed = [a_version(old + i * MINUTE_US, 3, START + 60 * SECOND) for i in range(1, 2 * most)]
    _, bars = readers(Market([first, *replayed]))
    end = old + 2 * most * MINUTE_US
    page = asyncio.run(bars.page(BarQuery(SYMBOL, "1m", 0, end, 10, fixed=True, as_of=START)))
    assert page.bars == []
    assert page.more is not None
    assert page.more > old + MINUTE_US
    assert known(bars, START, end=end) == [(old, 3)]


def test_indicators_are_those_of_that_version() -> None:
    """From the same row as the prices."""
    _, bars = readers(
        Market([a_version(START, 3, START + 61 * SECOND), a_version(START, 5, START + 90 * SECOND)])
    )
    for as_of, value in ((START + 61 * SECOND, 3.0), (START + 90 * SECOND, 5.0)):
        query = BarQuery(SYMBOL, "1m", 0, NOW, 1, fixed=True, indicators=True, as_of=as_of)
        (bar,) = asyncio.run(bars.page(query)).bars
        assert bar.indicators == {"sma_20": value}


def test_a_time_to_come_is_now() -> None:
    """What is known now, and nobody knows more."""
    _, bars = readers(Market())
    assert bars.moment(NOW + 1, "1m") == NOW
    assert bars.moment(NOW - 1, "1m") == NOW - 1


@pytest.mark.parametrize(("interval", "length"), [("1m", MINUTE_US), ("4h", 5 * INTERVALS["1h"]),
                                                  ("1d", 25 * INTERVALS["1h"])])  # fmt: skip
def test_a_time_of_which_versions_have_expired_is_refused(interval: str, length: int) -> None:
    """As far back as the bars that grew then still have all their versions; the message says how far."""
    _, bars = readers(Market(), ttl_days=3)
    oldest = NOW - 3 * INTERVALS["1d"] + length + 900 * SECOND
    assert bars.moment(oldest, interval) == oldest
    with pytest.raises(AsOfTooOld, match="kept for 3 days") as refused:
        bars.moment(oldest - 1, interval)
    assert (refused.value.status, refused.value.code) == (422, "as_of_too_old")


def test_however_short_versions_are_kept_now_is_known() -> None:
    """A day's bar is longer than a day of versions reaches."""
    _, bars = readers(Market(), ttl_days=1)
    assert bars.moment(NOW, "1d") == NOW


def test_holes_are_filled_with_what_was_known_then() -> None:
    """Up to the newest bar of that time, and at the close of its version."""
    late = START + 3 * MINUTE_US
    versions = [
        a_version(START, 3, START + 61 * SECOND, close=5.0),
        a_version(START, 5, late + 50 * SECOND, close=6.0),
        a_version(late, 2, late + SECOND, close=7.0),
        a_version(late + 9 * MINUTE_US, 3, late + 10 * MINUTE_US, close=8.0),
    ]
    _, bars = readers(Market(versions))
    expected = [(late, 2), (late - MINUTE_US, 0), (late - 2 * MINUTE_US, 0), (START, 3)]
    for limit in (1, 2, 3, 100):
        assert known(bars, late + 10 * SECOND, limit=limit, fill=True) == expected
