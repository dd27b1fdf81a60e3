"""What holds for every provider, on real connections to a server that speaks its language, and may be bad."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from producer.clock import SystemClock
from producer.metrics import ProducerMetrics
from producer.providers.deliveries import Delivery, Notice
from producer.providers.feed import Feed
from producer.providers.source import ProviderSource
from producer.runtime import Runtime
from producer.sources import Rejected
from schemas.errors import ConfigurationError
from schemas.events import Quote, Trade
from tests.support.fake_provider import Behaviour, FakeProvider, make_certificate
from tests.support.provider_frames import (
    KEYS,
    NAMES,
    NOW_US,
    RECORDED,
    SYMBOLS,
    Line,
    adapter_of,
    conserved,
    event,
    parse_all,
    provider_settings,
    recorded_lines,
)

LONG_S = 10.0
QUICK = {"provider_backoff_seconds": 0.02, "provider_backoff_cap_seconds": 0.02}
WITH_KEY = ("finnhub", "polygon", "finage")
FIELDS = {"binance": "data", "finnhub": "data"}
"""Where the event is inside of a frame, if it is not the frame itself."""


class Client:
    """A feed that is connected to a fake provider, and what it has brought."""

    def __init__(self, name: str, url: str, symbols: Sequence[str], **changes: Any) -> None:
        settings = provider_settings(**QUICK | {f"{name}_url": url} | changes)
        self.metrics = ProducerMetrics()
        stop = threading.Event()
        self.name = name
        self.runtime = Runtime(SystemClock(stop), self.metrics, stop)
        self.feed = Feed(
            adapter_of(name, **QUICK | {f"{name}_url": url} | changes), symbols, settings, self.runtime
        )
        self.items: list[Delivery | Notice] = []

    @property
    def events(self) -> list[Trade | Quote]:
        parsed = [item.parsed for item in self.items if isinstance(item, Delivery)]
        return [event for each in parsed for event in (*each.trades, *each.quotes)]

    @property
    def rejected(self) -> list[Rejected]:
        return [
            letter for item in self.items if isinstance(item, Delivery) for letter in item.parsed.rejected
        ]

    def notices(self, what: str) -> list[Notice]:
        return [item for item in self.items if isinstance(item, Notice) and item.what == what]

    def reasons(self) -> set[str]:
        return {notice.reason for notice in self.notices("disconnected")}

    def take_until(self, done: Callable[[], bool]) -> None:
        """Takes what comes until ``done``; fails where that is never so."""
        until = time.monotonic() + LONG_S
        while not done():
            assert time.monotonic() < until, self.items
            self.items += self.feed.take(0.02).items

    def value(self, name: str, **labels: str) -> float:
        found = self.metrics.registry.get_sample_value(name, {"provider": self.name} | labels)
        return found or 0.0


@contextmanager
def connected(
    name: str, *behaviours: Behaviour, symbols: Sequence[str] = (), **changes: Any
) -> Iterator[tuple[Client, FakeProvider]]:
    with FakeProvider(name, *behaviours) as server:
        client = Client(name, server.url, symbols or SYMBOLS[name], **changes)
        try:
            yield client, server
        finally:
            client.feed.close()


def frame(name: str, number: int = 1, symbol: int = 0, at_us: int = NOW_US) -> bytes:
    return json.dumps(event(name, SYMBOLS[name][symbol], number, at_us)).encode()


def theirs(name: str) -> set[str]:
    return {adapter_of(name).names.theirs(symbol) for symbol in SYMBOLS[name]}  # type: ignore[attr-defined]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_subscribes_and_its_events_come(name: str) -> None:
    """All symbols are asked for, by the provider's names; what comes is ours, with our names."""
    frames = [frame(name, 1, 0), frame(name, 2, 1)]
    with connected(name, Behaviour(frames=frames)) as (client, server):
        client.take_until(lambda: len(client.events) == 2 and bool(client.notices("connected")))
        assert server.seen[0].subscribed == theirs(name)
        assert [event.symbol for event in client.events] == list(SYMBOLS[name])
        for made in client.events:
            price, size = (made.price, made.size) if isinstance(made, Trade) else (made.bid, made.bid_size)
            assert (made.source, price, size, made.event_time) == (name, 100.5, 0.25, NOW_US)
            assert isinstance(made, Trade) == (client.feed.adapter.kind == "trades")
        assert client.value("producer_provider_connections") == 1


@pytest.mark.parametrize("name", WITH_KEY)
@pytest.mark.parametrize(
    "behaviour", [Behaviour(status=401), Behaviour(refuse_key=True)], ids=["http", "own"]
)
def test_a_refused_key_is_an_error_that_names_the_setting(name: str, behaviour: Behaviour) -> None:
    """Whether by HTTP or in the provider's own words: one attempt, and it is over."""
    with connected(name, behaviour) as (client, server):
        with pytest.raises(ConfigurationError) as raised:
            client.take_until(lambda: False)
        assert client.feed.adapter.key_setting in str(raised.value)
        assert server.attempts == 1


