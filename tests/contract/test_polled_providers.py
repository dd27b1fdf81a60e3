"""What holds for every provider that is asked, by real HTTP with a server that may be bad, over hours of
virtual time."""

import gzip
import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from producer.clock import SystemClock
from producer.frame_lines import FrameReader, frame_of, line_of
from producer.main import validator_for
from producer.metrics import ProducerMetrics
from producer.providers import http
from producer.providers.catalogue import POLLED
from producer.providers.contract import Frame, Parsed
from producer.providers.contract import Reply as PollReply
from producer.providers.counters import Counters
from producer.providers.deliveries import Delivery, Notice
from producer.providers.feed import patience_of
from producer.providers.http import RestClient, gate_of
from producer.providers.link import Surroundings
from producer.providers.poller import Poller
from producer.providers.settings import ProviderSettings
from producer.providers.tls import trusted_certificates
from producer.recorder import Recorder, RecorderSettings
from producer.registry import Making, make_source, member
from producer.replay import Replay
from producer.runtime import Runtime
from producer.settings import ProducerSettings, ReplaySettings
from producer.sources import Batch, Rejected
from producer.startup import Destination
from schemas.errors import ConfigurationError
from schemas.events import ProviderBar, Quote
from tests.support.fake_provider import make_certificate
from tests.support.fake_rest import Asked, FakeRest, Reply, rest_server
from tests.support.provider_answers import MINUTE_US, PRICES, bars_answer, quote_answer
from tests.support.provider_frames import (
    KEYS,
    NOW_US,
    POLLED_NAMES,
    SYMBOLS,
    conserved,
    polled_of,
    provider_settings,
)
from tests.support.virtual_time import VirtualLoop, run_for
from tests.unit.producer.fakes import fake_runtime

GRACE_S, LONG_S = 0.003, 30.0
S = 1_000_000
WITH_KEY = ("alpha_vantage", "fmp")
WITH_BARS = ("alpha_vantage", "yahoo")
NO_LIMITS = {
    "alpha_vantage_requests_per_minute": 6000, "alpha_vantage_requests_per_day": 0,
    "fmp_requests_per_minute": 6000, "fmp_requests_per_day": 0, "yahoo_requests_per_minute": 6000,
}  # fmt: skip
REFUSED_KEYS = {
    "alpha_vantage": "the parameter apikey is invalid or missing. Please claim your free API key.",
    "fmp": "Invalid API KEY. Please retry or visit our documentation to create one.",
}
LIMITS_SAID = {
    "alpha_vantage": [
        ({"Note": "Our standard API call frequency is 5 calls per minute and 500 calls per day."}, 60),
        ({"Information": "We have detected your API key as ALPHA+SECRET/4 and our standard API rate limit is"
          " 25 requests per day. Please subscribe to any of the premium plans."}, 3600),
    ],
    "fmp": [({"Error Message": "Limit Reach . Please upgrade your plan or visit our documentation."}, 60)],
    "yahoo": [({"chart": {"result": None, "error": {"code": "Too Many Requests", "description": "?"}}}, 60)],
}  # fmt: skip


