"""A connection's life over hours, in virtual time, with sockets that do what a test wants."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import orjson
import pytest
from structlog.testing import capture_logs

from producer.metrics import ProducerMetrics
from producer.providers.contract import Handshake
from producer.providers.counters import Counters
from producer.providers.deliveries import Delivery, Notice
from producer.providers.link import Link, Patience, Surroundings
from producer.providers.socket import LostError, RefusedError
from schemas.errors import ConfigurationError
from tests.support.provider_frames import NAMES, SYMBOLS, adapter_of, event
from tests.support.virtual_time import VirtualLoop, run_for

PATIENCE = Patience(
    handshake=10, silence=60, ping=15, pong=15, healthy=60, backoff=1, backoff_cap=60
)  # fmt: skip
GREETINGS = {
    "polygon": ['[{"ev":"status","status":"connected"}]', '[{"ev":"status","status":"auth_success"}]'],
    "finage": ['{"status_code":200,"message":"one"}', '{"status_code":200,"message":"two"}'],
}


@dataclass
class FakeSocket:
    """Sends a greeting, then whatever ``life`` yields, each after so many seconds; ends with a LostError."""

    provider: str
    life: Sequence[tuple[float, bytes]] = ()
    lasts_s: float | None = None
    deaf: bool = False
    sent: list[str] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        greeting = [(0.0, text.encode()) for text in GREETINGS.get(self.provider, ())]
        self._coming = [*greeting, *self.life]
        self._began = asyncio.get_running_loop().time()

    async def receive(self) -> bytes:
        if self._coming:
            after_s, payload = self._coming.pop(0)
            await asyncio.sleep(after_s)
            return payload
        if self.lasts_s is not None:
            await asyncio.sleep(self._began + self.lasts_s - asyncio.get_running_loop().time())
            raise LostError("closed", "by the other side")
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, text: str) -> None:
        self.sent.append(text)

    async def ping(self) -> None:
        if self.deaf:
            await asyncio.Event().wait()

    async def close(self) -> None:
        self.closed = True


class World:
    """A link with a scripted network."""

    def __init__(self, provider: str = "coinbase") -> None:
        self.loop = VirtualLoop()
        self.provider = provider
        self.adapter = adapter_of(provider)
        self.symbols = SYMBOLS[provider]
        self.metrics = ProducerMetrics()
        self.delivered: list[Delivery | Notice] = []
        self.dialled_s: list[float] = []
        self.sockets: list[FakeSocket] = []
        self.network: Callable[[int], Awaitable[FakeSocket]] = self.open_socket
        self.market_open = True
        self.orders: list[tuple[float, Sequence[str]]] = []
        self.room = asyncio.Event()
        self.room.set()

    async def open_socket(self, _attempt: int) -> FakeSocket:
        return FakeSocket(self.provider)

    async def dial(self, _: Handshake) -> FakeSocket:
        self.dialled_s.append(self.loop.time())
        socket = await self.network(len(self.dialled_s) - 1)
        self.sockets.append(socket)
        return socket

    async def deliver(self, item: Delivery | Notice, _: int) -> None:
        await self.room.wait()
        self.delivered.append(item)

    def run(self, seconds: float) -> None:
        around = Surroundings(
            self.deliver, Counters(self.metrics, self.provider), PATIENCE, self.loop.now_us,
            lambda: 0.5, lambda _symbols, _at: self.market_open,
        )  # fmt: skip
        link = Link(self.adapter, self.symbols, self.dial, around)
        for at_s, symbols in self.orders:
            self.loop.call_at(at_s, link.leave_out, frozenset(symbols))
        run_for(seconds, link.run(), self.loop)

    def notices(self, what: str) -> list[Notice]:
        return [item for item in self.delivered if isinstance(item, Notice) and item.what == what]

    def gaps_s(self) -> list[float]:
        """Seconds between the attempts."""
        return [round(b - a, 3) for a, b in zip(self.dialled_s, self.dialled_s[1:], strict=False)]

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"provider": self.provider} | labels)

    def frame(self, number: int) -> bytes:
        return orjson.dumps(event(self.provider, self.symbols[0], number, self.loop.now_us()))


@pytest.mark.parametrize("provider", NAMES)
def test_an_outage_of_hours_is_tried_ever_more_rarely(provider: str) -> None:
    """The waits double up to the cap, and each is a part of it: 0.5 of 1, 2, 4 .. 60 s here."""
    world = World(provider)

    async def unreachable(_: int) -> FakeSocket:
        raise LostError("unreachable", "nobody there")

    world.network = unreachable
    world.run(4 * 3600)
    assert world.gaps_s()[:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert 480 <= len(world.dialled_s) <= 490
    assert world.value("producer_provider_disconnects_total", reason="unreachable") == len(world.dialled_s)


@pytest.mark.parametrize("provider", NAMES)
def test_a_server_that_closes_every_second_is_no_storm(provider: str) -> None:
    """A connection that brings data and is gone is a failure as well: only one that lasts is a success."""
    world = World(provider)

    async def short(attempt: int) -> FakeSocket:
        return FakeSocket(provider, [(0.1, world.frame(attempt))], lasts_s=1)

    world.network = short
    world.run(3600)
    assert 110 <= len(world.dialled_s) <= 130
    assert world.value("producer_provider_connections") in (0, 1)
    assert len(world.notices("disconnected")) >= len(world.dialled_s) - 1
    assert all(socket.closed for socket in world.sockets)


def test_after_a_healthy_time_the_waits_begin_anew() -> None:
    """Five failures, then a connection of two minutes with data: the next wait is the first one again."""
    world = World()

    async def network(attempt: int) -> FakeSocket:
        if attempt != 5:
            raise LostError("unreachable", "nobody there")
        return FakeSocket(world.provider, [(30, world.frame(n)) for n in range(4)], lasts_s=120)

    world.network = network
    world.run(200)
    assert world.gaps_s()[:8] == [0.5, 1, 2, 4, 8, 120.5, 1, 2]


def test_retry_after_is_obeyed() -> None:
    """A storm of 429s: never sooner than the server says."""
    world = World()

    async def network(_: int) -> FakeSocket:
        raise LostError("rate_limited", "HTTP 429", 300.0)

    world.network = network
    world.run(3600)
    assert set(world.gaps_s()) == {300.0}


@pytest.mark.parametrize("provider", NAMES)
def test_connected_but_silent_is_made_anew(provider: str) -> None:
    """Pings are answered and nothing comes, while the market is open."""
    world = World(provider)
    world.run(100)
    assert [notice.reason for notice in world.notices("disconnected")][:1] == ["silent"]
    assert len(world.dialled_s) == 2
    assert world.sockets[0].sent == world.sockets[1].sent  # all of it is subscribed to again
    assert 60 <= world.dialled_s[1] <= 80


def test_a_market_that_is_closed_may_be_silent() -> None:
    """The night is no failure; when the market opens the silence begins to count."""
    world = World()
    world.market_open = False
    world.run(12 * 3600)
    assert len(world.dialled_s) == 1


def test_control_messages_are_no_data() -> None:
    """A feed that says nothing but that it is alive is silent."""
    world = World("finnhub")

    async def network(_: int) -> FakeSocket:
        return FakeSocket("finnhub", [(5, b'{"type":"ping"}')] * 100)

    world.network = network
    world.run(100)
    assert world.notices("disconnected")[0].reason == "silent"


def test_an_unanswered_ping_ends_the_connection() -> None:
    """The other side is gone, and TCP has not noticed."""
    world = World()

    async def network(_: int) -> FakeSocket:
        return FakeSocket(world.provider, [(5, world.frame(n)) for n in range(100)], deaf=True)

    world.network = network
    world.run(40)
    assert world.notices("disconnected")[0].reason == "no_pong"
    assert 30 <= world.dialled_s[1] <= 31


def test_while_nothing_is_read_nothing_is_held_against_the_provider() -> None:
    """Kafka is away for an hour: reading stops, and the connection is neither silent nor deaf."""
    world = World()

    async def network(_: int) -> FakeSocket:
        asyncio.get_running_loop().call_later(10, world.room.clear)
        asyncio.get_running_loop().call_later(3600, world.room.set)
        return FakeSocket(world.provider, [(1, world.frame(n)) for n in range(4000)])

    world.network = network
    world.run(3700)
    assert len(world.dialled_s) == 1
    trades = [trade for item in world.delivered if isinstance(item, Delivery) for trade in item.parsed.trades]
    assert [trade.trade_id for trade in trades] == [str(n) for n in range(len(trades))]
    assert len(trades) > 100


@pytest.mark.parametrize("provider", ["polygon", "finage"])
def test_a_handshake_that_is_not_answered_times_out(provider: str) -> None:
    """Connected, and never told that the key is good: no subscription is sent."""
    world = World(provider)

    async def network(_: int) -> FakeSocket:
        socket = FakeSocket(provider)
        socket._coming = []
        return socket

    world.network = network
    world.run(10.1)
    assert world.notices("disconnected")[0].reason == "handshake_timeout"
    assert not any("subscribe" in message for message in world.sockets[0].sent)
    assert world.notices("connected") == []


@pytest.mark.parametrize("provider", ["finnhub", "polygon", "finage"])
def test_a_refused_key_stops_at_once_and_names_the_setting(provider: str) -> None:
    """HTTP 401: one attempt, no second one."""
    world = World(provider)

    async def network(_: int) -> FakeSocket:
        raise RefusedError(401)

    world.network = network
    with pytest.raises(ConfigurationError, match=world.adapter.key_setting):
        world.run(3600)
    assert world.dialled_s == [0]


def test_a_place_that_is_not_served_is_said() -> None:
    """HTTP 451 is what Binance answers to the United States."""
    world = World("binance")

    async def network(_: int) -> FakeSocket:
        raise RefusedError(451)

    world.network = network
    with pytest.raises(ConfigurationError, match="BINANCE_URL"):
        world.run(3600)


def test_subscriptions_are_no_faster_than_the_provider_allows() -> None:
    """Fifty symbols at Finnhub's pace take two seconds."""
    world = World("finnhub")
    world.symbols = tuple(f"S{number}" for number in range(50))
    world.run(1.0)
    assert 24 <= len(world.sockets[0].sent) <= 27