@pytest.mark.parametrize("name", ["coinbase", "finnhub", "polygon"])
def test_a_refused_symbol_is_told_and_the_others_go_on(name: str) -> None:
    """Where the provider says it. Binance takes any name, Finage says nothing about one."""
    bad = adapter_of(name).names.theirs(SYMBOLS[name][1])  # type: ignore[attr-defined]
    with connected(name, Behaviour(refuse=(bad,), frames=[frame(name)])) as (client, server):
        client.take_until(lambda: len(client.events) == 1 and bool(client.notices("symbol_refused")))
        assert [notice.symbols for notice in client.notices("symbol_refused")] == [(SYMBOLS[name][1],)]
        assert client.value("producer_provider_refused_symbols_total") == 1
        assert server.attempts == 1


def test_an_unanswered_ping_ends_the_connection(name: str) -> None:
    """The server has stopped reading: the next connection brings data."""
    behaviours = Behaviour(deaf=True), Behaviour(frames=[frame(name)])
    with connected(name, *behaviours, provider_ping_seconds=0.1) as (client, server):
        client.take_until(lambda: bool(client.events))
        assert client.reasons() == {"no_pong"}
        assert server.attempts == 2


def test_answered_pings_keep_it_open(name: str) -> None:
    """Five pings later it is the same connection."""
    with connected(name, Behaviour(frames=[frame(name)]), provider_ping_seconds=0.3) as (client, server):
        client.take_until(lambda: bool(client.events))
        time.sleep(1.6)
        assert server.attempts == 1


def test_connected_but_silent_is_made_anew(name: str) -> None:
    """The server answers pings and sends nothing."""
    behaviours = Behaviour(), Behaviour(frames=[frame(name)])
    patience = {"provider_silence_seconds": 0.3, "provider_ping_seconds": 0.1}
    with connected(name, *behaviours, **patience) as (client, server):
        client.take_until(lambda: bool(client.events) and server.seen[1].subscribed == theirs(name))
        assert client.reasons() == {"silent"}
        assert server.seen[0].subscribed == theirs(name)


def test_half_a_frame_is_a_lost_connection(name: str) -> None:
    """What came before it counts, and the next connection goes on."""
    behaviours = Behaviour(frames=[frame(name, 1)], half=True), Behaviour(frames=[frame(name, 2)])
    with connected(name, *behaviours) as (client, server):
        client.take_until(lambda: len(client.events) == 2)
        assert client.reasons() == {"closed"}
        assert client.rejected == []
        assert server.attempts == 2


def test_half_a_message_in_a_whole_frame_is_a_dead_letter(name: str) -> None:
    """The frame as it came, with provider and reason; the connection stays."""
    half = frame(name)[:20]
    with connected(name, Behaviour(frames=[half, frame(name)])) as (client, server):
        client.take_until(lambda: len(client.events) == 1)
        (letter,) = client.rejected
        assert (letter.reason, letter.payload) == ("unreadable_frame", half)
        assert letter.detail.startswith(f"{name}: ")
        assert server.attempts == 1


def test_a_frame_of_a_megabyte_is_read(name: str) -> None:
    """A field that we do not know makes it that long: it changes nothing."""
    document = event(name, SYMBOLS[name][0], 1)
    inner = document[0] if isinstance(document, list) else document
    inner["novelty"] = ["x" * 1_000_000]
    with connected(name, Behaviour(frames=[json.dumps(document).encode()])) as (client, _):
        client.take_until(lambda: len(client.events) == 1)
        assert client.rejected == []


def test_a_frame_above_the_limit_is_a_lost_connection(name: str) -> None:
    """It is not read into memory; that it was too long is said."""
    behaviours = Behaviour(frames=[b" " * 100_000]), Behaviour(frames=[frame(name)])
    with connected(name, *behaviours, provider_max_frame_bytes=65_536) as (client, _):
        client.take_until(lambda: len(client.events) == 1)
        assert client.reasons() == {"too_big"}


def test_invalid_utf8_is_a_dead_letter(name: str) -> None:
    """A text frame that is no text: its bytes are kept, the connection stays."""
    broken = frame(name).replace(b"100.5", b"100.5\xff\xfe")
    with connected(name, Behaviour(frames=[broken, frame(name)])) as (client, server):
        client.take_until(lambda: len(client.events) == 1)
        assert [(letter.reason, letter.payload) for letter in client.rejected] == [
            ("unreadable_frame", broken)
        ]
        assert server.attempts == 1