class World:
    """A poller, and a server that answers it; ``symbols`` as we call them."""

    def __init__(
        self,
        name: str,
        *replies: Reply | Callable[[Asked], Reply],
        symbols: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
        limits: bool = False,
        **changes: Any,
    ) -> None:
        self.name = name
        self.loop = VirtualLoop(GRACE_S)
        self.symbols = tuple(symbols or SYMBOLS[name])
        self.changes = ({} if limits else NO_LIMITS) | {f"{name}_poll_seconds": 60.0} | changes
        self.metrics = ProducerMetrics()
        self.delivered: list[Delivery | Notice] = []
        self.server = FakeRest(name, self.loop.now_us, *replies, tls=tls)
        self.connections = 0.0
        self.market_open: Callable[[int], bool] = lambda _: True
        self.orders: list[tuple[float, Sequence[str]]] = []
        self.recorded: list[bytes] = []

    async def deliver(self, item: Delivery | Notice, _weight: int) -> None:
        self.delivered.append(item)

    def record(self, provider: str, frame: Frame) -> None:
        self.recorded.append(line_of(provider, frame))

    async def _main(self) -> None:
        async with self.server:
            changes = {f"{self.name}_url": self.server.url} | self.changes
            settings, adapter = provider_settings(**changes), polled_of(self.name, **changes)
            around = Surroundings(
                self.deliver, Counters(self.metrics, self.name), patience_of(settings), self.loop.now_us,
                lambda: 0.5, lambda _symbols, at: self.market_open(at), self.record,
            )  # fmt: skip
            client = RestClient(self.name, gate_of(self.name, adapter.limits, self.loop.now_us), settings)
            poller = Poller(adapter, self.symbols, client, around)
            for at_s, symbols in self.orders:
                self.loop.call_later(at_s, poller.leave_out, frozenset(symbols))
            await poller.run()

    def run(self, seconds: float) -> "World":
        """And what was recorded of it reads back as what it has brought, with no key and no setting."""
        self.loop.call_later(seconds - 1, self._look)
        try:
            run_for(seconds, self._main(), self.loop)
        finally:
            reader = FrameReader(ProviderSettings())
            frames = [frame_of(line.decode()) for line in self.recorded]
            again = [event for frame in frames for event in reader.events(*frame)]
            assert again == [event for item in self._deliveries for event in events_of(item.parsed)]
        return self

    def _look(self) -> None:
        """While it still runs: whether it takes itself for connected."""
        self.connections = self.value("producer_provider_connections")

    @property
    def asked_s(self) -> list[float]:
        """When each request came, in seconds from the beginning."""
        return [round((asked.at_us - NOW_US) / S, 1) for asked in self.server.asked]

    @property
    def quotes(self) -> list[Quote]:
        return [quote for item in self._deliveries for quote in item.parsed.quotes]

    @property
    def bars(self) -> list[ProviderBar]:
        return [bar for item in self._deliveries for bar in item.parsed.bars]

    @property
    def rejected(self) -> list[Rejected]:
        return [letter for item in self._deliveries for letter in item.parsed.rejected]

    @property
    def _deliveries(self) -> list[Delivery]:
        return [item for item in self.delivered if isinstance(item, Delivery)]

    def notices(self, what: str) -> list[Notice]:
        return [item for item in self.delivered if isinstance(item, Notice) and item.what == what]

    def reasons(self) -> set[str]:
        return {notice.reason for notice in self.notices("disconnected")}

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, {"provider": self.name} | labels) or 0.0

    def conserved(self) -> bool:
        """Whether all that was received is in exactly one place."""
        outcomes = ("trade", "quote", "correction", "bar", "rejected", "control")
        return self.value("producer_provider_items_total") == sum(
            self.value("producer_provider_outcomes_total", outcome=outcome) for outcome in outcomes
        )


def events_of(parsed: Parsed) -> list[Any]:
    """In the order in which a recording tells them."""
    return [*parsed.trades, *parsed.quotes, *parsed.corrections, *parsed.bars, *parsed.rejected]


@pytest.fixture(autouse=True)
def _certificates_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the system take longer to read than a test to run."""
    monkeypatch.setattr(http, "trusted_certificates", trusted)


@cache
def trusted(settings: ProviderSettings) -> ssl.SSLContext:
    return trusted_certificates(settings) if settings.provider_ca_file else SYSTEM


SYSTEM = trusted_certificates(provider_settings())


@pytest.fixture(params=POLLED_NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def theirs(name: str) -> list[str]:
    return [polled_of(name).names.theirs(symbol) for symbol in SYMBOLS[name]]  # type: ignore[attr-defined]


def asked_for(name: str, asked: Asked) -> str:
    return asked.path.rpartition("/")[2] if name == "yahoo" else asked.query["symbol"]


def answer(name: str, at_us: int = NOW_US, price: float = 100.5, symbol: int = 0) -> Reply:
    """The last price of a symbol, without bars."""
    return Reply(body=quote_answer(name, theirs(name)[symbol], at_us, price))


def one(name: str, *replies: Reply | Callable[[Asked], Reply], **changes: Any) -> World:
    """Asked for one symbol, without bars."""
    return World(name, *replies, symbols=SYMBOLS[name][:1], provider_bars="none", **changes)


def test_prices_come_under_our_names(name: str) -> None:
    """All symbols are asked for by the provider's names; a price is a quote without sizes, and no trade."""
    world = World(name).run(30)
    assert list(dict.fromkeys(asked_for(name, asked) for asked in world.server.asked)) == theirs(name)
    assert [quote.symbol for quote in world.quotes] == list(SYMBOLS[name])
    for quote in world.quotes:
        assert (quote.source, quote.bid, quote.ask) == (name, 100.5, 100.5)
        assert (quote.bid_size, quote.ask_size) == (0.0, 0.0)
        assert 0 <= quote.event_time - NOW_US < S
    assert [notice.symbols for notice in world.notices("connected")] == [SYMBOLS[name]]
    assert (world.connections, world.value("producer_provider_connections")) == (1, 0)
    assert world.conserved()
    assert world.rejected == []


