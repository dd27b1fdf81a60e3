"""Conversations with one client, over a socket that the test holds."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from starlette.websockets import WebSocket, WebSocketDisconnect
from structlog.testing import capture_logs

from api.live.current import Bar, CurrentBars
from api.live.hub import Hub
from api.live.protocol import MAX_INTERVALS, ProtocolError, Subscribe
from api.live.session import IsKnown, Session, Shared
from api.live.wire import EXTENSION
from api.metrics import LiveMetrics
from api.settings import LiveSettings
from schemas.events import Candle, Event
from tests.unit.api.live.events import NOON, alert, candle, incoming, quote, trade

Messages = list[dict[str, Any]]


class Client:
    """The other side of a WebSocket, and its wire. While ``reads`` is not set, sending to it waits."""

    def __init__(self) -> None:
        self.scope = {"extensions": {EXTENSION: self}}
        self.reads = asyncio.Event()
        self.reads.set()
        self.closed: tuple[int, str] | None = None
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def accept(self, subprotocol: str | None) -> None:
        """As a server does first."""
        self.subprotocol = subprotocol

    def write(self, frame: bytes) -> bool:
        if self.reads.is_set():
            self._sent.put_nowait(json.loads(text_of(frame)))
        return self.reads.is_set()

    async def drained(self) -> None:
        await self.reads.wait()

    async def close(self, code: int, reason: str) -> None:
        await self.reads.wait()
        self.closed = (code, reason)

    async def receive(self) -> dict[str, Any]:
        return await self._said.get()

    def say(self, message: dict[str, Any] | str | bytes) -> None:
        kind = "bytes" if isinstance(message, bytes) else "text"
        text = json.dumps(message) if isinstance(message, dict) else message
        self._said.put_nowait({"type": "websocket.receive", kind: text})

    def leave(self) -> None:
        self._said.put_nowait({"type": "websocket.disconnect"})

    async def hears(self, count: int = 1) -> Messages:
        async with asyncio.timeout(30):
            return [await self._sent.get() for _ in range(count)]

    def heard(self) -> Messages:
        """All that has come and was not asked for yet."""
        return [self._sent.get_nowait() for _ in range(self._sent.qsize())]

    async def subscribes(self, **fields: Any) -> Messages:
        """Says so, and takes the ack and the snapshots."""
        self.say({"type": "subscribe", **fields})
        return await self.hears(1 + len(set(fields.get("symbols", ()))))


def text_of(frame: bytes) -> bytes:
    """What a short frame of text says."""
    kind, length = frame[:2]
    assert kind == 0x81
    head = 2 if length < 126 else 4
    assert len(frame) == head + (length if head == 2 else int.from_bytes(frame[2:4]))
    return frame[head:]


async def exists(symbol: str) -> bool:
    return symbol != "NOPE"


def now() -> int:
    return NOON + 10_000


class Stage:
    """A hub with sessions."""

    def __init__(self, **settings: Any) -> None:
        self.hub = Hub(100)
        self.metrics = LiveMetrics(CollectorRegistry())
        self.bars = CurrentBars(self.hub.latest, now)
        self._settings = LiveSettings(**settings)

    async def publish(self, *events: Event) -> None:
        await self.hub.publish(incoming(*events))

    async def somebody_is_too_slow(self) -> None:
        """Returns when a session has given its client up, however busy the machine is."""
        while not self.metrics.errors.labels("too_slow")._value.get():
            await asyncio.sleep(0.005)

    def session(
        self, first: Callable[[], Subscribe] | None = None, exists: IsKnown = exists
    ) -> tuple[Client, "asyncio.Task[str]"]:
        """A new client, and its session as it runs."""
        client = Client()
        shared = Shared(self.hub, self._settings, self.metrics, exists, self.bars, now)
        session = Session(cast(WebSocket, client), shared)
        return client, asyncio.create_task(session.run(first))


def play(scene: Callable[[Stage], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with asyncio.timeout(60):
            await scene(Stage(**settings))

    asyncio.run(run())


def numbers(messages: Messages) -> list[Any]:
    """The seq of events, the type of all else."""
    return [message["seq"] if "channel" in message else message["type"] for message in messages]


def test_the_first_message_names_the_epoch() -> None:
    """With what a client needs in order to resume and to notice silence."""

    async def scene(stage: Stage) -> None:
        await stage.publish(trade())
        client, session = stage.session()
        assert await client.hears() == [
            {
                "type": "hello", "epoch": stage.hub.epoch, "seq": 1, "heartbeat_seconds": 15.0,
                "max_symbols": 500,
            }
        ]  # fmt: skip
        client.leave()
        assert await session == "left"

    play(scene)


def test_subscriptions_add_up_and_the_ack_lists_the_whole() -> None:
    """Not their product: quotes of B only."""

    async def scene(stage: Stage) -> None:
        client, _ = stage.session()
        await client.hears()
        await client.subscribes(symbols=["a"], id="one")
        ack, _ = await client.subscribes(channels=["quotes"], symbols=["B"], interval_ms=100, batch=False)
        assert ack["subscription"] == {"trades": ["A"], "candles": {"A": ["1m"]}, "quotes": ["B"]}
        client.say({"type": "unsubscribe", "channels": ["candles"], "id": 2})
        assert await client.hears() == [
            {
                "type": "ack", "id": 2, "action": "unsubscribe", "seq": 0,
                "subscription": {"trades": ["A"], "quotes": ["B"]},
                "by_interval_ms": {"0": {"trades": ["A"]}, "100": {"quotes": ["B"]}}, "batch": False,
            }
        ]  # fmt: skip
        await client.subscribes(channels=["quotes"], symbols=["B"])
        await stage.publish(
            trade(1, "A"), trade(2, "B"), quote(3, "A"), quote(4, "B"), candle(2, "A"), trade(6, "A")
        )
        assert numbers(await client.hears(3)) == [1, 4, 6]

    play(scene)


def test_a_subscription_begins_with_what_is_newest() -> None:
    """One snapshot for each symbol, of what is new to the subscription; live data follows without a hole."""

    async def scene(stage: Stage) -> None:
        await stage.publish(trade(1), quote(2), candle(2), candle(4), candle(3, interval="5m"))
        client, _ = stage.session()
        await client.hears()
        ack, first, second = await client.subscribes(
            channels=["trades", "quotes", "candles"], symbols=["AAPL", "MSFT"], intervals=["1m", "5m", "1h"]
        )
        assert (ack["type"], ack["seq"]) == ("ack", 5)
        assert (first["type"], first["symbol"], first["seq"]) == ("snapshot", "AAPL", 5)
        assert first["data"]["trade"]["trade_id"] == "t1"
        assert first["data"]["quote"]["mid"] == 187.5
        bars = [(bar["interval"], bar["version"]) for bar in first["data"]["candles"]]
        assert bars == [("1m", 4), ("5m", 3)]
        assert second["data"] == {"trade": None, "quote": None, "candles": []}
        await stage.publish(trade(6))
        assert numbers(await client.hears()) == [6]
        client.say({"type": "subscribe", "symbols": ["AAPL"]})
        client.say({"type": "ping"})
        assert [each["type"] for each in await client.hears(2)] == ["ack", "pong"]

    play(scene)


def stored(event: Candle) -> Bar:
    """As it is read from Cassandra."""
    return Bar(event.start, event.version, incoming(event)[0].data)


def versions(snapshot: dict[str, Any]) -> list[tuple[str, int]]:
    return [(bar["interval"], bar["version"]) for bar in snapshot["data"]["candles"]]


def test_a_bar_that_the_feed_has_not_brought_is_read() -> None:
    """After a start; where memory has the current one it is not."""
    read: list[tuple[str, str]] = []

    async def bar(symbol: str, interval: str) -> Bar | None:
        read.append((symbol, interval))
        return stored(candle(6, symbol, interval)) if symbol == "AAPL" else None

    async def scene(stage: Stage) -> None:
        stage.bars.read = bar
        await stage.publish(candle(4))
        client, _ = stage.session()
        await client.hears()
        _, first, second = await client.subscribes(
            channels=["candles"], symbols=["AAPL", "MSFT"], intervals=["1m", "5m"]
        )
        assert versions(first) == [("1m", 4), ("5m", 6)]
        assert first["data"]["candles"][1]["indicators"] == {"rsi_14": 54.25}
        assert second["data"] == {"candles": []}
        assert sorted(read) == [("AAPL", "5m"), ("MSFT", "1m"), ("MSFT", "5m")]

    play(scene)


def test_a_new_version_of_an_old_bar_is_not_the_current_one() -> None:
    """The feed may bring it first: a bar is looked for that is newer."""

    async def bar(*_: str) -> Bar | None:
        return stored(candle(6, bar=-1))

    async def scene(stage: Stage) -> None:
        stage.bars.read = bar
        await stage.publish(candle(9, bar=-60, final=True))
        client, _ = stage.session()
        await client.hears()
        _, snapshot = await client.subscribes(channels=["candles"], symbols=["AAPL"])
        assert versions(snapshot) == [("1m", 6)]

    play(scene)


def test_a_snapshot_is_never_older_than_what_came_while_its_bar_was_read() -> None:
    """The reading holds up neither the events nor another client, nor the symbols that need none."""

    async def scene(stage: Stage) -> None:
        goes_on = asyncio.Event()

        async def bar(*_: str) -> Bar | None:
            await goes_on.wait()
            return stored(candle(4))

        stage.bars.read = bar
        await stage.publish(candle(2, "MSFT"))
        client, _ = stage.session()
        other, _ = stage.session()
        for each in (client, other):
            await each.hears()
        client.say({"type": "subscribe", "channels": ["candles"], "symbols": ["AAPL", "MSFT"]})
        ack, first = await client.hears(2)
        assert (ack["type"], first["symbol"]) == ("ack", "MSFT")
        await other.subscribes(channels=["candles"], symbols=["MSFT"])
        await stage.publish(candle(8), candle(4, "MSFT"))
        assert numbers(await client.hears(2)) == [2, 3]
        assert numbers(await other.hears()) == [3]
        goes_on.set()
        (snapshot,) = await client.hears()
        assert (snapshot["symbol"], snapshot["seq"], versions(snapshot)) == ("AAPL", 3, [("1m", 8)])

    play(scene)


def test_what_is_stored_may_be_newer_than_what_has_come() -> None:
    """Then it is the snapshot, also where the feed has been heard meanwhile."""

    async def scene(stage: Stage) -> None:
        async def bar(*_: str) -> Bar | None:
            await stage.publish(candle(2))
            return stored(candle(4))

        stage.bars.read = bar
        client, _ = stage.session()
        await client.hears()
        client.say({"type": "subscribe", "channels": ["candles"], "symbols": ["AAPL"]})
        heard = await client.hears(3)
        assert numbers(heard) == ["ack", 1, "snapshot"]
        assert versions(heard[-1]) == [("1m", 4)]

    play(scene)


def test_what_cannot_be_done_is_answered_with_its_code_and_changes_nothing() -> None:
    """The connection goes on; the id comes back; each is counted."""

    async def scene(stage: Stage) -> None:
        client, _ = stage.session()
        await client.hears()
        refusals = {
            "invalid_json": "{",
            "unknown_type": {"type": "buy", "id": 5},
            "unknown_channel": {"type": "subscribe", "channels": ["x"], "symbols": ["A"], "id": 5},
            "unknown_symbol": {"type": "subscribe", "symbols": ["A", "NOPE"], "id": 5},
            "too_many_symbols": {"type": "subscribe", "symbols": ["A", "B", "C"], "id": 5},
            "message_too_large": {"type": "ping", "id": "x" * 300},
        }
        for code, message in refusals.items():
            client.say(cast(Any, message))
            (told,) = await client.hears()
            assert (told["type"], told["code"]) == ("error", code)
            if code not in ("invalid_json", "message_too_large"):
                assert told["id"] == 5
            assert stage.metrics.errors.labels(code)._value.get() == 1
        client.say(b'{"type":"pong"}')
        client.say({"type": "unsubscribe"})
        assert (await client.hears())[0]["subscription"] == {}

    play(scene, ws_max_symbols=2, ws_max_message_bytes=256)


def test_an_address_that_subscribes_does_so_first() -> None:
    """And is refused as a whole where that cannot be."""

    async def scene(stage: Stage) -> None:
        client, _ = stage.session(lambda: Subscribe(channels=("trades",), symbols=("A",)))
        assert [each["type"] for each in await client.hears(3)] == ["hello", "ack", "snapshot"]
        client.say({"type": "ping", "id": 1})
        assert await client.hears() == [{"type": "pong", "id": 1, "time": "2026-01-05T12:00:00.010000Z"}]

        def impossible() -> Subscribe:
            raise ProtocolError("invalid_symbol", "no")

        for first, code in (
            (lambda: Subscribe(channels=("trades",), symbols=("NOPE",)), "unknown_symbol"),
            (impossible, "invalid_symbol"),
        ):
            client, session = stage.session(first)
            assert await session == "refused"
            assert [each.get("code") for each in client.heard()] == [None, code]
            assert client.closed == (1008, code)

    play(scene)


def test_silence_is_broken_by_a_heartbeat() -> None:
    """From its seq the client can resume: all before it has been sent."""

    async def scene(stage: Stage) -> None:
        client, _ = stage.session()
        await client.hears()
        await stage.publish(trade())
        assert await client.hears() == [
            {"type": "heartbeat", "seq": 1, "time": "2026-01-05T12:00:00.010000Z"}
        ]

    play(scene, ws_heartbeat_seconds=0.2)


def test_a_client_resumes_where_it_was() -> None:
    """What was missed comes before what is live, with its old numbers, and no snapshot."""

    async def scene(stage: Stage) -> None:
        await stage.publish(trade(1), trade(2), candle(2), candle(4), trade(5, "MSFT"), trade(6))
        client, _ = stage.session()
        await client.hears()
        client.say(
            {
                "type": "subscribe", "id": 3, "symbols": ["AAPL"],
                "resume": {"epoch": stage.hub.epoch, "seq": 1},
            }
        )  # fmt: skip
        heard = await client.hears(5)
        assert numbers(heard) == ["ack", 2, 4, 6, "resumed"]
        assert heard[-1] == {"type": "resumed", "id": 3, "seq": 6, "replayed": 3}
        await stage.publish(trade(7))
        assert numbers(await client.hears()) == [7]

    play(scene)


def test_a_client_that_cannot_resume_is_told_so_and_goes_on_live() -> None:
    """With the new epoch, and a snapshot."""

    async def scene(stage: Stage) -> None:
        await stage.publish(trade(1))
        client, _ = stage.session()
        await client.hears()
        client.say({"type": "subscribe", "symbols": ["AAPL"], "resume": {"epoch": "before", "seq": 1}})
        ack, failed, snapshot = await client.hears(3)
        assert ack["subscription"] == {"trades": ["AAPL"], "candles": {"AAPL": ["1m"]}}
        assert (failed["type"], failed["code"]) == ("resume_failed", "epoch_changed")
        assert failed["epoch"] == stage.hub.epoch
        assert snapshot["data"]["trade"]["trade_id"] == "t1"

    play(scene)


def test_one_replay_at_a_time() -> None:
    """What waits for one client stays bounded."""

    async def scene(stage: Stage) -> None:
        await stage.publish(*(trade(number) for number in range(1, 101)))
        client, _ = stage.session()
        await client.hears()
        client.reads.clear()
        for _ in range(2):
            client.say(
                {"type": "subscribe", "symbols": ["AAPL"], "resume": {"epoch": stage.hub.epoch, "seq": 0}}
            )
        await asyncio.sleep(0.1)
        client.reads.set()
        heard = await client.hears(103)
        assert numbers(heard) == ["ack", *range(1, 101), "resumed", "error"]
        assert heard[-1]["code"] == "resume_busy"

    play(scene)


def test_messages_of_a_client_that_wants_batches_share_frames() -> None:
    """What waits at the same time; a single one comes as it is."""

    async def scene(stage: Stage) -> None:
        client, _ = stage.session()
        await client.hears()
        client.say({"type": "subscribe", "symbols": ["AAPL"], "batch": True})
        (first,) = await client.hears()
        assert [each["type"] for each in first["messages"]] == ["ack", "snapshot"]
        await stage.publish(trade(1), trade(2), candle(2))
        (batch,) = await client.hears()
        assert batch["type"] == "batch"
        assert numbers(batch["messages"]) == [1, 2, 3]
        await stage.publish(trade(4))
        assert numbers(await client.hears()) == [4]

    play(scene)


def test_an_interval_gathers_messages_and_answers_do_not_wait_for_it() -> None:
    """The newest version of each live bar and the newest quote of each symbol; every trade."""

    async def scene(stage: Stage) -> None:
        client, _ = stage.session()
        await client.hears()
        await client.subscribes(channels=["trades", "quotes", "candles"], symbols=["AAPL"], interval_ms=5_000)
        await stage.publish(trade(1), quote(2), candle(2))
        await asyncio.sleep(0.05)
        await stage.publish(trade(4), quote(5), candle(4), trade(7))
        assert client.heard() == []
        client.say({"type": "ping"})
        assert numbers(await client.hears(6)) == [1, 4, 5, 6, 7, "pong"]

    play(scene)


def test_what_is_sent_at_once_does_not_wait_for_what_is_gathered() -> None:
    """Nor does it take that along: the interval belongs to what its message named."""

    async def scene(stage: Stage) -> None:
        client, _ = stage.session()
        await client.hears()
        await client.subscribes(channels=["candles", "quotes"], symbols=["AAPL"], interval_ms=5_000)
        ack, _ = await client.subscribes(channels=["trades"], symbols=["AAPL"])
        assert ack["by_interval_ms"] == {
            "0": {"trades": ["AAPL"]},
            "5000": {"candles": {"AAPL": ["1m"]}, "quotes": ["AAPL"]},
        }
        await stage.publish(quote(1), trade(2), candle(2), candle(3, final=True), trade(5), quote(6))
        assert numbers(await client.hears(2)) == [2, 5]
        await stage.publish(trade(7))
        assert numbers(await client.hears()) == [7]
        assert client.heard() == []
        client.say({"type": "ping"})
        assert numbers(await client.hears(4)) == [3, 4, 6, "pong"]

    play(scene)


def test_to_name_it_again_changes_the_interval() -> None:
    """What has been gathered until then comes before the ack; without an interval it is sent at once."""

    async def scene(stage: Stage) -> None:
        client, _ = stage.session()
        await client.hears()
        await client.subscribes(channels=["trades"], symbols=["AAPL", "MSFT"], interval_ms=5_000)
        await stage.publish(trade(1), trade(2, "MSFT"))
        await asyncio.sleep(0.05)
        assert client.heard() == []
        client.say({"type": "subscribe", "channels": ["trades"], "symbols": ["AAPL"]})
        assert numbers(await client.hears(3)) == [1, 2, "ack"]
        await stage.publish(trade(3, "MSFT"), trade(4))
        assert numbers(await client.hears()) == [4]
        assert client.heard() == []

    play(scene)


def test_a_connection_has_no_more_intervals_than_can_be_looked_at() -> None:
    """One too many changes nothing; to come back to one of before is none."""

    async def scene(stage: Stage) -> None:
        client, _ = stage.session()
        await client.hears()
        for number in range(MAX_INTERVALS):
            await client.subscribes(channels=["trades"], symbols=[f"S{number}"], interval_ms=1_000 + number)
        client.say({"type": "subscribe", "channels": ["trades"], "symbols": ["AAPL"], "interval_ms": 1})
        assert (await client.hears())[0]["code"] == "too_many_intervals"
        await stage.publish(trade())
        ack, _ = await client.subscribes(channels=["trades"], symbols=["AAPL"], interval_ms=1_000)
        assert ack["by_interval_ms"]["1000"] == {"trades": ["AAPL", "S0"]}
        assert "1" not in ack["by_interval_ms"]

    play(scene)


def test_what_was_gathered_is_resumed_by_its_own_number() -> None:
    """After a break in the middle of an interval: the last one that came of it, not of what came at once."""

    async def scene(stage: Stage) -> None:
        first, session = stage.session()
        await first.hears()
        await first.subscribes(channels=["candles"], symbols=["AAPL"], interval_ms=5_000)
        await first.subscribes(channels=["trades"], symbols=["AAPL"])
        await stage.publish(candle(3, final=True), trade(2))
        assert numbers(await first.hears()) == [2]
        first.leave()
        await session
        second, _ = stage.session()
        await second.hears()
        for channel, seq, interval_ms, replay in (("trades", 2, 0, []), ("candles", 0, 5_000, [1])):
            second.say(
                {
                    "type": "subscribe", "channels": [channel], "symbols": ["AAPL"],
                    "interval_ms": interval_ms, "resume": {"epoch": stage.hub.epoch, "seq": seq},
                }
            )  # fmt: skip
            heard = await second.hears(2 + len(replay))
            assert numbers(heard) == ["ack", *replay, "resumed"]

    play(scene)


def test_who_is_too_slow_resumes_before_what_was_still_gathered() -> None:
    """Although newer messages had been sent at once."""

    async def scene(stage: Stage) -> None:
        client, ended = stage.session()
        await client.hears()
        await client.subscribes(channels=["quotes"], symbols=["AAPL"], interval_ms=5_000)
        await client.subscribes(channels=["trades"], symbols=["AAPL"])
        await stage.publish(quote(1), trade(2))
        assert numbers(await client.hears()) == [2]
        client.reads.clear()
        await stage.publish(trade(3))
        await stage.somebody_is_too_slow()
        client.reads.set()
        assert await ended == "too_slow"
        assert client.heard()[0]["resume_from"] == 0

    play(scene, ws_send_timeout_seconds=1.0)


def test_an_interval_ends_by_itself() -> None:
    """Everything that waits is sent then, however much."""

    async def scene(stage: Stage) -> None:
        client, _ = stage.session()
        await client.hears()
        await client.subscribes(channels=["trades"], symbols=["AAPL"], interval_ms=100)
        await stage.publish(*(trade(number) for number in range(1, 201)))
        assert numbers(await client.hears(200)) == list(range(1, 201))

    play(scene)


def test_a_client_that_pauses_gets_a_gap_and_goes_on() -> None:
    """Bars and alerts of the meantime are there."""

    async def scene(stage: Stage) -> None:
        client, _ = stage.session()
        await client.hears()
        await client.subscribes(channels=["trades", "candles", "alerts"], symbols=["AAPL"])
        client.reads.clear()
        await stage.publish(trade(1))
        await asyncio.sleep(0.05)
        await stage.publish(*(trade(number) for number in range(2, 102)), candle(3, final=True), alert())
        await stage.publish(*(trade(number) for number in range(104, 107)))
        client.reads.set()
        heard = await client.hears(7)
        assert numbers(heard) == [1, 102, 103, "gap", 104, 105, 106]
        assert heard[3] == {"type": "gap", "skipped": {"trades": 100}, "from_seq": 2, "to_seq": 101}
        assert stage.metrics.skipped.labels("trades")._value.get() == 100

    play(scene, ws_queue_ticks=100)


def test_a_client_that_takes_nothing_is_told_gets_its_final_bars_and_is_closed() -> None:
    """While another one gets everything."""

    async def scene(stage: Stage) -> None:
        slow, ended = stage.session()
        fast, _ = stage.session()
        for client in (slow, fast):
            await client.hears()
            await client.subscribes(symbols=["AAPL"])
        slow.reads.clear()
        await stage.publish(trade(1), candle(2))
        await asyncio.sleep(0.05)
        await stage.publish(candle(3, final=True), trade(4), candle(5, bar=1, final=True), candle(6, bar=2))
        assert numbers(await fast.hears(6)) == [1, 2, 3, 4, 5, 6]
        await stage.somebody_is_too_slow()
        slow.reads.set()
        assert await ended == "too_slow"
        told, *last = slow.heard()
        assert (told["code"], told["epoch"], told["resume_from"]) == ("too_slow", stage.hub.epoch, 0)
        assert numbers(last) == [3, 5]
        assert slow.closed == (4008, "too_slow")
        await stage.publish(trade(7))
        assert numbers(await fast.hears()) == [7]
        assert slow.heard() == []

    play(scene, ws_send_timeout_seconds=1.0)


def test_a_client_that_does_not_even_take_its_end_is_left_to_itself() -> None:
    """The server waits no longer than twice the limit."""

    async def scene(stage: Stage) -> None:
        client, ended = stage.session()
        await client.hears()
        client.reads.clear()
        client.say({"type": "ping"})
        assert await ended == "too_slow"
        assert client.closed is None

    play(scene, ws_send_timeout_seconds=0.1)


def test_too_much_that_must_not_be_skipped_ends_the_connection() -> None:
    """After all of it has been sent."""

    async def scene(stage: Stage) -> None:
        client, ended = stage.session()
        await client.hears()
        await client.subscribes(channels=["candles"], symbols=["AAPL"])
        bars = [candle(3, bar=number, final=True) for number in range(15)]
        client.reads.clear()
        await stage.publish(*bars)
        client.reads.set()
        assert await ended == "too_slow"
        told, *last = client.heard()
        assert told["code"] == "too_slow"
        # 10 of the setting, one symbol, and the one that was too many.
        assert numbers(last) == list(range(1, 13))

    play(scene, ws_queue_kept=10, ws_max_symbols=1)


def test_a_client_that_keeps_up_is_sent_events_as_they_come() -> None:
    """Without waiting for a turn, and never before what waits already."""

    async def scene(stage: Stage) -> None:
        client, _ = stage.session()
        await client.hears()
        await client.subscribes(symbols=["AAPL"])
        publish = stage.publish(trade(1), candle(2), candle(3))
        with pytest.raises(StopIteration):
            publish.send(None)  # nobody else had a turn
        assert numbers(client.heard()) == [1, 2, 3]
        client.reads.clear()
        await stage.publish(trade(4))
        client.reads.set()
        await stage.publish(trade(5))
        assert numbers(await client.hears(2)) == [4, 5]

    play(scene)


def test_a_client_that_is_gone_while_something_is_sent_has_left() -> None:
    """The server finds out by the failure."""

    async def scene(stage: Stage) -> None:
        client, ended = stage.session()
        await client.hears()

        async def gone() -> None:
            raise WebSocketDisconnect(1006)

        client.reads.clear()
        client.drained = gone  # type: ignore[method-assign]
        client.say({"type": "ping"})
        assert await ended == "left"

    play(scene)


def test_a_fault_of_ours_shows_nothing_of_the_inside() -> None:
    """The client is told that there was one; the log has the rest."""

    async def broken(symbol: str) -> bool:
        raise RuntimeError(f"secret of {symbol}")

    async def scene(stage: Stage) -> None:
        client, ended = stage.session(exists=broken)
        await client.hears()
        client.say({"type": "subscribe", "symbols": ["AAPL"]})
        assert await ended == "fault"
        assert client.heard() == [
            {"type": "error", "code": "internal", "message": "a fault of ours: the log has it"}
        ]
        assert client.closed == (1011, "internal")

    with capture_logs() as logs:
        play(scene)
    assert [entry["event"] for entry in logs] == ["live_client_failed"]
    assert "secret of AAPL" in repr(logs[0]["exc_info"])


def test_a_class_of_shares_is_found_however_it_is_written() -> None:
    """As over REST; what is unsubscribed from, too."""

    async def exists(symbol: str) -> bool:
        return symbol in {"BRK.B", "AB-C"}

    async def scene(stage: Stage) -> None:
        client, session = stage.session(exists=exists)
        await client.hears()
        ack, *_ = await client.subscribes(channels=["trades"], symbols=["brk-b", "AB-C"])
        assert ack["subscription"] == {"trades": ["AB-C", "BRK.B"]}
        client.say({"type": "subscribe", "channels": ["trades"], "symbols": ["BRK-C"]})
        assert (await client.hears())[0]["code"] == "unknown_symbol"
        client.say({"type": "unsubscribe", "symbols": ["BRK/B"]})
        assert (await client.hears())[0]["subscription"] == {"trades": ["AB-C"]}
        client.leave()
        assert await session == "left"

    play(scene)
