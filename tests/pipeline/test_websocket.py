"""The WebSocket of a running API over a real Kafka and registry, with ordinary clients.

There is no Cassandra: live data must not need it.
"""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from schemas.create import create_topics, delete_topics
from schemas.events import Alert, Candle, Correction, Quote, Trade
from schemas.intervals import INTERVALS
from schemas.settings import CassandraSettings, KafkaSettings
from tests.conftest import KafkaServers
from tests.support.api import eventually, running_api, utc
from tests.support.live import LiveClient, Market, live_client, metric, wait_for_feed

pytestmark = pytest.mark.servers

NO_CASSANDRA = CassandraSettings(cassandra_port=1)
MINUTE_US = INTERVALS["1m"]
NOW = time.time_ns() // 1000
DAY = NOW - NOW % INTERVALS["1d"] - INTERVALS["1d"]
MAX_CLIENTS = 8
NARROW = 8 * 1024
"""What the system takes in for a client that does not read."""


def trade(number: int, symbol: str) -> Trade:
    return Trade(
        symbol, NOW + number, NOW + number + 50, 100.0 + number, 2.0, f"t{number}", number, "binance"
    )


def quote(number: int, symbol: str) -> Quote:
    return Quote(symbol, NOW + number, NOW + number + 50, 99.5, 1.0, 100.5, 3.0, number, "binance")


def candle(version: int, symbol: str, interval: str = "1m", bar: int = 0) -> Candle:
    """A bar of the day before; it is final where its version is odd."""
    length = INTERVALS[interval]
    start = DAY + bar * length
    return Candle(
        symbol, interval, start, start + length, 1.0, 2.0, 0.5, 1.5, 10.0, 15.0, 1.5, 10, version % 2 == 1,
        version, ("binance",), 0, NOW, 1.0, {"sma_20": 1.25},
    )  # fmt: skip


def alert(number: int, symbol: str) -> Alert:
    return Alert(
        f"price_spike:{symbol}:{number}", 0, symbol, "price_spike", "high", "raised", NOW, NOW, 6.0, 5.0,
        "rose 6 %",
    )  # fmt: skip


@pytest.fixture(scope="module")
def settings(kafka: KafkaServers) -> Iterator[KafkaSettings]:
    """Topics of this module's own."""
    own = kafka.settings(f"test_ws_{time.time_ns():x}")
    create_topics(own)
    yield own
    delete_topics(own)


@pytest.fixture(scope="module")
def market(settings: KafkaSettings) -> Market:
    return Market(settings)


def environment(settings: KafkaSettings, **changes: str) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "SCHEMA_REGISTRY_URL": settings.schema_registry_url,
        "TOPIC_PREFIX": settings.topic_prefix,
        "SYMBOLS": "ALL,ONE,TWO,OLD,GONE,SLOW,DEAD,BAD",
        "WS_QUEUE_TICKS": "1000",
        "WS_MAX_CLIENTS": str(MAX_CLIENTS),
        "WS_MAX_MESSAGE_BYTES": "1000",
        "WS_MAX_SYMBOLS": "5",
        "API_QUERY_TIMEOUT_SECONDS": "0.5",
        **changes,
    }


@pytest.fixture(scope="module")
def api(settings: KafkaSettings) -> Iterator[httpx.Client]:
    """A running API that reads the topics."""
    with running_api(NO_CASSANDRA, **environment(settings)) as (client, _):
        wait_for_feed(client)
        yield client


def by_type(messages: list[Any], kind: str) -> list[Any]:
    return [message["data"] for message in messages if message["type"] == kind]


def until_trade(client: LiveClient, trade_id: str) -> list[Any]:
    return client.hear_until(lambda each: each["type"] == "trade" and each["data"]["trade_id"] == trade_id)


