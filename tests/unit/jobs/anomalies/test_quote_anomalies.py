"""crossed_quote, and what is known of a symbol's quotes."""

import pytest

from jobs.domain.anomalies import QuoteAnomalies, Thresholds
from schemas.events import Alert, Quote
from tests.unit.jobs.anomalies.driver import NOW_US, SYMBOL, brief, us


def a_quote(at: float = 0, bid: float = 99.99, ask: float = 100.01, sequence: int = 0) -> Quote:
    return Quote(SYMBOL, us(at), us(at), bid, 1.0, ask, 2.0, sequence, "sim", "Q")


class Quotes:
    """Keeps the state as bytes."""

    def __init__(self) -> None:
        self.state: bytes | None = None

    def load(self) -> QuoteAnomalies:
        return QuoteAnomalies.load(self.state, Thresholds())

    def add(self, latest: Quote, crossed: int = 0, quotes: int = 10) -> list[Alert]:
        anomalies = self.load()
        alerts = anomalies.on_quotes(latest, quotes, crossed, NOW_US)
        self.state = anomalies.dump()
        return alerts


@pytest.mark.parametrize(
    ("bid", "ask", "crossed", "severity"),
    [
        (100.0, 100.0, 0, None),  # locked
        (99.9, 100.1, 1, "low"),  # it was, and is no more
        (100.01, 100.0, 1, "medium"),
        (100.05, 99.95, 1, "medium"),
        (100.06, 99.95, 1, "high"),
        (100.49, 99.51, 1, "high"),
        (100.51, 99.49, 1, "critical"),
    ],
)
def test_thresholds_and_severities(bid: float, ask: float, crossed: int, severity: str | None) -> None:
    """A bid above the ask; how bad it is says the latest quote."""
    expected = [] if severity is None else [("crossed_quote", 1, "raised", severity)]
    assert brief(Quotes().add(a_quote(0, bid, ask), crossed)) == expected


def test_the_alert_says_what_happened() -> None:
    """Of the minute that it was in."""
    (alert,) = Quotes().add(a_quote(75, 100.02, 100.01), crossed=2, quotes=7)
    assert alert.alert_id == f"crossed_quote:AAPL:{us(60)}"
    assert (alert.event_time, alert.value, alert.threshold) == (us(60), 2.0, 0.0)
    assert alert.message == "2 of 7 quotes of sim have a bid above their ask, the latest 100.02 / 100.01"


def test_one_in_five_minutes_and_worse_ones_of_the_same_minute() -> None:
    """Cooldown and severity as everywhere."""
    quotes = Quotes()
    alerts = [
        quotes.add(a_quote(at, bid), crossed=1)
        for at, bid in [(0, 99.0), (5, 100.02), (10, 99.0), (70, 150.0), (299, 150.0), (300, 99.0)]
    ]
    assert [brief(each) for each in alerts] == [
        [("crossed_quote", 1, "raised", "low")],
        [("crossed_quote", 2, "raised", "medium")],
        [],
        [],
        [],
        [("crossed_quote", 1, "raised", "low")],
    ]


def test_the_latest_quote_is_that_of_the_greatest_time_and_sequence() -> None:
    """Whichever came last; with it spread and mid, and counts of all."""
    quotes = Quotes()
    assert (quotes.load().latest, quotes.load().spread, quotes.load().mid) == (None, None, None)
    for latest, crossed in [(a_quote(1, 10.0, 11.0, 5), 1), (a_quote(1, 12.0, 13.0, 4), 0), (a_quote(0), 2)]:
        quotes.add(latest, crossed, 4)
    known = quotes.load()
    assert known.latest == a_quote(1, 10.0, 11.0, 5)
    assert (known.spread, known.mid, known.quotes, known.crossed) == (1.0, 10.5, 12, 3)


def test_the_state_stays_small() -> None:
    """Alerts of minutes long gone are forgotten."""
    quotes = Quotes()
    for minute in range(0, 600, 5):
        assert quotes.add(a_quote(60 * minute, 101.0), crossed=1) != []
        assert len(quotes.state or b"") < 500


def test_a_state_of_another_layout_is_refused() -> None:
    """It was written by another version."""
    with pytest.raises(ValueError, match="layout 9"):
        QuoteAnomalies.load(b"\x91\x09", Thresholds())
