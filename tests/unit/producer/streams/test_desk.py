"""Stopping and starting symbols: what is published, what is recorded, what is told of it."""

from collections.abc import Iterator
from dataclasses import replace

import httpx
import numpy as np
import pytest

from producer.metrics_server import MetricsServer
from producer.providers.counters import Counters
from producer.settings import ProducerSettings
from producer.simulator.columns import TradeColumns
from producer.simulator.source import Simulator
from producer.sources import Batch, Rejected
from producer.streams.desk import StreamDesk
from producer.streams.orders import Ordered
from producer.streams.state import StateReport
from schemas.errors import PoisonError
from schemas.events import Gap, ProviderBar, Quote, Trade
from schemas.producer_state import ProducerState
from schemas.stream_orders import StreamOrder
from tests.support.ports import free_ports
from tests.unit.producer.fakes import START_US, FakeClock, fake_runtime

S = 1_000_000
HOUR = 3600 * S


class FakeOrders:
    """What somebody orders."""

    def __init__(self, *before: Ordered) -> None:
        self.before = list(before)
        self.new: list[Ordered] = []

    def catch_up(self) -> list[Ordered]:
        return self.before

    def poll(self) -> list[Ordered]:
        new, self.new = self.new, []
        return new


def order(symbol: str, *, stopped: bool, at_us: int) -> Ordered:
    return Ordered(StreamOrder(symbol=symbol, stopped=stopped), at_us)


class NoSource:
    """Its batches are those of the tests."""

    name = "finnhub,simulator"
    live = True
    heartbeat_us = 100_000

    def batches(self) -> Iterator[Batch]:
        return iter(())


class Setup:
    def __init__(self, *before: Ordered) -> None:
        self.clock = FakeClock()
        self.runtime = fake_runtime(self.clock)
        self.orders = FakeOrders(*before)
        self.desk = StreamDesk(NoSource(), self.orders, ("AAPL", "MSFT"), self.runtime)
        self.desk.open()

    def orders_now(self, symbol: str, *, stopped: bool) -> None:
        self.orders.new.append(order(symbol, stopped=stopped, at_us=self.clock.us))

    def next(self, batch: Batch | None = None, seconds: float = 1.0) -> Batch:
        self.clock.us += round(seconds * S)
        return self.desk.pass_on(batch or Batch(self.clock.us), gate=lambda passed: passed)

    def trade(self, symbol: str, late_us: int = 0) -> Trade:
        at = self.clock.us - late_us
        return Trade(symbol, at, self.clock.us, 10.0, 1.0, f"{symbol}-{at}", 0, "finnhub")


def spans(gaps: list[Gap]) -> list[tuple[str, int, int, bool]]:
    return [(gap.symbol, gap.start, gap.end, gap.closed) for gap in gaps]


def test_a_stopped_symbol_is_not_published_and_its_time_is_a_gap() -> None:
    """From the order on, by event time, until the start; what was traded before and comes late counts."""
    setup = Setup()
    stopped_us = setup.clock.us
    setup.orders_now("AAPL", stopped=True)
    [opened] = setup.next().gaps
    assert (opened.reason, opened.source, opened.closed) == ("stopped", "finnhub", False)
    assert (opened.start, opened.detail) == (stopped_us, "stopped by order")
    late, of_now, other = setup.trade("AAPL", late_us=2 * S), setup.trade("AAPL"), setup.trade("MSFT")
    quotes = [Quote(name, setup.clock.us, 0, 1.0, 1.0, 2.0, 1.0, 0, "finnhub") for name in ("AAPL", "MSFT")]
    bars = [
        ProviderBar(name, "yahoo", "1m", setup.clock.us, 0, 1, 1, 1, 1, 1, None, None, False, 0)
        for name in ("AAPL", "MSFT")
    ]
    passed = setup.next(Batch(setup.clock.us, [late, of_now, other], quotes, bars=bars), seconds=0)
    assert (passed.trades, passed.quotes, passed.bars) == ([late, other], quotes[1:], bars[1:])
    assert setup.desk.tallies.published == {"finnhub": 3, "yahoo": 1}
    assert not [gap for _ in range(50) for gap in setup.next().gaps]
    told = [gap for _ in range(20) for gap in setup.next().gaps]
    assert spans(told) == [("AAPL", stopped_us, stopped_us + 60 * S, False)]
    setup.orders_now("AAPL", stopped=False)
    [closed] = setup.next().gaps
    assert spans([closed]) == [("AAPL", stopped_us, setup.clock.us, True)]
    assert {gap.gap_id for gap in (opened, *told, closed)} == {f"stopped:AAPL:finnhub:{stopped_us}"}
    again = setup.trade("AAPL")
    assert setup.next(Batch(setup.clock.us, [again])).trades == [again]
    registry = setup.runtime.metrics.registry
    assert registry.get_sample_value("producer_gaps_total", {"reason": "stopped"}) == 3
    assert registry.get_sample_value("producer_stopped_streams") == 0


