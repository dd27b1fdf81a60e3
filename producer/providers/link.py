"""The life of one connection: open it, subscribe, read, notice that it is dead or silent, and begin again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from producer.providers.backoff import Backoff
from producer.providers.contract import (
    Adapter,
    Answered,
    Complaint,
    Frame,
    KeyRefused,
    Parsed,
    Signal,
    SymbolRefused,
)
from producer.providers.counters import Counters
from producer.providers.deliveries import Delivery, Notice
from producer.providers.holes import Holes
from producer.providers.redaction import Redaction
from producer.providers.socket import Dial, LostError, RefusedError, Socket, within
from schemas.errors import ConfigurationError

log = structlog.get_logger()

MOST_SAID = 1000
"""Refused symbols that are logged, each once."""

Deliver = Callable[[Delivery | Notice, int], Awaitable[None]]
"""(what, its weight); waits for room."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what, in seconds. A connection that has brought data for ``healthy`` is a success:
    the waits between attempts, from ``backoff`` to ``backoff_cap``, begin anew."""

    handshake: float
    silence: float
    ping: float
    pong: float
    healthy: float
    backoff: float
    backoff_cap: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all that brings data of a provider shares. ``market_open``: whether data of any of the symbols is
    to be expected at a time (us); ``random``: a number of [0, 1). ``record``: takes every message and
    every answer, with what it shows of a key taken out."""

    deliver: Deliver
    counters: Counters
    patience: Patience
    now_us: Callable[[], int]
    random: Callable[[], float]
    market_open: Callable[[Sequence[str], int], bool]
    record: Callable[[str, Frame], None] | None = None