def test_wrong_types_are_dead_letters(name: str) -> None:
    """Each field of an event in turn is a truth value, a list, an object: no crash, nothing is lost."""
    frames: list[bytes] = []
    inside = FIELDS.get(name)
    for wrong in (True, [1], {"a": 1}):
        whole = event(name, SYMBOLS[name][0], 1)
        holder = whole[0] if isinstance(whole, list) else whole
        for key in list(holder):
            changed = holder | {key: wrong}
            frames.append(json.dumps([changed] if isinstance(whole, list) else changed).encode())
        if inside:
            row = holder[inside][0] if isinstance(holder[inside], list) else holder[inside]
            for key in list(row):
                changed = row | {key: wrong}
                filled = [changed] if isinstance(holder[inside], list) else changed
                frames.append(json.dumps(holder | {inside: filled}).encode())
    frames.append(frame(name, 7, symbol=1))
    with connected(name, Behaviour(frames=frames)) as (client, server):
        client.take_until(lambda: bool(client.events) and client.events[-1].symbol == SYMBOLS[name][1])
        outcomes = ("trade", "quote", "correction", "rejected", "control")
        assert client.value("producer_provider_items_total") == sum(
            client.value("producer_provider_outcomes_total", outcome=outcome) for outcome in outcomes
        )
        assert len(client.rejected) >= 5
        assert all(letter.detail.startswith(f"{name}: ") for letter in client.rejected)
        assert server.attempts == 1


def test_disorder_comes_through_as_it_is(name: str) -> None:
    """Times that go backwards and messages that come twice are for the jobs to judge: only that the same
    trade has the same identity is ours, where the provider gives it one."""
    numbers = [(1, 0), (2, -5_000_000), (2, -5_000_000), (3, 1_000_000), (1, 0)]
    frames = [frame(name, number, 0, NOW_US + after_us) for number, after_us in numbers]
    with connected(name, Behaviour(frames=frames)) as (client, _):
        client.take_until(lambda: len(client.events) == 5)
        assert [event.event_time - NOW_US for event in client.events] == [after_us for _, after_us in numbers]
        ids = [event.trade_id for event in client.events if isinstance(event, Trade)]
        if ids:
            assert len(set(ids)) == (5 if name == "finnhub" else 3)
            assert name == "finnhub" or (ids[1] == ids[2] and ids[0] == ids[4])


def test_too_many_attempts_are_made_again_when_the_server_says(name: str) -> None:
    """429 with Retry-After, then a connection."""
    storm = Behaviour(status=429, headers={"Retry-After": "0.2"})
    with connected(name, storm, storm, Behaviour(frames=[frame(name)])) as (client, server):
        began = time.monotonic()
        client.take_until(lambda: bool(client.events))
        assert time.monotonic() - began >= 0.4
        assert client.reasons() == {"rate_limited"}
        assert server.attempts == 3


def test_a_redirect_is_not_followed(name: str) -> None:
    """Nobody is given our key because a server says where to go."""
    with FakeProvider(name) as other:
        redirect = Behaviour(status=302, headers={"Location": other.url})
        with connected(name, redirect, Behaviour(frames=[frame(name)])) as (client, server):
            client.take_until(lambda: bool(client.events))
            assert client.reasons() == {"redirect"}
            assert (server.attempts, other.attempts) == (2, 0)


def test_tls(name: str, tmp_path: Path) -> None:
    """A certificate that nobody vouches for is not accepted; one that the user trusts is."""
    context, certificate = make_certificate(tmp_path)
    with FakeProvider(name, Behaviour(frames=[frame(name)]), tls=context) as server:
        client = Client(name, server.url, SYMBOLS[name])
        try:
            client.take_until(lambda: bool(client.notices("disconnected")))
        finally:
            client.feed.close()
        assert client.reasons() == {"tls"}
        assert server.seen == []
        client = Client(name, server.url, SYMBOLS[name], provider_ca_file=str(certificate))
        try:
            client.take_until(lambda: bool(client.events))
        finally:
            client.feed.close()


def test_a_server_that_closes_is_connected_to_again_and_again(name: str) -> None:
    """Each connection subscribes to everything, and what each brings counts."""
    behaviours = [Behaviour(frames=[frame(name, number)], close=True) for number in range(1, 5)]
    with connected(name, *behaviours, Behaviour()) as (client, server):
        client.take_until(lambda: len(client.events) == 4 and len(server.seen) == 5)
        client.take_until(lambda: bool(server.seen[4].subscribed) and len(client.notices("connected")) >= 1)
        assert client.reasons() == {"closed"}
        assert server.seen[4].subscribed == theirs(name)


def test_no_server_at_all(name: str) -> None:
    """Nobody listens: it is tried again, and when somebody does the data comes."""
    with FakeProvider(name) as server:
        url = server.url
    client = Client(name, url, SYMBOLS[name])
    try:
        client.take_until(lambda: len(client.notices("disconnected")) >= 2)
        assert client.reasons() == {"unreachable"}
    finally:
        client.feed.close()


