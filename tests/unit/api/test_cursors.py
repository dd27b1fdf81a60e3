"""Opaque cursors."""

import base64

import pytest

from api.alert_store import AlertPlace
from api.cursors import (
    alert_cursor,
    alert_place,
    candle_cursor,
    candle_place,
    candle_provider,
    gap_cursor,
    gap_place,
    trade_cursor,
    trade_place,
)
from api.errors import InvalidParameter
from api.gap_store import GapPlace
from api.store import Position


def text(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def test_a_cursor_leads_back_to_its_place() -> None:
    """What was encoded comes back, whatever characters the ids hold."""
    assert candle_place(candle_cursor(1_723_161_600_000_000)) == 1_723_161_600_000_000
    assert candle_provider(candle_cursor(1_723_161_600_000_000)) is None
    theirs = candle_cursor(5, "yahoo")
    assert (candle_place(theirs), candle_provider(theirs)) == (5, "yahoo")
    position = Position(1_723_161_600_123_456, 7, "binance", 'ä"/+?&')
    assert trade_place(trade_cursor(position)) == position
    gap = GapPlace(1_723_161_600_123_456, "silence:BRK.B:ä")
    assert gap_place(gap_cursor(gap)) == gap
    for place in (AlertPlace(1_723_161_600_123_456, 'stale:ä"/+?&'), AlertPlace(5)):
        assert alert_place(alert_cursor(place)) == place


def test_a_cursor_can_stand_in_a_url() -> None:
    """No character that a URL would change."""
    cursor = trade_cursor(Position(5, 1, "s>>>???", "ÿÿÿ"))
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "ä", "!!!!", text("[]"), text("{}"), text('["5"]'), text("[-1]"), text("[253402300800000000]"),
     text("[1,2]"), text("[true]"), "A" * 1000],
)  # fmt: skip
def test_a_made_up_candle_cursor_is_refused(cursor: str) -> None:
    """Only what we gave out is taken."""
    with pytest.raises(InvalidParameter, match="cursor"):
        candle_place(cursor)


@pytest.mark.parametrize(
    "place", ["[5]", '[5,-1,"s","t"]', f'[5,{2**63},"s","t"]', '[5,1,"s",null]', '[5,1,"s","t",0]']
)
def test_a_made_up_trade_cursor_is_refused(place: str) -> None:
    """Values that Cassandra could not take never get there."""
    with pytest.raises(InvalidParameter, match="cursor"):
        trade_place(text(place))


@pytest.mark.parametrize("place", ["[5]", '[-1,"a"]', "[5,1]", '["5","a"]', '[5,"a",0]'])
def test_a_made_up_alert_cursor_is_refused(place: str) -> None:
    """Only a time and an id, or a time alone."""
    with pytest.raises(InvalidParameter, match="cursor"):
        alert_place(text(place))