def test_a_hole_in_the_ids_is_told_with_its_times() -> None:
    """Trades 3 and 4 were missed across a reconnect; one that comes again makes no hole."""
    world = World()
    ids = [[1, 2, 2, 1], [5, 6]]

    async def network(attempt: int) -> FakeSocket:
        return FakeSocket(world.provider, [(1, world.frame(n)) for n in ids[min(attempt, 1)]], lasts_s=10)

    world.network = network
    with capture_logs() as entries:
        world.run(14)
    (hole,) = world.notices("missed_trades")
    trades = [trade for item in world.delivered if isinstance(item, Delivery) for trade in item.parsed.trades]
    assert [trade.trade_id for trade in trades] == ["1", "2", "2", "1", "5", "6"]
    assert (hole.symbols, hole.count, hole.since_us, hole.at_us) == (
        ("BTC-USD",), 2, trades[1].event_time, trades[4].event_time,
    )  # fmt: skip
    assert world.value("producer_provider_missed_trades_total") == 2
    assert [entry["count"] for entry in entries if entry["event"] == "provider_missed_trades"] == [2]


def test_a_refused_symbol_is_said_once_and_the_others_go_on() -> None:
    """Also when the connection is made again and again."""
    world = World()
    refusal = b'{"type":"error","message":"Failed to subscribe","reason":"ETH-USD is not a valid product"}'

    async def network(attempt: int) -> FakeSocket:
        return FakeSocket(world.provider, [(0.1, refusal), (0.1, world.frame(attempt))], lasts_s=5)

    world.network = network
    with capture_logs() as entries:
        world.run(60)
    assert len(world.dialled_s) > 3
    assert [notice.symbols for notice in world.notices("symbol_refused")] == [("ETH-USD",)]
    assert len([entry for entry in entries if entry["event"] == "provider_symbol_refused"]) == 1
    assert sum(isinstance(item, Delivery) for item in world.delivered) > 3