def test_a_full_queue_makes_the_provider_wait(name: str) -> None:
    """Nothing is taken for a while: reading stops, and then every event comes, in its order."""
    count = 3000
    frames = [frame(name, number, 0, NOW_US + number * 1000) for number in range(count)]
    with connected(name, Behaviour(frames=frames), provider_queue_items=100) as (client, server):
        client.items += client.feed.take(1).items
        until = time.monotonic() + LONG_S
        while not client.value("producer_provider_waits_total") and time.monotonic() < until:
            time.sleep(0.01)
        assert client.value("producer_provider_frames_total") < count
        client.take_until(lambda: len(client.events) == count)
        assert [event.event_time - NOW_US for event in client.events] == [n * 1000 for n in range(count)]
        assert server.attempts == 1


def test_the_key_is_shown_nowhere(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not in our logs, not in those of the libraries, at their most talkative; nor in errors, metrics, dead
    letters or notices, even where the server sends it back."""
    caplog.set_level(logging.DEBUG)
    behaviours = [
        Behaviour(echo=True, close=True),
        Behaviour(status=500),
        Behaviour(frames=[frame(name)], echo=True, half=True),
        Behaviour(status=401),
    ]
    with capture_logs() as entries, connected(name, *behaviours) as (client, _):
        error = ""
        try:
            client.take_until(lambda: name not in WITH_KEY and len(client.notices("disconnected")) >= 4)
        except ConfigurationError as refused:
            error = str(refused)
        shown = "\n".join(
            [
                caplog.text,
                repr(entries),
                repr(client.items),
                error,
                generate_latest(client.metrics.registry).decode(),
                repr(client.feed.adapter),
                repr(client.feed.adapter.handshake()),
                repr(provider_settings()),
            ]
        )
    secrets = client.feed.adapter.secrets
    assert (bool(error), bool(secrets)) == (name in WITH_KEY, name in WITH_KEY)
    assert entries
    for secret in secrets:
        assert secret not in shown
        assert secret.replace("+", "%2B").replace("/", "%2F") not in shown


def test_the_source_gives_batches_and_a_clock(name: str) -> None:
    """As every source does: the clock lags, never goes back, and goes on when nothing comes."""
    with connected(name, Behaviour(frames=[frame(name)])) as (client, _):
        source = ProviderSource(client.feed, 100_000, None)
        batches = []
        began_us = client.runtime.clock.now_us()
        for batch in source.batches():
            batches.append(batch)
            waited_us = client.runtime.clock.now_us() - began_us
            if waited_us > 700_000 and any(each.trades or each.quotes for each in batches):
                break
        clocks = [batch.clock_us for batch in batches]
        assert clocks == sorted(clocks)
        lag_us = client.runtime.clock.now_us() - clocks[-1]
        assert lag_us >= 500_000
        assert clocks[-1] > clocks[0]
        assert source.live
        assert source.name == name


RECORDINGS = {
    "binance": "binance_ws/BINANCE.ws.1.0.jsonl",
    "coinbase": "coinbase_ws/COINBASE.ws.28.0.jsonl",
    "finnhub": "finnhub/aapl_20230331_session.jsonl",
    "polygon": "polygon/ws_samples.jsonl",
}


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_a_recording_comes_over_the_wire_as_it_is_read_from_the_file(name: str) -> None:
    """Every recorded frame, sent by a server: the same events in the same order, as received today."""
    now_us = time.time_ns() // 1000
    lines = [Line(now_us, line.text) for line in recorded_lines(RECORDINGS[name])]

    def content(made: Trade | Quote) -> tuple[object, ...]:
        price = made.price if isinstance(made, Trade) else made.bid
        order = made.sequence if name in ("binance", "coinbase") else 0
        return made.symbol, made.source, type(made), price, order

    parsed = parse_all(adapter_of(name), lines)
    assert all(conserved(each) for each in parsed)
    expected = [content(made) for each in parsed for made in (*each.trades, *each.quotes)]
    with connected(name, Behaviour(frames=[line.text.encode() for line in lines])) as (client, _):
        client.take_until(lambda: client.value("producer_provider_frames_total") >= len(lines))
        client.take_until(lambda: len(client.events) >= len(expected))
    assert [content(made) for made in client.events] == expected


def test_the_recordings_are_those_of_the_project() -> None:
    """Tests that are skipped are skipped for want of the files, not for a wrong path."""
    if not RECORDED.is_dir():
        pytest.skip("the recordings (shared/data) are not on this machine")
    assert all((RECORDED / path).is_file() for path in RECORDINGS.values())
    assert KEYS["finnhub_api_key"]