def test_every_channel_brings_its_events(api: httpx.Client, market: Market) -> None:
    """Of the symbols and intervals asked for, each version in its order, under one numbering."""
    with live_client(api) as (client, hello):
        ack, snapshot = client.subscribe(
            channels=["trades", "quotes", "candles", "alerts"], symbols=["all"], intervals=["1m", "5m"]
        )
        assert ack["subscription"] == {
            "trades": ["ALL"], "quotes": ["ALL"], "candles": {"ALL": ["1m", "5m"]}, "alerts": ["ALL"],
        }  # fmt: skip
        assert snapshot["data"] == {"trade": None, "quote": None, "candles": []}
        cancel = Correction("ALL", NOW + 9, NOW + 9, "c1", 9, "binance", "t1", NOW + 1)
        steps = [
            ("trade", trade(1, "ALL")), ("correction", cancel), ("quote", quote(2, "ALL")),
            ("candle", candle(2, "ALL")), ("candle", candle(4, "ALL", "5m")), ("candle", candle(5, "ALL")),
            ("candle", candle(8, "ALL", bar=1)), ("candle", candle(7, "ALL")), ("alert", alert(1, "ALL")),
        ]  # fmt: skip
        heard = []
        for _, event in steps:  # one by one: topics have no order among each other
            market.publish(trade(1, "TWO"), candle(2, "ALL", "1h"), alert(1, "TWO"), event)
            heard.append(client.hear())
    assert [each["type"] for each in heard] == [kind for kind, _ in steps]
    assert [each["channel"] for each in heard] == [
        {"correction": "trades"}.get(kind, f"{kind}s") for kind, _ in steps
    ]
    sequence = [hello["seq"], *(each["seq"] for each in heard)]
    assert sequence == sorted(set(sequence))
    assert heard[0]["data"] == {
        "symbol": "ALL", "event_time": utc(NOW + 1), "received_at": utc(NOW + 51), "price": 101.0,
        "size": 2.0, "trade_id": "t1", "sequence": 1, "source": "binance", "exchange": "", "conditions": [],
        "updates_open_close": True, "updates_high_low": True, "updates_volume": True,
    }  # fmt: skip
    assert (heard[1]["data"]["kind"], heard[1]["data"]["trade_id"]) == ("cancel", "t1")
    assert (heard[2]["data"]["mid"], heard[2]["data"]["spread"]) == (100.0, 1.0)
    bars = by_type(heard, "candle")
    assert [(bar["interval"], bar["version"], bar["final"]) for bar in bars] == [
        ("1m", 2, False), ("5m", 4, False), ("1m", 5, True), ("1m", 8, False), ("1m", 7, True),
    ]  # fmt: skip
    assert [bar["start"] for bar in bars if bar["interval"] == "1m"] == [
        utc(DAY), utc(DAY), utc(DAY + MINUTE_US), utc(DAY)
    ]  # fmt: skip
    assert bars[0]["indicators"] == {"sma_20": 1.25}
    assert heard[-1]["data"]["alert_id"] == "price_spike:ALL:1"


def test_shortcuts_subscribe_by_themselves(api: httpx.Client, market: Market) -> None:
    """Each to its channel; the connection takes further subscriptions."""
    paths = (
        ("/ws/trades/one", {"trades": ["ONE"]}, "trade"),
        ("/ws/quotes/ONE", {"quotes": ["ONE"]}, "quote"),
        ("/ws/candles/ONE?interval=5m,1h", {"candles": {"ONE": ["5m", "1h"]}}, "candle"),
        ("/ws/alerts", {"alerts": ["*"]}, "alert"),
    )
    for number, (path, subscription, kind) in enumerate(paths, 1):
        with live_client(api, path) as (client, _):
            assert client.hear()["subscription"] == subscription
            if kind != "alert":  # what was published for the path before may come on its way there
                client.hear_until(lambda each: each["type"] == "snapshot")
            market.publish(
                trade(number, "ONE"),
                quote(number, "ONE"),
                alert(number, "ONE"),
                candle(2 * number, "ONE", "5m"),
            )
            heard = client.hear()
            assert (heard["type"], heard["symbol"]) == (kind, "ONE")
            client.say({"type": "subscribe", "channels": ["trades"], "symbols": ["TWO"]})
            ack = client.hear_until(lambda each: each["type"] == "ack")[-1]
            assert ack["subscription"]["trades"][-1] == "TWO"


def test_a_subscription_begins_with_the_newest_state(api: httpx.Client, market: Market) -> None:
    """Last trade, last quote and the current bar, as they came before the client did."""
    with live_client(api, "/ws/trades/OLD") as (witness, _):
        witness.hear_until(lambda each: each["type"] == "snapshot")
        market.publish(quote(1, "OLD"), candle(2, "OLD"), candle(4, "OLD"), alert(1, "OLD"))
        market.publish(trade(2, "OLD"))
        until_trade(witness, "t2")

    def current() -> bool:
        with live_client(api) as (client, _):
            _, snapshot = client.subscribe(channels=["trades", "quotes", "candles"], symbols=["OLD"])
            data = snapshot["data"]
            return (
                data["trade"]["trade_id"] == "t2"
                and data["quote"] is not None
                and [bar["version"] for bar in data["candles"]] == [4]
            )

    eventually(current)