class Link:
    """One connection of a provider, for some of the symbols, kept up for ever."""

    def __init__(self, adapter: Adapter, symbols: Sequence[str], dial: Dial, around: Surroundings) -> None:
        self._adapter = adapter
        self._symbols = tuple(symbols)
        self._left_out: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._dial = dial
        self._deliver = around.deliver
        self._counters = around.counters
        self._patience = around.patience
        self._now_us = around.now_us
        self._market_open = around.market_open
        self._record = around.record
        self._backoff = Backoff(around.patience.backoff, around.patience.backoff_cap, around.random)
        self._holes = Holes() if adapter.counts_trades else None
        self._connection = 0
        self._said: set[str] = set()
        self._redaction = Redaction(adapter.secrets)

    async def run(self) -> None:
        """Goes on until it is cancelled. Raises ConfigurationError for what only the user can put right."""
        while True:
            while not self._wanted():  # a connection without a subscription is closed by most providers
                self._changed.clear()
                await self._changed.wait()
            session = _Session(self._now_us())
            try:
                await self._attend(session)
            except _NothingWantedError:
                await self._pause(session)
            except LostError as lost:
                await self._rest(session, lost)

    def leave_out(self, symbols: frozenset[str]) -> None:
        """These are not subscribed to, from now on until it is called again; in the loop's thread."""
        self._left_out = symbols
        self._changed.set()

    def _wanted(self) -> list[str]:
        return [symbol for symbol in self._symbols if symbol not in self._left_out]

    async def _pause(self, session: "_Session") -> None:
        """Says that the connection is gone because nobody wants anything of it."""
        if session.connected:
            self._counters.connected(-1)
        notice = Notice("disconnected", self._adapter.name, self._symbols, self._now_us(), "stopped")
        await self._deliver(notice, 1)
        log.info("provider_paused", provider=self._adapter.name, symbols=len(self._symbols))

    async def _rest(self, session: "_Session", lost: LostError) -> None:
        """Says that the connection is lost, and waits for as long as it should."""
        adapter, now_us = self._adapter, self._now_us()
        detail = self._redaction.text(lost.detail)
        self._counters.disconnected(lost.reason)
        if session.connected:
            self._counters.connected(-1)
            if session.data and now_us - session.began_us >= self._patience.healthy * 1e6:
                self._backoff.reset()
        await self._deliver(
            Notice("disconnected", adapter.name, self._symbols, now_us, lost.reason, detail), 1
        )
        wait_s = self._backoff.next_s(lost.retry_after_s)
        log.warning(
            "provider_disconnected",
            provider=adapter.name,
            reason=lost.reason,
            detail=detail,
            after_s=round((now_us - session.began_us) / 1e6, 1),
            retry_in_s=round(wait_s, 1),
        )
        await asyncio.sleep(wait_s)

    async def _attend(self, session: "_Session") -> None:
        """One connection from its beginning to its end, which is always an exception."""
        adapter = self._adapter
        handshake = adapter.handshake()
        try:
            socket = await self._dial(handshake)
        except RefusedError as refused:
            raise self._refusal(refused) from None
        except ConfigurationError as error:
            raise ConfigurationError(f"{adapter.url_setting}: {error}") from None
        # Unlike the number of attempts, the time is not the same again after a restart.
        self._connection = max(self._now_us(), self._connection + 1)
        session.answers_due = handshake.answers
        keeper = asyncio.create_task(self._keep(session, socket))
        reader = asyncio.create_task(self._read(session, socket))
        opener = asyncio.create_task(self._open(session, socket, handshake.messages))
        changer = asyncio.create_task(self._follow_orders(session, socket))
        tasks = (reader, keeper, opener, changer)
        try:
            # The opener ends when it is done, the others only with an exception.
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(LostError):
                await socket.close()

    async def _open(self, session: "_Session", socket: Socket, messages: Sequence[str]) -> None:
        """The handshake, and all subscriptions, no faster than the provider allows."""
        adapter = self._adapter
        for message in messages:
            await socket.send(message)
        if session.answers_due:
            await within(self._patience.handshake, session.answered.wait(), "handshake_timeout")
        wanted = self._wanted()
        if not wanted:
            raise _NothingWantedError
        session.subscribed = frozenset(wanted)
        await self._send_all(socket, adapter.subscribe(wanted))
        session.connected = True
        self._changed.set()  # there may have been orders meanwhile
        session.quiet_since_us = self._now_us()
        self._counters.connected(1)
        await self._deliver(Notice("connected", adapter.name, self._symbols, self._now_us()), 1)
        log.info("provider_connected", provider=adapter.name, symbols=len(wanted))

    async def _send_all(self, socket: Socket, messages: Sequence[str]) -> None:
        """No faster than the provider allows."""
        pause_s = 1 / self._adapter.limits.messages_per_second
        for message in messages:
            await socket.send(message)
            await asyncio.sleep(pause_s)

    async def _follow_orders(self, session: "_Session", socket: Socket) -> None:
        """Keeps the subscriptions to what is wanted."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not session.connected:
                continue  # the opener sets it again when it is done
            wanted = self._wanted()
            if not wanted:
                raise _NothingWantedError
            ended = [symbol for symbol in self._symbols if symbol in session.subscribed - set(wanted)]
            begun = [symbol for symbol in wanted if symbol not in session.subscribed]
            session.subscribed = frozenset(wanted)
            if self._holes is not None:
                self._holes.forget(begun)
            if ended:
                await self._send_all(socket, self._adapter.unsubscribe(ended))
            if begun:
                await self._send_all(socket, self._adapter.subscribe(begun))

    async def _read(self, session: "_Session", socket: Socket) -> None:
        """Every frame, as it comes: parsed, counted and handed over. While there is no room nothing is read,
        and the provider has to wait."""
        number = 0
        while True:
            payload = await socket.receive()
            frame = Frame(payload, self._now_us(), self._connection, number)
            number += 1
            self._counters.heard(frame.received_us)
            if self._record is not None:
                self._record(self._adapter.name, replace(frame, payload=self._redaction.payload(payload)))
            parsed = self._adapter.parse(frame)
            if parsed.rejected:
                parsed = self._redaction.parsed(parsed)
            self._counters.received(parsed)
            for signal in parsed.signals:
                await self._heed(session, signal)
            if parsed.trades and self._holes is not None:
                await self._report_holes(self._holes, parsed)
            if parsed.events or parsed.rejected:
                session.paused = True
                await self._deliver(Delivery(frame.received_us, parsed), parsed.items)
                session.paused = False
                session.data = True
                session.quiet_since_us = self._now_us()

    async def _keep(self, session: "_Session", socket: Socket) -> None:
        """Looks whether the connection is alive, and whether it brings anything."""
        patience = self._patience
        while True:
            await asyncio.sleep(min(patience.ping, patience.silence))
            if session.paused or not session.connected:
                continue  # we do not read: an answer would not be seen, either
            now_us = self._now_us()
            quiet_s = (now_us - session.quiet_since_us) / 1e6
            if not self._market_open(self._wanted(), now_us):
                session.quiet_since_us = now_us
            elif quiet_s >= patience.silence:
                raise LostError("silent", f"no data for {quiet_s:.0f} s")
            try:
                await within(patience.pong, socket.ping(), "no_pong")
            except LostError:
                if not session.paused:
                    raise

    async def _heed(self, session: "_Session", signal: Signal) -> None:
        adapter = self._adapter
        if isinstance(signal, Answered):
            session.answers_due -= 1
            if session.answers_due <= 0:
                session.answered.set()
        elif isinstance(signal, KeyRefused):
            raise self._key_error(self._redaction.text(signal.detail))
        elif isinstance(signal, SymbolRefused):
            await self._symbol_refused(signal)
        elif isinstance(signal, Complaint):
            log.warning(
                "provider_complains", provider=adapter.name, detail=self._redaction.text(signal.detail)
            )

    async def _symbol_refused(self, signal: SymbolRefused) -> None:
        if signal.symbol in self._said or len(self._said) >= MOST_SAID:
            return
        self._said.add(signal.symbol)
        self._counters.refused()
        provider, detail = self._adapter.name, self._redaction.text(signal.detail)
        log.warning("provider_symbol_refused", provider=provider, symbol=signal.symbol, detail=detail)
        notice = Notice("symbol_refused", provider, (signal.symbol,), self._now_us(), detail=detail)
        await self._deliver(notice, 1)

    async def _report_holes(self, holes: Holes, parsed: Parsed) -> None:
        for hole in holes.follow(parsed.trades):
            self._counters.missed(hole.trades)
            log.warning(
                "provider_missed_trades", provider=self._adapter.name, symbol=hole.symbol, count=hole.trades
            )
            notice = Notice(
                "missed_trades",
                self._adapter.name,
                (hole.symbol,),
                hole.to_us,
                since_us=hole.from_us,
                count=hole.trades,
            )
            await self._deliver(notice, 1)

    def _refusal(self, refused: RefusedError) -> Exception:
        adapter = self._adapter
        if refused.status == 451:
            return ConfigurationError(
                f"{adapter.name} does not serve the place that this machine is at ({refused}): name another"
                f" source, or set {adapter.url_setting} to an address of theirs that does"
            )
        return (
            self._key_error(str(refused)) if adapter.key_setting else LostError("http_status", str(refused))
        )

    def _key_error(self, detail: str) -> Exception:
        adapter = self._adapter
        if not adapter.key_setting:
            return LostError("closed", detail)
        return ConfigurationError(
            f"{adapter.name} refuses the key ({detail}): set {adapter.key_setting} to a valid one"
        )


class _NothingWantedError(Exception):
    """Every symbol of the connection is left out."""


class _Session:
    """What is known of one connection."""

    def __init__(self, began_us: int) -> None:
        self.began_us = began_us
        self.connected = False  # all subscriptions have been sent
        self.subscribed: frozenset[str] = frozenset()
        self.paused = False  # we do not read, because nobody takes what we have
        self.data = False  # something came that is more than protocol
        self.quiet_since_us = began_us
        self.answers_due = 0
        self.answered = asyncio.Event()