def test_a_stop_outlives_the_producer_and_goes_on_as_the_same_gap() -> None:
    """The last order of each symbol counts, and what is on record keeps its ids, hour by hour."""
    start = START_US - 150 * 60 * S
    hour = START_US // HOUR * HOUR
    setup = Setup(
        order("MSFT", stopped=True, at_us=start),
        order("AAPL", stopped=True, at_us=start),
        order("GONE", stopped=True, at_us=start),
        order("MSFT", stopped=False, at_us=start + S),
        order("AAPL", stopped=True, at_us=start + 2 * S),
    )
    assert dict(setup.runtime.stopped.since) == {"AAPL": start}
    found = setup.next(Batch(START_US, [setup.trade("AAPL")]))
    assert not found.trades
    pieces = [(gap.gap_id, gap.start, gap.end) for gap in found.gaps if gap.symbol == "AAPL"]
    assert pieces == [
        (f"stopped:AAPL:finnhub:{start}", start, start),
        (f"stopped:AAPL:finnhub:{start}", start, hour - HOUR),
        (f"stopped:AAPL:finnhub:{hour - HOUR}", hour - HOUR, hour),
        (f"stopped:AAPL:finnhub:{hour}", hour, setup.clock.us),
    ]


def test_a_start_while_no_producer_ran_ends_the_gap() -> None:
    """In the same record that the stop began; of a symbol that is stopped again, that of now goes on."""
    at = START_US - 60 * S
    setup = Setup(
        order("AAPL", stopped=True, at_us=at),
        order("MSFT", stopped=True, at_us=at),
        order("AAPL", stopped=False, at_us=at + 20 * S),
        order("MSFT", stopped=False, at_us=at + 20 * S),
        order("MSFT", stopped=True, at_us=at + 40 * S),
    )
    newest = {(gap.gap_id, gap.symbol): gap for gap in setup.next().gaps}
    assert spans(list(newest.values())) == [
        ("AAPL", at, at + 20 * S, True),
        ("MSFT", at, at + 20 * S, True),
        ("MSFT", at + 40 * S, at + 40 * S, False),
    ]
    assert dict(setup.runtime.stopped.since) == {"MSFT": at + 40 * S}


def test_a_stop_of_long_ago_is_not_told_from_its_beginning() -> None:
    """A week of it is; the records of before are there already."""
    setup = Setup(order("AAPL", stopped=True, at_us=START_US - 365 * 24 * HOUR))
    gaps = setup.next().gaps
    assert len(gaps) == 7 * 24 + 2
    assert min(gap.start for gap in gaps) == (START_US - 7 * 24 * HOUR) // HOUR * HOUR


def test_orders_that_change_nothing_or_name_an_unknown_symbol_do_nothing() -> None:
    """Two stops are one, and a start of what runs is none."""
    setup = Setup()
    setup.orders_now("NOPE", stopped=True)
    setup.orders_now("AAPL", stopped=False)
    assert not setup.next().gaps
    setup.orders_now("AAPL", stopped=True)
    setup.orders_now("AAPL", stopped=True)
    assert len(setup.next().gaps) == 1


def test_columns_lose_the_rows_of_a_stopped_symbol_only() -> None:
    """And stay columns: the simulator's quick way."""
    times = np.arange(START_US, START_US + 6)
    columns = TradeColumns(
        symbols=("AAPL", "MSFT"),
        symbol=np.array([0, 1, 0, 1, 0, 1]),
        event_time=times,
        received_at=times,
        sequence=np.arange(6),
        exchange=np.zeros(6, np.int64),
        price=np.full(6, 10.0),
        size=np.ones(6),
        correctable=np.zeros(6, np.bool_),
    )
    setup = Setup()
    setup.runtime.stopped.set({"AAPL": START_US + 2})
    passed = setup.next(Batch(START_US, columns)).trades
    assert isinstance(passed, TradeColumns)
    assert [(trade.symbol, trade.sequence) for trade in passed] == [
        ("AAPL", 0), ("MSFT", 1), ("MSFT", 3), ("MSFT", 5),
    ]  # fmt: skip
    tallies = setup.desk.tallies
    assert tallies.published == {"simulator": 4}
    assert [(tallies.trades(name), tallies.last(name)) for name in ("AAPL", "MSFT", "V")] == [
        (1, START_US), (3, START_US + 5), (0, 0),
    ]  # fmt: skip