def test_what_is_stopped_before_the_first_connection_is_not_asked_for() -> None:
    """Nor is there a connection while everything is; an order while one is made is obeyed after it."""
    world = World("finnhub")
    first, second = world.symbols
    world.orders = [(0.0, world.symbols), (500.0, (first,)), (500.05, (second,)), (500.5, ())]
    world.run(520)
    assert world.dialled_s == [500.0]
    said = [orjson.loads(text) for text in world.sockets[0].sent]
    assert [(message["type"], message["symbol"]) for message in said] == [
        ("subscribe", second),
        ("unsubscribe", second),
        ("subscribe", first),
        ("subscribe", second),
    ]


def test_trade_ids_that_went_on_while_a_symbol_was_stopped_are_no_hole() -> None:
    """The gap of the stop has them already."""
    world = World("coinbase")
    symbol = world.symbols[0]

    async def network(_: int) -> FakeSocket:
        frames = [
            (1.0, world.frame(1)),
            (1.0, world.frame(2)),
            (20.0, world.frame(900)),
            (1, world.frame(902)),
        ]
        return FakeSocket("coinbase", frames)

    world.network = network
    world.orders = [(5.0, (symbol,)), (15.0, ())]
    world.run(40)
    assert [(notice.symbols, notice.count) for notice in world.notices("missed_trades")] == [((symbol,), 1)]
