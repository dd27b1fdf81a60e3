"""A provider that has to be asked: round after round, within its limits, and what to make of each answer."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from producer.providers.answers import is_error
from producer.providers.backoff import Backoff
from producer.providers.contract import (
    Complaint,
    Frame,
    KeyRefused,
    PlanRefused,
    Poll,
    PolledAdapter,
    RateLimited,
    Reply,
    Signal,
    SymbolRefused,
    What,
)
from producer.providers.deliveries import Delivery, Notice
from producer.providers.http import DAY_S, RestClient
from producer.providers.link import Surroundings
from producer.providers.news import News
from producer.providers.redaction import Redaction
from producer.providers.request_gate import Answer, RequestError
from schemas.errors import ConfigurationError

log = structlog.get_logger()

JITTER = 0.1
"""Of the time between two rounds, either way: clients that began together do not ask together for ever."""

REFUSED_S = 3600.0
"""For so long a symbol that is refused is not asked for: providers say so in error, too."""

KEY_STATUSES = (401, 403)

CLOSED_S = 1800.0
"""For so long after the close it is asked on: delayed feeds are not at its end yet."""


class Poller:
    """Keeps asking one provider for the symbols, one request after the other.

    While the market of a symbol is closed it is asked for only once more."""

    def __init__(
        self, adapter: PolledAdapter, symbols: Sequence[str], client: RestClient, around: Surroundings
    ) -> None:
        self._adapter = adapter
        self._symbols = tuple(symbols)
        self._client = client
        self._around = around
        self._now_us = around.now_us
        self._backoff = Backoff(around.patience.backoff, around.patience.backoff_cap, around.random)
        self._redaction = Redaction(adapter.secrets)
        self._news = News()
        self._answers = False
        self._failed: set[str] = set()  # symbols, in this round
        self._said: set[str] = set()  # reasons of failures, until there is a round without one
        self._connection = 0
        self._known_us: dict[str, int] = {}  # symbol -> when a round began in which none of it failed
        self._number = 0
        self._refused: dict[str, int] = {}  # symbol -> until when it is not asked for (us)
        self._not_in_plan: set[What] = set()
        self._seen_closed: set[str] = set()
        self._left_out: frozenset[str] = frozenset()
        self._begun = asyncio.Event()  # a symbol is no longer left out: it is asked for at once

    async def run(self) -> None:
        """Goes on until it is cancelled. Raises ConfigurationError for what only the user can put right."""
        self._connection = self._now_us()
        self._say_how_long_a_round_is()
        try:
            async with self._client:
                await self._go_on()
        finally:
            if self._answers:
                self._around.counters.connected(-1)

    def leave_out(self, symbols: frozenset[str]) -> None:
        """These are not asked for, from now on until it is called again; in the loop's thread."""
        if self._left_out - symbols:
            self._begun.set()
        self._left_out = symbols

    async def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            await self._round()
            every_s = self._adapter.every_s * (1 + JITTER * (2 * self._around.random() - 1))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, began_s + every_s - loop.time())):
                    await self._begun.wait()
            self._begun.clear()

    def _say_how_long_a_round_is(self) -> None:
        """Where the limits allow less than is wanted: nobody should wonder why prices are old."""
        adapter, limits = self._adapter, self._adapter.limits
        requests = len(adapter.polls(self._symbols, self._now_us(), {}))
        lasts_s = requests * max(60 / limits.per_minute, DAY_S / limits.per_day if limits.per_day else 0.0)
        if lasts_s > adapter.every_s:
            log.warning(
                "provider_limits_are_tight",
                provider=adapter.name,
                requests=requests,
                detail=f"{requests} requests for all SYMBOLS take {lasts_s / 60:.0f} minutes by its limits:"
                " name fewer, or set the limits of a plan that has more",
            )

    async def _round(self) -> None:
        now_us = self._now_us()
        due = [symbol for symbol in self._symbols if self._due(symbol, now_us)]
        self._failed.clear()
        for poll in self._adapter.polls(due, now_us, self._known_us):
            if poll.what not in self._not_in_plan and not self._all_refused(poll):
                await self._ask(poll)
        for symbol in set(due) - self._failed:
            self._known_us[symbol] = now_us
            if not self._is_open(symbol, now_us):
                self._seen_closed.add(symbol)
        if due and not self._failed and self._said:
            self._said.clear()
            log.info("provider_answers_again", provider=self._adapter.name)

    def _due(self, symbol: str, now_us: int) -> bool:
        if symbol in self._left_out or self._refused.get(symbol, 0) > now_us:
            return False
        if self._is_open(symbol, now_us):
            self._seen_closed.discard(symbol)
        return symbol not in self._seen_closed

    def _is_open(self, symbol: str, now_us: int) -> bool:
        """Whether its market is open, or was a short time ago."""
        return any(self._around.market_open((symbol,), at) for at in (now_us, now_us - round(CLOSED_S * 1e6)))

    def _all_refused(self, poll: Poll) -> bool:
        """Since the round began."""
        now_us = self._now_us()
        return all(self._refused.get(symbol, 0) > now_us for symbol in poll.symbols)

    async def _ask(self, poll: Poll) -> None:
        try:
            await self._take(poll, await self._get(poll))
        except RequestError as error:
            self._failed.update(poll.symbols)
            await self._rest(error)
            return
        finally:
            gate = self._client.gate
            self._around.counters.budget(gate.left, gate.paused_until_us)
        self._backoff.reset()
        if not self._answers:
            self._answers = True
            self._around.counters.connected(1)
            name = self._adapter.name
            await self._around.deliver(Notice("connected", name, self._symbols, self._now_us()), 1)
            if not self._said:
                log.info("provider_connected", provider=name, symbols=len(self._symbols))

    async def _get(self, poll: Poll) -> Answer:
        try:
            return await self._client.get(poll.request)
        except ConfigurationError as error:
            raise ConfigurationError(f"{self._adapter.url_setting}: {error}") from None

    async def _take(self, poll: Poll, answer: Answer) -> None:
        """What an answer brings is handed over. Raises RequestError for one that is of no use."""
        now_us = self._now_us()
        reply = Reply(poll.what, poll.symbols, answer.status)
        frame = Frame(answer.body, now_us, self._connection, self._number, reply)
        self._number += 1
        self._around.counters.heard(now_us)
        if self._around.record is not None:
            shown = replace(frame, payload=self._redaction.payload(answer.body))
            self._around.record(self._adapter.name, shown)
        parsed = self._adapter.parse(frame)
        if is_error(frame, parsed):
            raise self._status_error(answer.status, parsed.signals)
        fresh = self._redaction.parsed(self._news.of(parsed, now_us))
        self._around.counters.received(fresh)
        if fresh.events or fresh.rejected:
            await self._around.deliver(Delivery(now_us, fresh), fresh.items)
        for signal in parsed.signals:
            await self._heed(poll, signal)
        if poll.what != "bars" and not parsed.rejected and not parsed.signals:
            there = {quote.symbol for quote in parsed.quotes}
            for symbol in poll.symbols:
                if symbol not in there:
                    await self._refuse(symbol, "it is not in the answer")

    async def _heed(self, poll: Poll, signal: Signal) -> None:
        if isinstance(signal, KeyRefused):
            raise self._key_error(signal.detail)
        if isinstance(signal, RateLimited):
            raise self._client.gate.told_to_wait(
                f"says {self._redaction.text(signal.detail)}", signal.pause_s
            )
        if isinstance(signal, PlanRefused):
            self._leave_out(poll.what, self._redaction.text(signal.detail))
        elif isinstance(signal, SymbolRefused):
            for symbol in (signal.symbol,) if signal.symbol else poll.symbols:
                await self._refuse(symbol, self._redaction.text(signal.detail))
        elif isinstance(signal, Complaint):
            raise self._error("complaint", f"says {signal.detail}")

    async def _refuse(self, symbol: str, detail: str) -> None:
        """The symbol is not asked for, for a while; that is said once."""
        now_us, name = self._now_us(), self._adapter.name
        known = symbol in self._refused
        self._refused[symbol] = now_us + round(REFUSED_S * 1e6)
        if known:
            return
        self._around.counters.refused()
        log.warning("provider_symbol_refused", provider=name, symbol=symbol, detail=detail)
        await self._around.deliver(Notice("symbol_refused", name, (symbol,), now_us, detail=detail), 1)

    def _leave_out(self, what: What, detail: str) -> None:
        adapter = self._adapter
        if what != "bars":
            raise ConfigurationError(
                f"{adapter.name} has no quotes for the plan of this key ({detail}): set {adapter.key_setting}"
                f" to a key that may have them, or ask for less at once"
            )
        self._not_in_plan.add(what)
        log.warning("provider_plan_lacks", provider=adapter.name, what=what, detail=detail)

    async def _rest(self, error: RequestError) -> None:
        """Says so, and waits for as long as it should."""
        name, around, now_us = self._adapter.name, self._around, self._now_us()
        around.counters.disconnected(error.reason)
        if self._answers:
            self._answers = False
            around.counters.connected(-1)
        notice = Notice("disconnected", name, self._symbols, now_us, error.reason, error.detail)
        await around.deliver(notice, 1)
        wait_s = self._backoff.next_s(error.wait_s)
        if error.reason not in self._said:
            self._said.add(error.reason)
            log.warning(
                "provider_not_answering",
                provider=name,
                reason=error.reason,
                detail=error.detail,
                retry_in_s=round(wait_s, 1),
            )
        await asyncio.sleep(wait_s)

    def _status_error(self, status: int, signals: Sequence[Signal]) -> Exception:
        said = [signal.detail for signal in signals if isinstance(signal, Complaint)]
        detail = ": ".join((f"HTTP {status}", *said))
        if status in KEY_STATUSES and self._adapter.key_setting:
            return self._key_error(detail)
        return self._error("http_status", f"answers with {detail}")

    def _key_error(self, detail: str) -> Exception:
        adapter, detail = self._adapter, self._redaction.text(detail)
        if not adapter.key_setting:
            return self._error("complaint", f"says {detail}")
        return ConfigurationError(
            f"{adapter.name} refuses the key ({detail}): set {adapter.key_setting} to a valid one"
        )

    def _error(self, reason: str, detail: str) -> RequestError:
        return RequestError(self._adapter.name, reason, self._redaction.text(detail))
