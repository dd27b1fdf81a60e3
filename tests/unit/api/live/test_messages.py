"""The JSON that clients get: REST's names and spelling."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from api import models
from api.live.messages import from_event, is_live_bar, to_message
from schemas.errors import PoisonError
from schemas.events import DeadLetter
from tests.unit.api.live.events import NOON, alert, candle, correction, message, quote, trade


def at(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


ONLY_IN_REST = {"filled", "provider_bar"}
"""No event of a stream is either."""


def rest(model: type[models.Answer], event: Any, *times: str) -> dict[str, Any]:
    """The event as an answer of REST writes it, without what only REST can say."""
    values = {name: getattr(event, name) for name in model.model_fields.keys() - ONLY_IN_REST}
    answer = model(**values | {name: at(values[name]) for name in times})
    written: dict[str, Any] = json.loads(answer.model_dump_json(exclude_unset=True))
    return written


def test_a_trade_is_written_as_rest_writes_it() -> None:
    """Every field of REST's trade, and no other."""
    event = trade(7)
    assert json.loads(from_event(event).data) == rest(models.Trade, event, "event_time", "received_at")


@pytest.mark.parametrize("final", [True, False])
def test_a_candle_is_written_as_rest_writes_it(final: bool) -> None:
    """Every field of REST's candle with its indicators, and no other."""
    event = candle(9, final=final)
    assert json.loads(from_event(event).data) == rest(models.Candle, event, "start", "end", "updated_at")


def test_an_alert_is_written_as_rest_writes_it() -> None:
    """Every field of REST's alert, and no other."""
    event = alert(3)
    assert json.loads(from_event(event).data) == rest(
        models.Alert, event, "event_time", "updated_at", "bar_start"
    )


def test_a_quote_has_mid_and_spread_under_the_names_of_rest() -> None:
    """As the snapshot of REST spells them."""
    assert json.loads(from_event(quote(4)).data) == {
        "symbol": "AAPL",
        "event_time": "2026-01-05T12:00:00.000004Z",
        "received_at": "2026-01-05T12:00:00.000254Z",
        "bid": 187.25,
        "bid_size": 3.0,
        "ask": 187.75,
        "ask_size": 2.0,
        "mid": 187.5,
        "spread": 0.5,
        "sequence": 4,
        "source": "finnhub",
        "exchange": "V",
    }


def test_a_correction_names_the_trade_it_is_about() -> None:
    """It comes on the channel of the trades, under a type of its own."""
    sent = json.loads(message(5, correction(1, of="t0")).text)
    data = sent.pop("data")
    assert sent == {"type": "correction", "seq": 5, "channel": "trades", "symbol": "AAPL"}
    assert data == {
        "symbol": "AAPL",
        "event_time": "2026-01-05T12:00:00.000001Z",
        "received_at": "2026-01-05T12:00:00.000100Z",
        "correction_id": "c1",
        "sequence": 1,
        "source": "finnhub",
        "trade_id": "t0",
        "trade_time": "2026-01-05T12:00:00Z",
        "kind": "correct",
        "price": 1.5,
        "size": 2.0,
        "exchange": "",
        "conditions": [],
        "updates_open_close": True,
        "updates_high_low": True,
        "updates_volume": True,
    }


def test_the_envelope_tells_type_number_channel_and_symbol() -> None:
    """Around the data, which is not written again."""
    event = from_event(candle(9, interval="5m"))
    sent = json.loads(to_message(event, 17, 0.5).text)
    assert sent.pop("data") == json.loads(event.data)
    assert sent == {"type": "candle", "seq": 17, "channel": "candles", "symbol": "AAPL"}


def test_a_symbol_with_quotation_marks_stays_json() -> None:
    """Alerts have whatever symbol the jobs gave them."""
    sent = json.loads(message(1, alert(symbol='A"B\\')).text)
    assert (sent["symbol"], sent["data"]["symbol"]) == ('A"B\\', 'A"B\\')


def test_what_may_be_skipped_and_what_takes_the_place_of_what() -> None:
    """Trades and quotes may be skipped; a live bar gives way to the next version of the same bar."""
    sent = [message(1, event) for event in (trade(), quote(), correction(), candle(final=True), alert())]
    assert [each.lossy for each in sent] == [True, True, False, False, False]
    live, newer, other = message(1, candle(2)), message(2, candle(4)), message(3, candle(4, bar=1))
    assert live.slot == newer.slot != other.slot
    assert [is_live_bar(each) for each in (live, *sent)] == [True, False, False, False, False, False]


def test_the_time_of_a_message_is_that_of_its_event() -> None:
    """Microseconds; a bar's start."""
    assert message(1, trade(5)).event_time == NOON + 5
    assert message(1, candle(bar=1)).event_time == NOON + 60_000_000


def test_a_time_beyond_the_calendar_is_refused() -> None:
    """A record that no answer could show."""
    with pytest.raises(PoisonError, match="implausible_time"):
        _ = from_event(trade(received_at=10**18)).data


def test_what_is_on_no_channel_is_refused() -> None:
    """Dead letters are for operators."""
    with pytest.raises(KeyError):
        from_event(DeadLetter("not_avro", "", "store", "market.trades"))