def test_the_simulator_tells_what_it_had_to_leave_out() -> None:
    """A second and more behind: no trades from then until now, of any symbol, and that is a gap."""
    clock = FakeClock()
    runtime = fake_runtime(clock)
    settings = ProducerSettings(symbols=("AAPL", "MSFT"), simulator_scenarios=())
    batches = Simulator(settings, 100_000, clock, runtime.metrics).batches()
    assert not next(batches).gaps
    before = clock.us
    clock.us += 3 * S
    behind = next(batches)
    assert spans(list(behind.gaps)) == [(name, before, clock.us, True) for name in ("AAPL", "MSFT")]
    assert {(gap.reason, gap.source) for gap in behind.gaps} == {("shed", "simulator")}
    assert not len(behind.trades)
    assert not next(batches).gaps


def test_the_state_tells_of_every_provider_and_every_stream() -> None:
    """Counts, what is stopped, and which settings are there: never their values."""
    setup = Setup()
    settings = ProducerSettings(
        source="finnhub", symbols=("AAPL", "MSFT"), finnhub_api_key="SECRET", finage_socket_key="SECRET"
    )
    report = StateReport(settings, NoSource(), setup.desk, setup.runtime)
    traded = setup.trade("AAPL")

    def refuses(batch: Batch) -> Batch:
        refused = Rejected("invalid_price", "", b"")
        return replace(batch, trades=batch.trades[:1], rejected=(refused,))

    setup.desk.pass_on(Batch(setup.clock.us, [traded, traded]), gate=refuses)
    setup.orders_now("MSFT", stopped=True)
    setup.next()
    Counters(setup.runtime.metrics, "yahoo").budget(-2.0, 0)
    body = report.json()
    assert b"SECRET" not in body
    state = ProducerState.model_validate_json(body)
    finnhub, finage = (
        next(one for one in state.providers if one.name == name) for name in ("finnhub", "finage")
    )
    assert (finnhub.in_use, finnhub.priority, finnhub.configured, finnhub.proven) == (True, 1, True, True)
    assert (finnhub.published, finnhub.refused, finnhub.gives) == (1, 1, ["trades"])
    assert finnhub.limits is not None
    assert finnhub.limits.symbols_per_connection == 50
    assert (finage.in_use, finage.configured, finage.proven) == (False, False, False)
    assert finage.needs == ["FINAGE_SOCKET_KEY", "FINAGE_URL"]
    polled = {one.name: one for one in state.providers if one.kind == "polling"}
    assert {name: (one.gives, one.proven, one.configured) for name, one in polled.items()} == {
        "alpha_vantage": (["quotes", "provider_bars"], False, False),
        "fmp": (["quotes"], False, False),
        "yahoo": (["quotes", "provider_bars"], False, True),
    }
    limits = polled["alpha_vantage"].limits
    assert limits is not None
    assert (limits.requests_per_minute, limits.requests_per_day, limits.connections) == (5, 25, None)
    assert polled["fmp"].budget is None
    assert polled["yahoo"].budget is not None
    assert (polled["yahoo"].budget.requests, polled["yahoo"].budget.paused_until) == (-2.0, None)
    assert [(one.symbol, one.status, one.trades) for one in state.streams] == [
        ("AAPL", "running", 1),
        ("MSFT", "stopped", 0),
    ]


def test_the_state_is_served_beside_the_metrics_and_can_only_be_read() -> None:
    """503 until there is one; a web page must not be able to change anything here."""
    setup = Setup()
    [port] = free_ports(1)
    server = MetricsServer(setup.runtime.metrics, "127.0.0.1", port)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            assert client.get("/state").status_code == 503
            server.state = lambda: b"{}"
            answer = client.get("/state")
            assert (answer.status_code, answer.json()) == (200, {})
            assert client.post("/state").status_code == 405
            assert "producer_stopped_streams 0.0" in client.get("/metrics").text
    finally:
        server.close()


@pytest.mark.parametrize("value", [b"", b"[]", b'{"symbol": 1, "stopped": true}', b'{"symbol": "A"}'])
def test_what_is_no_order_is_told_so(value: bytes) -> None:
    """Whoever writes to the topic cannot end the producer."""
    with pytest.raises(PoisonError, match="unreadable_order"):
        StreamOrder.read(value)


def test_an_order_reads_back_as_it_was_written() -> None:
    """With its symbol as the key: Kafka keeps the last one of each."""
    given = StreamOrder(symbol="BRK.B", stopped=True)
    assert (given.key, StreamOrder.read(given.value)) == (b"BRK.B", given)
