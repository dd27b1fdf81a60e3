"""Alerts over real HTTP from a real Cassandra."""

import dataclasses
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from schemas.events import Alert
from schemas.intervals import INTERVALS
from tests.support.api import Tables, alert_json, get, utc

pytestmark = pytest.mark.servers
DAY_US = INTERVALS["1d"]
NOW = int(datetime.now(UTC).timestamp()) * 1_000_000
TIES = NOW - DAY_US
"""Four alerts share this microsecond."""
TYPES = ("price_spike", "volume_anomaly", "stale_feed")


def an_alert(symbol: str, event_time: int, number: int) -> Alert:
    """An alert whose every field tells which one it is."""
    on_bar = number % 2 == 0
    return Alert(
        f"{TYPES[number % 3]}:{symbol}:{number}", number % 4, symbol, TYPES[number % 3],
        ("low", "medium", "high", "critical")[number % 4], ("raised", "resolved", "retracted")[number % 3],
        event_time, event_time + 250_001 + number, 5.5 + number, 5.0, f"test alert {number}",
        "1m" if on_bar else None, event_time // 60_000_000 * 60_000_000 if on_bar else None,
        2 * number if on_bar else None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def alerts(tables: Tables) -> list[Alert]:
    """Alerts of two symbols and of the system over days and months, newest first."""
    for symbol in ("LOUD", "SOFT"):
        tables.symbol(symbol)
    offsets = [0, 1, 2_000_000, DAY_US + 7, 2 * DAY_US, 40 * DAY_US, 41 * DAY_US, 100 * DAY_US, 364 * DAY_US]
    written = [
        an_alert(("LOUD", "SOFT", "LOUD", "*")[number % 4], NOW - offset, number)
        for number, offset in enumerate(offsets)
    ]
    written += [an_alert(("LOUD", "SOFT")[number % 2], TIES, number) for number in range(20, 24)]
    for alert in written:
        tables.alert(alert)
    return sorted(written, key=lambda alert: (-alert.event_time, alert.alert_id))


def ours(shown: list[Any]) -> list[Any]:
    """Those of the alerts that this file wrote: other tests may write to the same keyspace."""
    return [alert for alert in shown if alert["message"].startswith("test alert ")]


def pages(api: httpx.Client, **parameters: str | int) -> list[Any]:
    """The alerts of every page, following next_cursor to its end."""
    seen: list[Any] = []
    while True:
        body = get(api, "/api/v1/alerts", **parameters)
        assert len(body["alerts"]) <= int(parameters.get("limit", 100))
        seen += body["alerts"]
        if body["next_cursor"] is None:
            return ours(seen)
        parameters["cursor"] = body["next_cursor"]


def test_every_field_of_an_alert_comes_back_as_it_was_stored(api: httpx.Client, alerts: list[Alert]) -> None:
    """Of all symbols and of the system, newest first; without a range as far back as alerts are kept."""
    body = get(api, "/api/v1/alerts", limit=1000)
    assert (ours(body["alerts"]), body["next_cursor"]) == ([alert_json(alert) for alert in alerts], None)


@pytest.mark.parametrize("symbol", ["LOUD", "soft", "*"])
def test_alerts_of_a_symbol(api: httpx.Client, alerts: list[Alert], symbol: str) -> None:
    """In upper or lower case; the star stands for the system."""
    expected = [alert_json(alert) for alert in alerts if alert.symbol == symbol.upper()]
    assert expected
    assert ours(get(api, "/api/v1/alerts", symbol=symbol)["alerts"]) == expected


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("symbol", [None, "LOUD"])
def test_pages_of_alerts_join_without_gap_or_overlap(
    api: httpx.Client, alerts: list[Alert], limit: int, symbol: str | None
) -> None:
    """Page ends fall between alerts of the same microsecond, and between days and months, too."""
    of_symbol = {"symbol": symbol} if symbol else {}
    expected = [alert_json(alert) for alert in alerts if symbol in (None, alert.symbol)]
    assert pages(api, limit=limit, **of_symbol) == expected


@pytest.mark.parametrize(
    ("parameters", "field", "values"),
    [
        ({"severity": "critical"}, "severity", {"critical"}),
        ({"severity": "high, low"}, "severity", {"high", "low"}),
        ({"type": "price_spike,stale_feed"}, "type", {"price_spike", "stale_feed"}),
        ({"type": "of_no_alert"}, "type", set()),
        ({"status": "raised,retracted"}, "status", {"raised", "retracted"}),
    ],
)
def test_filters_leave_exactly_what_they_name(
    api: httpx.Client, alerts: list[Alert], parameters: dict[str, str], field: str, values: set[str]
) -> None:
    """A severity is no least one; several are separated by commas; the same over pages."""
    expected = [alert_json(alert) for alert in alerts if getattr(alert, field) in values]
    assert ours(get(api, "/api/v1/alerts", **parameters, limit=1000)["alerts"]) == expected
    assert pages(api, limit=2, **parameters) == expected


def test_filters_go_together(api: httpx.Client, alerts: list[Alert]) -> None:
    """What one leaves, the next may take away."""
    expected = [
        alert_json(alert)
        for alert in alerts
        if (alert.symbol, alert.type) == ("LOUD", "stale_feed") and alert.severity in ("low", "high")
    ]
    assert expected
    filters = {"symbol": "LOUD", "type": "stale_feed", "severity": "low,high", "status": "retracted"}
    assert get(api, "/api/v1/alerts", **filters)["alerts"] == expected


def test_a_range_of_alerts_is_exact_to_the_microsecond(api: httpx.Client, alerts: list[Alert]) -> None:
    """From the alert's own time, and up to but not including another's; for one symbol, too."""
    start, end = NOW - DAY_US - 7, NOW - 1
    expected = [alert for alert in alerts if start <= alert.event_time < end]
    assert len(expected) == 6
    times = {"from": utc(start), "to": utc(end)}
    assert ours(get(api, "/api/v1/alerts", **times)["alerts"]) == [alert_json(alert) for alert in expected]
    assert get(api, "/api/v1/alerts", symbol="LOUD", **times)["alerts"] == [
        alert_json(alert) for alert in expected if alert.symbol == "LOUD"
    ]


def test_a_cursor_does_not_reach_out_of_its_range(api: httpx.Client, alerts: list[Alert]) -> None:
    """Neither behind its end nor before its start."""
    cursor = get(api, "/api/v1/alerts", symbol="LOUD", limit=1)["next_cursor"]
    times = {"from": utc(TIES), "to": utc(TIES + 1)}
    expected = [alert_json(alert) for alert in alerts if alert.event_time == TIES]
    assert len(expected) == 4
    assert ours(get(api, "/api/v1/alerts", cursor=cursor, **times)["alerts"]) == expected
    assert ours(get(api, "/api/v1/alerts", cursor=cursor, **{"from": utc(NOW + 1)})["alerts"]) == []


def test_alerts_of_an_old_replay_are_reached_by_naming_their_time(api: httpx.Client, tables: Tables) -> None:
    """A range that ends long ago reaches back from its end; one from 1970 on is walked page by page."""
    then = int(datetime(2021, 8, 9, 12, tzinfo=UTC).timestamp()) * 1_000_000
    tables.symbol("AGO")
    old = dataclasses.replace(an_alert("AGO", then, 2), revision=1)
    tables.alert(dataclasses.replace(old, revision=0, status="raised", value=1.0))
    tables.alert(old)
    assert get(api, "/api/v1/alerts", symbol="AGO")["alerts"] == []
    assert ours(get(api, "/api/v1/alerts", to="2021-08-10")["alerts"]) == [alert_json(old)]
    ever = {"from": "1970-01-01", "to": "9999-12-31"}
    assert get(api, "/api/v1/alerts", symbol="AGO", **ever)["alerts"] == [alert_json(old)]
    assert pages(api, limit=1000, **ever)[-1] == alert_json(old)
