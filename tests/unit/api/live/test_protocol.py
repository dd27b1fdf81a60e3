"""What clients may send, and what they are told where it is wrong."""

import json
from typing import Any

import pytest

from api.live import protocol
from api.live.messages import Key
from api.live.protocol import (
    ProtocolError,
    Subscribe,
    Unsubscribe,
    describe,
    parse_request,
    unwanted_keys,
    wanted_keys,
)


def parse(given: Any) -> Any:
    return parse_request(given if isinstance(given, str | bytes) else json.dumps(given), 1_000)


def subscribe(**fields: Any) -> Subscribe:
    request = parse({"type": "subscribe", **fields})
    assert isinstance(request, Subscribe)
    return request


@pytest.mark.parametrize(
    ("given", "code", "names"),
    [
        ("{", "invalid_json", "send JSON"),
        (b"\xff", "invalid_json", "send JSON"),
        ("[]", "unknown_type", "subscribe, unsubscribe, ping, pong"),
        ({"type": "order"}, "unknown_type", "subscribe"),
        ({"type": ["ping"]}, "unknown_type", "subscribe"),
        ({"type": "subscribe", "channels": ["books"]}, "unknown_channel", "channels.0"),
        ({"type": "subscribe", "channels": []}, "unknown_channel", "channels"),
        ({"type": "subscribe", "symbols": ["a b"]}, "invalid_symbol", "'a b' is not a symbol"),
        ({"type": "subscribe", "symbols": "AAPL"}, "invalid_symbol", "symbols: give a list"),
        ({"type": "subscribe", "symbols": [None]}, "invalid_symbol", "symbols.0: write a symbol as text"),
        ({"type": "subscribe", "symbols": [True]}, "invalid_symbol", "symbols.0: write a symbol as text"),
        ({"type": "subscribe", "intervals": ["2m"]}, "unknown_interval", "1m, 5m"),
        ({"type": "subscribe", "resume": {"epoch": "x"}}, "invalid_resume", "resume.seq"),
        ({"type": "subscribe", "interval_ms": -1}, "invalid_message", "interval_ms"),
        ({"type": "subscribe", "speed": 1}, "invalid_message", "speed"),
        ({"type": "subscribe", "interval_ms": "100"}, "invalid_message", "interval_ms"),
        ({"type": "subscribe", "batch": "yes"}, "invalid_message", "batch"),
        ({"type": "ping", "id": "x" * 65}, "invalid_message", "id: give a text of up to 64 characters"),
        ({"type": "ping", "id": True}, "invalid_message", "id: give a text of up to 64 characters"),
        ({"type": "ping", "id": "x" * 2_000}, "message_too_large", "at most 1000"),
    ],
)
def test_every_wrong_message_has_its_code(given: Any, code: str, names: str) -> None:
    """And a text that names what is wrong."""
    with pytest.raises(ProtocolError) as refused:
        parse(given)
    assert refused.value.code == code
    assert names in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "symbols_missing"),
        ({"channels": ["alerts", "quotes"]}, "symbols_missing"),
        ({"channels": ["trades"], "symbols": ["*"]}, "invalid_symbol"),
    ],
)
def test_only_alerts_can_be_had_of_all_symbols(fields: dict[str, Any], code: str) -> None:
    """All trades of the market are Kafka's business."""
    with pytest.raises(ProtocolError) as refused:
        wanted_keys(subscribe(**fields))
    assert refused.value.code == code


def test_trades_and_minute_bars_are_what_comes_without_channels() -> None:
    """Symbols in any case, intervals in any spelling that REST takes."""
    assert wanted_keys(subscribe(symbols=["aapl"])) == {("trades", "AAPL"), ("candles", "AAPL", "1m")}
    assert wanted_keys(subscribe(channels=["candles"], symbols=["A"], intervals=["1min", "1h"])) == {
        ("candles", "A", "1m"),
        ("candles", "A", "1h"),
    }


def test_alerts_come_of_all_symbols_or_of_those_named() -> None:
    """A star is all, too."""
    assert wanted_keys(subscribe(channels=["alerts"])) == {("alerts", "*")}
    assert wanted_keys(subscribe(channels=["alerts"], symbols=["*"])) == {("alerts", "*")}
    assert wanted_keys(subscribe(channels=["alerts", "trades"], symbols=["A"])) == {
        ("alerts", "A"),
        ("trades", "A"),
    }