@pytest.mark.parametrize("name", WITH_BARS)
def test_bars_come_as_the_provider_made_them(name: str) -> None:
    """The newest is not over; the others are."""
    world = World(name).run(30)
    last = NOW_US - NOW_US % MINUTE_US
    made = {(bar.symbol, (bar.start - last) // MINUTE_US): bar for bar in world.bars}
    assert sorted(made) == sorted((symbol, index) for symbol in SYMBOLS[name] for index in (-2, -1, 0))
    for (_, index), bar in made.items():
        assert (bar.source, bar.interval, bar.end - bar.start) == (name, "1m", MINUTE_US)
        assert (bar.open, bar.high, bar.low, bar.close) == PRICES
        assert (bar.volume, bar.vwap, bar.trades, bar.indicators) == (7.0, None, None, {})
        assert bar.final == (index < 0)
        assert 0 <= bar.received_at - NOW_US < 30 * S


@pytest.mark.parametrize("name", WITH_BARS)
def test_a_bar_is_published_when_it_is_new_or_has_changed(name: str) -> None:
    """Ten rounds in ten minutes: each bar once while it goes on, and once more when it is over."""
    world = World(name, symbols=SYMBOLS[name][:1]).run(10 * 60 - 5)
    versions: dict[int, list[bool]] = {}
    for bar in world.bars:
        versions.setdefault((bar.start - NOW_US) // MINUTE_US, []).append(bar.final)
    assert versions[-2] == [True]
    assert all(finals in ([True], [False, True]) for start, finals in versions.items() if start < 8)
    assert len(versions) >= 11
    assert world.conserved()


def test_the_same_price_is_told_once(name: str) -> None:
    """And one that is older than the last, as an answer from some cache may be, not at all."""
    moments = [0, 0, 60, 0, 60]
    replies = [answer(name, NOW_US - 600 * S + at * S, 100 + index) for index, at in enumerate(moments)]
    replies[1], replies[4] = replies[0], replies[2]
    world = one(name, *replies, answer(name, NOW_US, 105)).run(5 * 60 + 5)
    if name == "alpha_vantage":  # which gives no time of day: what it says is of now
        assert [quote.bid for quote in world.quotes] == [100, 100, 102, 103, 102, 105]
    else:
        assert [(quote.bid, quote.event_time - NOW_US) for quote in world.quotes] == [
            (100, -600 * S), (102, -540 * S), (105, 0),
        ]  # fmt: skip
    assert world.conserved()


@pytest.mark.parametrize("name", WITH_KEY)
@pytest.mark.parametrize("status", [200, 401, 403])
def test_a_refused_key_is_an_error_that_names_the_setting(name: str, status: int) -> None:
    """Whether by HTTP or in the provider's own words: one request, and it is over."""
    body = {"Error Message": REFUSED_KEYS[name]} if status != 403 else b"Forbidden"
    world = World(name, Reply(status, body))
    with pytest.raises(ConfigurationError, match=f"refuses the key.*set {name.upper()}_API_KEY"):
        world.run(3600)
    assert len(world.server.asked) == 1


def test_without_a_key_a_refusal_is_not_for_ever() -> None:
    """Yahoo refuses for reasons of its own."""
    body = {"finance": {"result": None, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}}
    world = one("yahoo", Reply(401, body), Reply()).run(150)
    assert world.reasons() == {"http_status"}
    assert "Invalid Crumb" in world.notices("disconnected")[0].detail
    assert len(world.quotes) == 2


UNKNOWN = {
    "alpha_vantage": Reply(
        body={"Error Message": "Invalid API call. Please retry or visit the documentation."}
    ),
    "fmp": Reply(body=[]),
    "yahoo": Reply(
        404, {"chart": {"result": None, "error": {"code": "Not Found", "description": "No data"}}}
    ),
}


def test_a_symbol_that_is_not_known_is_told_and_asked_for_again_in_an_hour(name: str) -> None:
    """The others go on."""
    bad = theirs(name)[1]
    unknown: list[bool] = [True]

    def reply(asked: Asked) -> Reply:
        return UNKNOWN[name] if unknown[0] and asked_for(name, asked) == bad else Reply()

    world = World(name, reply, provider_bars="none", **{f"{name}_poll_seconds": 300.0})
    with capture_logs() as entries:
        world.run(8000)
    refused = world.notices("symbol_refused")
    assert [notice.symbols for notice in refused] == [SYMBOLS[name][1:]]
    assert [entry["symbol"] for entry in entries if entry["event"] == "provider_symbol_refused"] == ["BRK.B"]
    assert world.value("producer_provider_refused_symbols_total") == 1
    times = [round(at) for at, asked in zip(world.asked_s, world.server.asked, strict=True)
             if asked_for(name, asked) == bad]  # fmt: skip
    assert [time // 3600 for time in times] == [0, 1, 2]
    assert {quote.symbol for quote in world.quotes} == {"AAPL"}
    assert len([asked for asked in world.server.asked if asked_for(name, asked) != bad]) >= 20
    assert world.reasons() == set()


def test_an_empty_quote_of_alpha_vantage_is_a_symbol_that_is_not_known() -> None:
    """It is what GLOBAL_QUOTE says of one."""
    world = one("alpha_vantage", Reply(body={"Global Quote": {}})).run(10)
    assert [notice.symbols for notice in world.notices("symbol_refused")] == [("AAPL",)]


def test_what_the_plan_lacks_is_left_out() -> None:
    """Bars of Alpha Vantage may be a matter of money: prices go on, and it is said once."""

    def reply(asked: Asked) -> Reply:
        premium = {"Information": "Thank you! This is a premium endpoint. You may subscribe to a plan."}
        return Reply(body=premium) if "interval" in asked.query else Reply()

    with capture_logs() as entries:
        world = World("alpha_vantage", reply).run(300)
    assert [entry["what"] for entry in entries if entry["event"] == "provider_plan_lacks"] == ["bars"]
    assert len([asked for asked in world.server.asked if "interval" in asked.query]) == 1
    assert len(world.quotes) >= 8
    assert world.reasons() == set()


def test_a_plan_without_quotes_is_an_error_that_says_so() -> None:
    """FMP says it as plain text, or of one symbol."""
    batch = Reply(402, b"Exclusive Endpoint: not available under your current subscription")
    with pytest.raises(ConfigurationError, match=r"no quotes for the plan of this key.*FMP_API_KEY"):
        World("fmp", batch, fmp_symbols_per_request=50).run(60)
    special = b"Premium Query Parameter: this value set for 'symbol' is not in your current subscription"
    world = World("fmp", Reply(402, special), Reply()).run(30)
    assert [notice.symbols for notice in world.notices("symbol_refused")] == [("AAPL",)]
    assert [quote.symbol for quote in world.quotes] == ["BRK.B"]


def test_symbols_of_fmp_go_together_where_the_plan_allows_it() -> None:
    """One that is left out of the answer is told."""

    def reply(asked: Asked) -> Reply:
        assert asked.path.endswith("/batch-quote")
        return Reply(body=[quote_answer("fmp", name)[0] for name in asked.query["symbols"].split(",")[:1]])

    world = World("fmp", reply, fmp_symbols_per_request=50).run(10)
    assert world.server.asked[0].query["symbols"] == "AAPL,BRK-B"
    assert [quote.symbol for quote in world.quotes] == ["AAPL"]
    assert [notice.symbols for notice in world.notices("symbol_refused")] == [("BRK.B",)]


@pytest.mark.parametrize("status", [429, 503])
def test_who_asks_too_often_waits_for_as_long_as_it_is_told(name: str, status: int) -> None:
    """A storm of refusals is a storm of three."""
    storm = Reply(status, headers={"Retry-After": "300"})
    world = one(name, storm, storm, storm, Reply()).run(1000)
    starts = world.asked_s[:4]
    assert all(300 <= after - before <= 375 for before, after in pairwise(starts))
    assert world.reasons() == {"rate_limited"}
    assert world.quotes


@pytest.mark.parametrize("number", [0, 1])
def test_a_limit_that_is_said_in_an_answer_of_200_is_one(name: str, number: int) -> None:
    """Nothing is asked for a minute; of a day's limit not for an hour. It is no dead letter."""
    said = LIMITS_SAID[name]
    body, pause_s = said[min(number, len(said) - 1)]
    world = one(name, Reply(body=body), Reply(), **{f"{name}_poll_seconds": 10.0}).run(pause_s + 20)
    assert world.asked_s[0] < 1
    assert pause_s <= world.asked_s[1] <= pause_s + 12
    assert world.reasons() == {"rate_limited"}
    assert "SECRET" not in repr(world.delivered)
    assert world.rejected == []
    assert world.conserved()


def test_a_complaint_is_a_failure_that_is_said_once(name: str) -> None:
    """Whatever the provider may mean by it: asked on, ever more slowly."""
    said = {"Information": "Sorry"} if name == "alpha_vantage" else {"Error Message": "Sorry"}
    if name == "yahoo":
        said = {"chart": {"result": None, "error": {"code": "Bad Request", "description": "Sorry"}}}  # type: ignore[dict-item]
    with capture_logs() as entries:
        world = one(name, *[Reply(body=said)] * 20, Reply()).run(3600)
    assert world.reasons() == {"complaint"}
    assert "Sorry" in world.notices("disconnected")[0].detail
    told = [entry["event"] for entry in entries if entry["event"] != "provider_limits_are_tight"]
    assert told == ["provider_not_answering", "provider_answers_again"]
    assert world.quotes


def test_a_redirect_is_not_followed(name: str) -> None:
    """Nobody is given our key because a server says where to go."""
    other = FakeRest(name, lambda: NOW_US)
    world = one(name, lambda _: Reply(302, headers={"Location": other.url}), Reply())

    async def main() -> None:
        async with other:
            await world._main()

    run_for(100, main(), world.loop)
    assert world.reasons() == {"redirect"}
    assert other.asked == []
    assert world.quotes


def test_tls(name: str, tmp_path: Path) -> None:
    """A certificate that nobody vouches for is not accepted; one that the user trusts is."""
    context, certificate = make_certificate(tmp_path)
    world = one(name, tls=context).run(10)
    assert world.reasons() == {"tls"}
    assert world.server.asked == []
    assert one(name, tls=context, provider_ca_file=str(certificate)).run(10).quotes


def test_half_an_answer_is_none(name: str) -> None:
    """Nor is none at all; the next one counts."""
    world = one(name, Reply(half=True), Reply(silent=True), Reply()).run(200)
    assert [notice.reason for notice in world.notices("disconnected")] == ["closed", "closed"]
    assert world.rejected == []
    assert world.quotes


def test_half_a_document_in_a_whole_answer_is_a_dead_letter(name: str) -> None:
    """As it came, with provider and reason; the provider goes on being asked."""
    half = json.dumps(quote_answer(name, theirs(name)[0])).encode()[:30]
    world = one(name, Reply(body=half), Reply()).run(100)
    (letter,) = world.rejected
    assert (letter.reason, letter.payload) == ("unreadable_frame", half)
    assert letter.detail.startswith(f"{name}: ")
    assert world.reasons() == set()
    assert world.quotes


def test_an_answer_of_a_megabyte_is_read(name: str) -> None:
    """A field that we do not know makes it that long: it changes nothing."""
    document = quote_answer(name, theirs(name)[0])
    holder = document[0] if isinstance(document, list) else document[next(iter(document))]
    holder["novelty"] = ["x" * 1_000_000]
    world = one(name, Reply(body=document)).run(10)
    assert len(world.quotes) == 1
    assert world.rejected == []


def test_an_answer_above_the_limit_is_not_read(name: str) -> None:
    """Nor one that is packed, whose size nobody knows."""
    packed = Reply(headers={"Content-Encoding": "gzip"})
    world = one(name, Reply(body=b" " * 70_000), packed, Reply(), provider_max_frame_bytes=65_536).run(200)
    assert [notice.reason for notice in world.notices("disconnected")] == ["too_big", "protocol"]
    assert world.quotes


def test_invalid_utf8_is_a_dead_letter(name: str) -> None:
    """Its bytes are kept."""
    broken = json.dumps(quote_answer(name, theirs(name)[0])).encode().replace(b"100.5", b"100.5\xff\xfe")
    world = one(name, Reply(body=broken), Reply()).run(100)
    assert [(letter.reason, letter.payload) for letter in world.rejected] == [("unreadable_frame", broken)]
    assert world.quotes


def test_wrong_types_are_dead_letters(name: str) -> None:
    """Each value of an answer in turn is a truth value, a list, an object: no crash, nothing is lost."""
    documents = [quote_answer(name, theirs(name)[0])]
    if name in WITH_BARS:
        documents.append(bars_answer(name, theirs(name)[0], bars=2))
    adapter, rejected = polled_of(name), []
    for document in documents:
        for path in paths(document):
            for wrong in (True, [1], {"a": 1}):
                payload = json.dumps(put(document, path, wrong)).encode()
                parsed = adapter.parse(Frame(payload, NOW_US))
                assert conserved(parsed)
                rejected += [(payload, letter) for letter in parsed.rejected]
    assert len(rejected) >= 5
    assert all(letter.detail.startswith(f"{name}: ") for _, letter in rejected)
    world = one(name, *[Reply(body=payload) for payload, _ in rejected[:3]], Reply()).run(200)
    assert [letter.payload for letter in world.rejected] == [letter.payload for _, letter in rejected[:3]]
    assert world.reasons() == set()
    assert world.conserved()
    assert world.quotes


def paths(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every value of a document."""
    inner: Any = document.items() if isinstance(document, dict) else enumerate(document)
    found = []
    for key, value in inner:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += paths(value, (*path, key))
    return found


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value in a place."""
    if not path:
        return value
    changed = document.copy()
    changed[path[0]] = put(document[path[0]], path[1:], value)
    return changed


def test_a_server_that_is_not_there_is_asked_on(name: str) -> None:
    """Nobody listens: that is said once, and the waits grow."""
    changes = {f"{name}_url": "http://127.0.0.1:1/api"}
    with capture_logs() as entries:
        world = one(name, **changes).run(1800)
    assert world.reasons() <= {"unreachable", "resting"}
    assert "unreachable" in world.reasons()
    said = [entry["reason"] for entry in entries if entry["event"] == "provider_not_answering"]
    assert sorted(said) == sorted(world.reasons())
    assert world.connections == 0


def test_an_address_that_is_none_is_an_error_that_names_the_setting(name: str) -> None:
    """Before it has cost any patience."""
    with pytest.raises(ConfigurationError, match=f"{name.upper()}_URL: the address of {name} is none"):
        one(name, **{f"{name}_url": "www.example.com"}).run(3600)


def test_a_slow_answer_is_not_waited_for(name: str) -> None:
    """Half a minute is enough."""
    world = one(name, Reply(after_s=100), Reply(), provider_request_seconds=30).run(200)
    assert world.reasons() == {"timeout"}
    assert world.asked_s[1] >= 30
    assert world.quotes


def test_a_server_that_fails_is_left_alone_and_tried_again(name: str) -> None:
    """The circuit opens after five failures in a row: then one request each half minute, until one is
    answered."""
    world = one(name, *[Reply(500)] * 9, Reply(), **{f"{name}_poll_seconds": 5.0}).run(400)
    assert world.reasons() == {"http_status", "resting"}
    opened = world.asked_s[4]
    for before, after in zip(world.asked_s[4:9], world.asked_s[5:10], strict=True):
        assert after - before >= 30
    assert world.asked_s[9] - opened >= 150
    assert len([at for at in world.asked_s if at > world.asked_s[9]]) > 20
    assert (world.connections, world.value("producer_provider_connections")) == (1, 0)


def test_no_minute_and_no_day_has_more_requests_than_the_limit(name: str) -> None:
    """Two days with ten symbols, in a hurry; only what the limits allow is asked."""
    symbols = [f"S{number}" for number in range(10)]
    changes: dict[str, Any] = {f"{name}_poll_seconds": 1.0, f"{name}_requests_per_minute": 5}
    per_day = 60 if name != "yahoo" else 10_000
    changes |= {} if name == "yahoo" else {f"{name}_requests_per_day": per_day}
    hours = 1 / 3 if name == "yahoo" else 48
    world = World(name, lambda asked: answer_for(name, asked), symbols=symbols, limits=True, **changes)
    times = world.run(hours * 3600).asked_s
    assert len(times) > 80
    for index, start in enumerate(times):
        assert len([at for at in times[index:] if at < start + 59.8]) <= 5
        assert len([at for at in times[index:] if at < start + 86_400]) <= per_day
    asked = {asked_for(name, asked) for asked in world.server.asked}
    assert asked == set(symbols)


def answer_for(name: str, asked: Asked) -> Reply:
    return Reply(body=quote_answer(name, asked_for(name, asked), asked.at_us))


def test_limits_that_are_too_tight_are_said(name: str) -> None:
    """With the settings as they are: ten symbols of a free key of Alpha Vantage take most of a day."""
    symbols = [f"S{number}" for number in range(10)]
    with capture_logs() as entries:
        World(name, symbols=symbols, limits=True).run(5)
    said = [entry["detail"] for entry in entries if entry["event"] == "provider_limits_are_tight"]
    assert [detail.split(" by")[0] for detail in said] == {
        "alpha_vantage": ["20 requests for all SYMBOLS take 1152 minutes"],
        "fmp": ["10 requests for all SYMBOLS take 58 minutes"],
        "yahoo": [],
    }[name]


def test_what_is_broken_in_every_answer_is_one_dead_letter(name: str) -> None:
    """Not one a minute."""
    world = one(name, Reply(body=b"<html>maintenance</html>")).run(600)
    assert [letter.payload for letter in world.rejected] == [b"<html>maintenance</html>"]
    assert world.conserved()


def test_a_closed_market_is_asked_once(name: str) -> None:
    """Half an hour after its close, when nothing is missing any more; and again when it opens."""
    world = one(name, **{f"{name}_poll_seconds": 120.0})
    world.market_open = lambda at: not 300 * S <= at - NOW_US < 6 * 3600 * S
    times = world.run(6 * 3600 + 600).asked_s
    assert len([at for at in times if at < 300 + 1800]) >= 15
    assert 0 < len([at for at in times if 300 + 1800 <= at < 6 * 3600]) <= 2
    assert len([at for at in times if at >= 6 * 3600]) >= 4


def test_a_stopped_symbol_is_not_asked_for_until_it_is_started(name: str) -> None:
    """The others are; and after its start it is asked for at once, not in the next round only."""
    first, second = SYMBOLS[name]
    world = World(name)
    world.orders = [(90.0, (first,)), (310.0, ())]
    world.run(330)
    stopped = {
        asked_for(name, asked) for asked in world.server.asked if 95 * S <= asked.at_us - NOW_US < 305 * S
    }
    after = [asked_for(name, asked) for asked in world.server.asked if asked.at_us - NOW_US >= 305 * S]
    ours = {theirs_of: symbol for symbol, theirs_of in zip(SYMBOLS[name], theirs(name), strict=True)}
    assert {ours[one] for one in stopped} == {second}
    assert {ours[one] for one in after} == {first, second}
    assert world.value("producer_provider_last_message_timestamp_seconds") > NOW_US / 1e6 + 300
    left = world.metrics.registry.get_sample_value("producer_provider_requests_left", {"provider": name})
    assert left == 0  # just after the last one: none may follow at once


def test_a_price_of_long_ago_is_none_of_now(name: str) -> None:
    """On a Sunday it is Friday's: that is neither an event nor a dead letter."""
    world = one(name, answer(name, NOW_US - 3 * 86_400 * S)).run(100)
    assert (world.quotes, world.rejected) == ([], [])
    assert world.conserved()


def test_the_key_is_shown_nowhere(name: str, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Not in our logs, not in those of the libraries, at their most talkative; nor in errors, metrics, dead
    letters or notices, even where the server sends it back."""
    caplog.set_level(logging.DEBUG)
    keys = "".join(KEYS.values())
    echo = {"Error Message": f"what is {keys}?", "Note": keys, "chart": {"error": {"description": keys}}}
    replies = [
        Reply(500), Reply(body=b"[" + keys.encode()), Reply(body=echo), Reply(404, echo), Reply(half=True),
        Reply(302, headers={"Location": f"http://127.0.0.1:1/?apikey={KEYS['fmp_api_key']}"}),
        Reply(429, body=echo), Reply(), Reply(403, echo), Reply(body={"Error Message": f"api key {keys}"}),
    ]  # fmt: skip
    world = one(name, *replies)
    error = ""
    with capture_logs() as entries:
        try:
            world.run(3000)
        except ConfigurationError as refused:
            error = repr((refused, refused.__context__, refused.__cause__))
    context, _ = make_certificate(tmp_path)
    adapter = polled_of(name)
    shown = "\n".join(
        [
            caplog.text,
            repr(entries),
            repr(world.delivered),
            repr(one(name, tls=context).run(100).delivered),
            error,
            generate_latest(world.metrics.registry).decode(),
            b"".join(world.recorded).decode(),
            repr(adapter),
            repr(adapter.polls(SYMBOLS[name], NOW_US, {})),
            repr(provider_settings()),
        ]
    )
    assert entries
    assert (bool(error), bool(adapter.secrets)) == (name in WITH_KEY, name in WITH_KEY)
    assert len(world.server.asked) >= 9
    assert len(world.recorded) >= 5
    if name in WITH_KEY:
        assert {asked.query["apikey"] for asked in world.server.asked} == set(adapter.secrets)
    for secret in adapter.secrets:
        for form in (secret, secret.replace("+", "%2B").replace("/", "%2F").replace(" ", "+")):
            assert form not in shown


def test_alone_it_is_a_source_of_prices_and_bars(name: str, tmp_path: Path) -> None:
    """As every source does it gives batches and a clock, on the way through which the gate lets them all;
    what is recorded of it gives a replay the same, and has no key in it."""
    folder, metrics = tmp_path / "recordings", ProducerMetrics()
    recorder = Recorder(RecorderSettings(record=str(folder)), metrics)
    with rest_server(name) as server, closing(recorder):
        changes = KEYS | NO_LIMITS | {f"{name}_url": server.url}
        settings = ProducerSettings(symbols=SYMBOLS[name], symbol_classes=("*=crypto",), **changes)
        stop = threading.Event()
        runtime = Runtime(SystemClock(stop), metrics, stop, record=recorder.add)
        source = make_source((name,), Making(settings, Destination({}, {}), runtime))
        validator, batches = validator_for(settings, source, runtime.clock), []
        until = time.monotonic() + LONG_S
        for batch in source.batches():
            batches.append(validator.check(batch))
            bars, quotes = (len(all_of(batches, part)) for part in ("bars", "quotes"))
            if quotes == 2 and bars == (6 if name in WITH_BARS else 0):
                break
            assert time.monotonic() < until, batches
    assert [letter for batch in batches for letter in batch.rejected] == []
    assert {quote.symbol for batch in batches for quote in batch.quotes} == set(SYMBOLS[name])
    clocks = [batch.clock_us for batch in batches]
    assert clocks == sorted(clocks)
    assert (source.live, source.name) == (True, name)
    [file] = folder.iterdir()
    text = gzip.decompress(file.read_bytes()).decode()
    assert not any(key in text for key in (*KEYS.values(), server.url, "apikey"))
    again = list(Replay(ReplaySettings(replay_files=(str(file),)), 100_000, runtime.clock).batches())
    for part in ("quotes", "bars", "rejected"):
        assert all_of(again, part) == all_of(batches, part)


def all_of(batches: Sequence[Batch], part: str) -> list[Any]:
    return [event for batch in batches for event in getattr(batch, part)]


def test_beside_trades_it_is_asked_for_prices_only(name: str) -> None:
    """Its bars have no place where there are bars of ours: not even a request is made for them."""
    settings = ProducerSettings(symbols=SYMBOLS[name], symbol_classes=("*=crypto",), **KEYS)
    making = Making(settings, Destination({}, {}), fake_runtime())
    adapter = member(name, making)._feed.adapter  # type: ignore[attr-defined]
    polls = adapter.polls(SYMBOLS[name], NOW_US, {})
    assert [poll.what for poll in polls] == ["quotes", "quotes"]
    bars = json.dumps(bars_answer(name, "AAPL") if name in WITH_BARS else []).encode()
    asked_for = PollReply(polls[0].what, polls[0].symbols)
    assert name != "yahoo" or adapter.parse(Frame(bars, NOW_US, reply=asked_for)).bars == []


def test_the_catalogue_says_what_is_known(name: str) -> None:
    """Nothing of these has been recorded, none has trades, and their limits are those of the settings."""
    provider = POLLED[name]
    assert not provider.recorded
    assert provider.quotes_only
    assert provider.bars == (name in WITH_BARS)
    assert provider.limits(provider_settings()) == polled_of(name).limits