def test_wrong_messages_have_their_codes_and_harm_nobody(api: httpx.Client, market: Market) -> None:
    """The connection goes on afterwards."""
    with live_client(api, "/ws/trades/BAD") as (client, _):
        client.hear_until(lambda each: each["type"] == "snapshot")
        for message, code in (
            ("{", "invalid_json"),
            ({"type": "buy"}, "unknown_type"),
            ({"type": "subscribe"}, "symbols_missing"),
            ({"type": "subscribe", "channels": ["books"], "symbols": ["BAD"]}, "unknown_channel"),
            ({"type": "subscribe", "symbols": ["a b"]}, "invalid_symbol"),
            ({"type": "subscribe", "symbols": ["BAD"], "intervals": ["3m"]}, "unknown_interval"),
            ({"type": "subscribe", "symbols": ["BAD"], "interval_ms": "soon"}, "invalid_message"),
            ({"type": "subscribe", "symbols": list("ABCDE")}, "too_many_symbols"),
            ({"type": "ping", "id": "x" * 1_000}, "message_too_large"),
        ):
            told = client.answer(message)
            assert (told["type"], told["code"]) == ("error", code)
            assert "Traceback" not in told["message"]
        market.publish(trade(3, "BAD"))
        assert client.hear()["data"]["trade_id"] == "t3"