HELD = {
    ("trades", "A"), ("trades", "B"), ("candles", "A", "1m"), ("candles", "A", "5m"), ("alerts", "*"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({}, set()),
        ({"channels": ["trades"]}, HELD - {("trades", "A"), ("trades", "B")}),
        ({"symbols": ["a"]}, {("trades", "B"), ("alerts", "*")}),
        ({"channels": ["candles"], "intervals": ["5min"]}, HELD - {("candles", "A", "5m")}),
        ({"channels": ["alerts"], "symbols": ["*"]}, HELD - {("alerts", "*")}),
        ({"symbols": ["NEVER"]}, HELD),
    ],
)
def test_what_an_unsubscribe_leaves(fields: dict[str, Any], left: set[Key]) -> None:
    """What it does not name, it does not narrow down."""
    request = parse({"type": "unsubscribe", **fields})
    assert isinstance(request, Unsubscribe)
    assert HELD - unwanted_keys(request, HELD) == left


def test_a_subscription_is_listed_by_channel() -> None:
    """Candles with their intervals, short ones first."""
    assert describe(HELD | {("candles", "A", "1h")}) == {
        "alerts": ["*"],
        "candles": {"A": ["1m", "5m", "1h"]},
        "trades": ["A", "B"],
    }


def test_an_answer_has_the_id_of_its_request_if_there_was_one() -> None:
    """Zero is one, too."""
    request = subscribe(symbols=["A"], id=0)
    assert json.loads(protocol.ack(request, 5, {("trades", "A"): 0}, False)) == {
        "type": "ack", "id": 0, "action": "subscribe", "seq": 5, "subscription": {"trades": ["A"]},
        "by_interval_ms": {"0": {"trades": ["A"]}}, "batch": False,
    }  # fmt: skip
    assert "id" not in json.loads(protocol.ack(subscribe(symbols=["A"]), 5, {}, False))
    assert protocol.request_id('{"id":"x","type":"nonsense"}') == "x"
    assert [protocol.request_id(text) for text in ("{", "[]", '{"id":[1]}', '{"id":null}')] == [None] * 4


def test_an_ack_lists_the_interval_of_each() -> None:
    """And the whole, as for those who have none."""
    intervals = {("trades", "A"): 500, ("candles", "A", "1m"): 0, ("candles", "A", "5m"): 500}
    told = json.loads(protocol.ack(subscribe(symbols=["A"]), 5, intervals, True))
    assert told["subscription"] == {"candles": {"A": ["1m", "5m"]}, "trades": ["A"]}
    assert told["by_interval_ms"] == {
        "0": {"candles": {"A": ["1m"]}},
        "500": {"candles": {"A": ["5m"]}, "trades": ["A"]},
    }


def test_a_snapshot_holds_the_json_as_it_is() -> None:
    """Unknown is null; bars are a list."""
    text = protocol.snapshot(7, 'A"', {"trade": '{"price":1.5}', "quote": None, "candles": ["{}", "{}"]})
    assert json.loads(text) == {
        "type": "snapshot", "seq": 7, "symbol": 'A"',
        "data": {"trade": {"price": 1.5}, "quote": None, "candles": [{}, {}]},
    }  # fmt: skip


def test_a_batch_holds_messages_as_they_are() -> None:
    """In their order."""
    assert json.loads(protocol.batch(['{"seq":1}', '{"seq":2}'])) == {
        "type": "batch",
        "messages": [{"seq": 1}, {"seq": 2}],
    }


@pytest.mark.parametrize("why", sorted(protocol.RESUME_FAILURES))
def test_who_cannot_resume_is_told_what_to_do(why: str) -> None:
    """With the epoch that now is."""
    told = json.loads(protocol.resume_failed(subscribe(symbols=["A"]), why, "now", 9))
    assert (told["type"], told["code"], told["epoch"], told["seq"]) == ("resume_failed", why, "now", 9)
    assert "/api/v1/trades" in told["message"]