def test_addresses_and_origins_that_are_refused(api: httpx.Client) -> None:
    """A wrong symbol with its code; a page of another host before it is connected."""
    with live_client(api, "/ws/candles/ONE?interval=7m") as (client, _):
        assert client.hear()["code"] == "unknown_interval"
        with pytest.raises(ConnectionClosedError) as closed:
            client.hear()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "unknown_interval")
    for path, origin, status, code in (
        ("/ws", "http://evil.example", 403, "origin_refused"),
        ("/ws/books/ONE", None, 404, "not_found"),
        ("/ws/", None, 404, "not_found"),
    ):
        with pytest.raises(InvalidStatus) as refused, live_client(api, path, origin=origin):
            pass
        answer = refused.value.response
        error = json.loads(answer.body or b"")["error"]
        assert (answer.status_code, error["code"]) == (status, code)
        assert error["request_id"] == answer.headers["X-Request-ID"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("query", ["candles/ONE?intervals=5m", "trades/ONE?limit=5", "alerts?symbol=ONE"])
def test_a_parameter_that_an_address_does_not_have_is_refused(api: httpx.Client, query: str) -> None:
    """A client would get something else than it believes."""
    with live_client(api, f"/ws/{query}") as (client, _):
        told = client.hear()
        assert (told["type"], told["code"]) == ("error", "invalid_message")
        assert told["message"].endswith(": there is no such parameter here")


def test_an_interval_may_be_named_more_than_once(api: httpx.Client) -> None:
    """As in REST: all of them count."""
    with live_client(api, "/ws/candles/ONE?interval=1m&interval=5m,1h") as (client, _):
        assert client.hear()["subscription"] == {"candles": {"ONE": ["1m", "5m", "1h"]}}
    with live_client(api, origin="http://localhost:3000") as (_, hello):
        assert hello["type"] == "hello"


def test_one_client_too_many_is_told_so(api: httpx.Client) -> None:
    """And has its place when another one leaves."""
    eventually(lambda: metric(api, "tickstream_api_ws_clients") == 0)
    connections = [live_client(api) for _ in range(MAX_CLIENTS)]
    for connection in connections:
        assert connection.__enter__()[1]["type"] == "hello"
    with live_client(api) as (_, told):
        assert (told["type"], told["code"]) == ("error", "too_many_clients")
    connections.pop().__exit__(None, None, None)
    eventually(lambda: metric(api, "tickstream_api_ws_clients") == MAX_CLIENTS - 1)
    with live_client(api) as (_, hello):
        assert hello["type"] == "hello"
    for connection in connections:
        connection.__exit__(None, None, None)


def test_a_client_resumes_after_a_break(api: httpx.Client, market: Market) -> None:
    """It gets what it missed, once, and goes on; with another epoch it is told what to do."""
    with live_client(api, "/ws/trades/GONE") as (client, hello):
        client.hear_until(lambda each: each["type"] == "snapshot")
        market.publish(*(trade(number, "GONE") for number in range(5)))
        last = until_trade(client, "t4")[-1]
    with live_client(api, "/ws/trades/GONE") as (witness, _):
        witness.hear_until(lambda each: each["type"] == "snapshot")
        market.publish(*(trade(number, "GONE") for number in range(5, 50)))
        until_trade(witness, "t49")
    with live_client(api) as (client, _):
        subscribe = {"type": "subscribe", "channels": ["trades"], "symbols": ["GONE"]}
        place = {"epoch": hello["epoch"], "seq": last["seq"]}
        client.say({**subscribe, "resume": place})
        heard = client.hear_until(lambda each: each["type"] == "resumed")
        assert [each["trade_id"] for each in by_type(heard, "trade")] == [f"t{n}" for n in range(5, 50)]
        assert heard[-1]["replayed"] == 45
        market.publish(trade(50, "GONE"))
        assert client.hear()["data"]["trade_id"] == "t50"
        client.say({**subscribe, "resume": place | {"epoch": "another"}})
        assert client.hear()["type"] == "ack"
        assert client.hear()["code"] == "epoch_changed"


def slow_socket(api: httpx.Client) -> socket.socket:
    """Connected; the system takes in little for it."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW)
    narrow.connect((api.base_url.host, api.base_url.port))
    return narrow


def flood(market: Market, fast: LiveClient, symbol: str, trades: int) -> None:
    """Publishes trades, and reads them as a client that keeps up: every one, in order."""
    for first in range(0, trades, 500):
        numbers = range(first, min(first + 500, trades))
        market.publish(*(trade(number, symbol) for number in numbers))
        heard = until_trade(fast, f"t{numbers[-1]}")
        assert [each["trade_id"] for each in by_type(heard, "trade")] == [f"t{n}" for n in numbers]


def test_a_slow_client_gets_gaps_and_the_newest_bars(api: httpx.Client, market: Market) -> None:
    """Every trade is sent or counted; of a live bar the newest version comes, then the final one; a client
    beside it gets everything."""
    trades = 8_000
    with (
        live_client(api, sock=slow_socket(api), max_queue=1) as (slow, _),
        live_client(api) as (fast, _),
    ):
        for client in (slow, fast):
            client.subscribe(symbols=["SLOW"])
        flood(market, fast, "SLOW", trades)
        for version in range(2, 202, 2):
            market.publish(candle(version, "SLOW"))
        market.publish(candle(203, "SLOW"), candle(2, "SLOW", bar=1))
        bars = by_type(fast.hear_until(lambda each: each["data"]["start"] == utc(DAY + MINUTE_US)), "candle")
        assert bars[-2]["version"] == 203
        heard = slow.hear_until(
            lambda each: each["type"] == "candle" and each["data"]["start"] == utc(DAY + MINUTE_US)
        )
    received = [each["sequence"] for each in by_type(heard, "trade")]
    skipped = [each["skipped"]["trades"] for each in heard if each["type"] == "gap"]
    assert skipped
    assert len(received) + sum(skipped) == trades
    assert received == sorted(set(received))
    assert received[-1] == trades - 1
    assert [bar["version"] for bar in by_type(heard, "candle")] == [200, 203, 2]


def test_a_client_that_does_not_read_gets_its_final_bars_and_is_closed(
    settings: KafkaSettings, market: Market
) -> None:
    """It is told so and where to resume; a client beside it gets everything meanwhile."""
    trades = 4_000
    # Nothing is skipped: all is published before the client has been silent for too long.
    changes = {"WS_SEND_TIMEOUT_SECONDS": "10", "WS_QUEUE_TICKS": "10000"}
    with running_api(NO_CASSANDRA, **environment(settings, **changes)) as (api, _):
        wait_for_feed(api)
        with (
            live_client(api, sock=slow_socket(api), max_queue=1) as (slow, hello),
            live_client(api) as (fast, _),
        ):
            for client in (slow, fast):
                client.subscribe(symbols=["DEAD"])
            finals = [candle(2 * number + 1, "DEAD", bar=number) for number in range(20)]
            market.publish(*(trade(number, "DEAD") for number in range(trades)))
            market.publish(*finals, candle(2, "DEAD", bar=20))
            market.publish(trade(trades, "DEAD"))
            everything = until_trade(fast, f"t{trades}")
            everything += [fast.hear() for _ in range(trades + 1 + len(finals) + 1 - len(everything))]
            assert [each["sequence"] for each in by_type(everything, "trade")] == [*range(trades + 1)]
            assert [bar["version"] for bar in by_type(everything, "candle")] == [
                *(bar.version for bar in finals),
                2,
            ]
            too_slow = 'tickstream_api_ws_errors_total{code="too_slow"}'
            eventually(lambda: metric(api, too_slow) == 1)
            heard = slow.hear_until(lambda each: each["type"] == "error")
            told, *last = [heard[-1], *(slow.hear() for _ in finals)]
            assert (told["code"], told["epoch"]) == ("too_slow", hello["epoch"])
            assert told["resume_from"] == max(each["seq"] for each in heard if each["type"] == "trade")
            assert [bar["version"] for bar in by_type(last, "candle")] == [bar.version for bar in finals]
            with pytest.raises(ConnectionClosedError) as closed:
                slow.hear()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4008, "too_slow")
            market.publish(trade(trades + 1, "DEAD"))
            until_trade(fast, f"t{trades + 1}")
            assert metric(api, "tickstream_api_ws_clients") == 1
