"""The conversation with one client: what it asks for is answered, what waits for it is sent."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.errors import ApiError
from api.live import protocol
from api.live.current import Bar, CurrentBars, Place
from api.live.hub import Hub
from api.live.messages import Key, Message, must_be_sent
from api.live.outbox import ANSWER, Outbox
from api.live.protocol import Ping, ProtocolError, Subscribe, Unsubscribe
from api.live.wire import text_frame, wire_of
from api.metrics import LiveMetrics
from api.security.rates import Rate
from api.settings import LiveSettings
from api.times import Now, to_datetime
from schemas.symbols import one_spelling

log = structlog.get_logger()
IsKnown = Callable[[str], Awaitable[bool]]
"""Whether a symbol exists. May wait for the storage."""

AT_ONCE = 64
"""Messages sent to one client before the others get their turn on the event loop."""
SAMPLED = 16
"""The delay of one trade in so many is measured, for each client that gets it."""
TOO_SLOW = 4008
"""Code with which a connection is closed whose client cannot keep up."""
REFUSED = 1008
"""Code with which a connection is closed whose address asks for what cannot be had."""
FAULT = 1011


class FallenBehind(Exception):
    """The client does not take what must not be skipped."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sessions of a process have in common."""

    hub: Hub
    settings: LiveSettings
    metrics: LiveMetrics
    is_known: IsKnown
    bars: CurrentBars
    now: Now
    monotonic: Callable[[], float] = time.monotonic
    rate: Rate | None = None
    """How often a client may send; None: as it likes."""


class Session:
    """One connection, from its hello to its end."""

    def __init__(self, socket: WebSocket, shared: Shared) -> None:
        self._socket = socket
        self._wire = wire_of(socket)
        self._hub = shared.hub
        self._settings = shared.settings
        self._metrics = shared.metrics
        self._is_known = shared.is_known
        self._bars = shared.bars
        self._now = shared.now
        self._monotonic = shared.monotonic
        # Its own snapshots must not make a client too slow.
        kept = self._settings.ws_queue_kept + self._settings.ws_max_symbols
        self.outbox = Outbox(self._settings.ws_queue_ticks, kept, self._metrics.skip, self._send_at_once)
        self._intervals: dict[Key, int] = {}  # what it gets -> for how many milliseconds that is gathered
        self._batch = False
        self._turn: list[Message] = []
        self._sent = 0  # of the turn
        self._seen_seq = self._hub.seq
        self._last_sent = self._monotonic()
        self._blocked_since: float | None = None
        self._counts: Counter[str] = Counter()
        self._rate = shared.rate
        self._dismissed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def dismiss(self, why: ProtocolError) -> None:
        """Ends the connection as soon as the client has been told."""
        if not self._dismissed.done():
            self._refuse(why)
            self._dismissed.set_exception(why)

    async def run(self, first: Callable[[], Subscribe] | None, subprotocol: str | None = None) -> str:
        """Talks until the client leaves or has to; returns why it ended. ``first``: what the address asks
        for, as if the client had sent it; where that is refused, so is the connection."""
        await self._socket.accept(subprotocol)
        self._answer(
            protocol.hello(
                self._hub.epoch,
                self._hub.seq,
                self._settings.ws_heartbeat_seconds,
                self._settings.ws_max_symbols,
            )
        )
        tasks = (
            asyncio.create_task(self._listen(first)),
            asyncio.create_task(self._send_all()),
            asyncio.create_task(self._watch()),
        )
        try:
            await asyncio.wait((*tasks, self._dismissed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(self.outbox, self._intervals)
            for task in tasks:
                task.cancel()
            self._dismissed.cancel()
            outcomes = await asyncio.gather(*tasks, self._dismissed, return_exceptions=True)
            self._count()
        return await self._end(outcomes)

    async def _end(self, outcomes: Iterable[object]) -> str:
        """Closes the connection as befits how its tasks ended; returns why."""
        failures = [each for each in outcomes if isinstance(each, Exception)]
        for failure in failures:
            if isinstance(failure, FallenBehind):
                await self._give_up(failure)
                return "too_slow"
            if isinstance(failure, ProtocolError):
                await self._close(REFUSED, failure.code, self.outbox.take_kept())
                return "refused"
            if not isinstance(failure, WebSocketDisconnect):
                log.error("live_client_failed", exc_info=failure)
                text = protocol.error("internal", "a fault of ours: the log has it")
                await self._close(FAULT, "internal", [self._control(text)])
                return "fault"
        return "left"

    async def _listen(self, first: Callable[[], Subscribe] | None) -> None:
        """Answers what the client sends until it leaves."""
        if first is not None:
            try:
                await self._subscribe(first())
            except ApiError as error:
                self._refuse(error)
                raise ProtocolError(error.code, str(error)) from error
        while True:
            received = await self._socket.receive()
            if received["type"] == "websocket.disconnect":
                return
            text = received.get("text")
            said = received["bytes"] if text is None else text
            if (seconds := self._too_fast(said)) > 0:
                await asyncio.sleep(seconds)  # not read meanwhile: whoever floods us waits in the network
            else:
                await self._take_in(said)

    def _too_fast(self, text: str | bytes) -> int:
        """For how many seconds nothing more is taken; a message that comes too soon is refused."""
        left = self._rate.hit("ws", str(id(self))) if self._rate else None
        if left is None or left.allowed:
            return 0
        message = f"{left.limit} messages a second are taken, this one was not: send it again"
        self._refuse(ProtocolError("rate_limited", message), protocol.request_id(text))
        return left.reset_seconds

    async def _take_in(self, text: str | bytes) -> None:
        try:
            request = protocol.parse_request(text, self._settings.ws_max_message_bytes)
            if isinstance(request, Subscribe):
                await self._subscribe(request)
            elif isinstance(request, Unsubscribe):
                self._unsubscribe(request)
            elif isinstance(request, Ping):
                self._answer(protocol.pong(request, self._time()))
        except ApiError as error:
            self._refuse(error, protocol.request_id(text))

    async def _subscribe(self, request: Subscribe) -> None:
        wanted = await self._as_stored(protocol.wanted_keys(request))
        if request.resume is not None and self.outbox.replaying:
            raise ProtocolError("resume_busy", "a replay is under way: ask again after its `resumed`")
        intervals = self._intervals | dict.fromkeys(wanted, request.interval_ms or 0)
        if len(set(intervals.values()) - {0}) > protocol.MAX_INTERVALS:
            most = protocol.MAX_INTERVALS
            raise ProtocolError("too_many_intervals", f"a connection may have {most} different interval_ms")
        new = wanted - self._intervals.keys()
        self._pace(intervals)
        self._hub.listen(self.outbox, new)
        if request.batch is not None:
            self._batch = request.batch
        ack = self._ack(request)
        if request.resume is None:
            self._answer(ack)
            await self._snapshots(new)
            return
        missed = self._hub.missed(request.resume.epoch, request.resume.seq, wanted)
        if isinstance(missed, str):
            self._answer(ack)
            self._answer(protocol.resume_failed(request, missed, self._hub.epoch, self._hub.seq))
            await self._snapshots(new)
        else:
            end = protocol.resumed(request, self._hub.seq, len(missed))
            self.outbox.put_first([self._control(ack), *missed, self._control(end)])

    async def _as_stored(self, wanted: Collection[Key]) -> set[Key]:
        """The keys with their symbols as they are stored: BRK.B for BRK-B, as REST has it.

        Raises ProtocolError where a symbol does not exist or the client would hold too many.
        """
        symbols = {key[1] for key in wanted}
        held = {key[1] for key in self._intervals}
        count, most = len(symbols | held), self._settings.ws_max_symbols
        if count > most:
            raise ProtocolError(
                "too_many_symbols", f"{count} symbols: a connection may hold {most}; open another one"
            )
        names = {symbol: await self._stored_name(symbol) for symbol in sorted(symbols - held - {"*"})}
        return {(key[0], names.get(key[1], key[1]), *key[2:]) for key in wanted}

    async def _stored_name(self, symbol: str) -> str:
        for spelling in dict.fromkeys((symbol, one_spelling(symbol))):
            if self._hub.latest.knows(spelling) or await self._is_known(spelling):
                return spelling
        raise ProtocolError("unknown_symbol", f"no symbol {symbol!r}: /api/v1/symbols lists them")

    def _unsubscribe(self, request: Unsubscribe) -> None:
        unwanted = protocol.unwanted_keys(request, self._intervals)
        self._pace({key: ms for key, ms in self._intervals.items() if key not in unwanted})
        self._hub.leave(self.outbox, unwanted)
        self._answer(self._ack(request))

    def _pace(self, intervals: dict[Key, int]) -> None:
        self._intervals = intervals
        self.outbox.pace(intervals, self._monotonic())

    def _ack(self, request: Subscribe | Unsubscribe) -> str:
        return protocol.ack(request, self._hub.seq, self._intervals, self._batch)

    async def _snapshots(self, keys: Collection[Key]) -> None:
        """What is newest of each symbol, on the channels of these keys. Those symbols come first of which
        nothing has to be read; events go out meanwhile."""
        lacking = [key[1:] for key in keys if key[0] == "candles" and self._bars.lacks((key[1], key[2]))]
        later = {symbol for symbol, _ in lacking}
        self._answer_snapshots([key for key in keys if key[1] not in later], {})
        if lacking:
            stored = await self._bars.stored((symbol, interval) for symbol, interval in lacking)
            self._answer_snapshots([key for key in keys if key[1] in later], stored)

    def _answer_snapshots(self, keys: Collection[Key], stored: Mapping[Place, Bar]) -> None:
        latest = self._hub.latest
        found: dict[str, dict[str, Any]] = {}
        for key in sorted(keys, key=protocol.in_order):
            if key[0] == "trades":
                trade = latest.trade(key[1])
                found.setdefault(key[1], {})["trade"] = trade.data if trade else None
            elif key[0] == "quotes":
                quote = latest.quote(key[1])
                found.setdefault(key[1], {})["quote"] = quote.data if quote else None
            elif key[0] == "candles":
                bars = found.setdefault(key[1], {}).setdefault("candles", [])
                place = (key[1], key[2])
                if bar := self._bars.newest(place, stored.get(place)):
                    bars.append(bar)
        for symbol, data in sorted(found.items()):
            self._answer(protocol.snapshot(self._hub.seq, symbol, data))

    def _refuse(self, error: ApiError, id: str | int | None = None) -> None:
        self._metrics.errors.labels(error.code).inc()
        self._answer(protocol.error(error.code, str(error), id))

    def _answer(self, text: str) -> None:
        self.outbox.answer(text, self._monotonic())

    def _control(self, text: str) -> Message:
        return Message(0, ANSWER, text, 0, self._monotonic())

    def _time(self) -> str:
        return to_datetime(self._now()).isoformat().replace("+00:00", "Z")

    async def _send_all(self) -> None:
        """Sends what waits, for ever; raises FallenBehind. Little does, where the client is fast enough: see
        ``_send_at_once``."""
        while True:
            if self.outbox.gathers:
                await self._gather()
            else:
                await self.outbox.ready.wait()
            waiting = self.outbox.sendable
            while waiting > 0:
                if self.outbox.overfull:
                    raise FallenBehind("too much waited that must not be skipped")
                self._turn = self.outbox.take(min(waiting, AT_ONCE), self._monotonic())
                self._sent = 0
                await self._send_turn()
                waiting -= AT_ONCE
                if waiting > 0:
                    # Sending waits for nothing while the client is fast enough: the others want their turn.
                    await asyncio.sleep(0)

    async def _gather(self) -> None:
        """Until something can be sent: it need not be gathered, or it has been for long enough."""
        outbox = self.outbox
        pause = outbox.release(self._monotonic())
        while not outbox.sendable:
            outbox.ready.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await outbox.ready.wait()
            pause = outbox.release(self._monotonic())

    async def _send_turn(self) -> None:
        self._blocked_since = self._monotonic()
        if self._batch and len(self._turn) > 1:
            await self._send(text_frame(protocol.batch([message.text for message in self._turn])))
            self._sent = len(self._turn)
        else:
            for message in self._turn:
                await self._send(message.frame)
                self._sent += 1
        self._last_sent = self._blocked_since
        self._blocked_since = None
        for message in self._turn:
            self._note(message)

    async def _send(self, frame: bytes) -> None:
        while not self._wire.write(frame):
            await self._wire.drained()

    def _send_at_once(self, message: Message) -> bool:
        """Sends a message before which none waits, if the client takes it; whether it did."""
        if self._batch or self._blocked_since is not None or not self._wire.write(message.frame):
            return False
        self._last_sent = message.at
        self._note(message)
        return True

    def _note(self, message: Message) -> None:
        """Counts what has been sent."""
        self._counts[message.key[0]] += 1
        self._seen_seq = max(self._seen_seq, message.seq)
        if message.seq % SAMPLED == 0 and message.key[0] == "trades":
            self._metrics.delay.observe(max(0.0, (self._now() - message.event_time) / 1e6))

    async def _watch(self) -> None:
        """Breaks silence, counts, and raises FallenBehind when the client takes nothing for too long."""
        settings = self._settings
        limit = settings.ws_send_timeout_seconds
        period = min(1.0, settings.ws_heartbeat_seconds / 4, limit / 4)
        while True:
            await asyncio.sleep(period)
            self._count()
            now = self._monotonic()
            if self._blocked_since is None:
                if now - self._last_sent >= settings.ws_heartbeat_seconds and not self.outbox:
                    self._answer(protocol.heartbeat(self._hub.seq, self._time()))
            elif now - self._blocked_since >= limit:
                raise FallenBehind(f"{limit:g} s were not enough for {len(self._turn)} messages")

    def _count(self) -> None:
        for channel, count in self._counts.items():
            self._metrics.send(channel, count)
        self._counts.clear()

    async def _give_up(self, behind: FallenBehind) -> None:
        """Tells the client, sends what must not be skipped, and closes; all of it bounded by time."""
        sent, unsent = self._turn[: self._sent], self._turn[self._sent :]
        seen = max((self._seen_seq, *(message.seq for message in sent)))
        # What is gathered is older than what was sent at once.
        waiting = [message.seq for message in unsent if message.seq]
        if (lowest := self.outbox.first_seq) is not None:
            waiting.append(lowest)
        resume_from = min((seen, *(seq - 1 for seq in waiting)))
        told = protocol.error(
            "too_slow",
            f"{behind}: final bars and alerts follow, then the connection ends; connect again and resume",
            epoch=self._hub.epoch,
            resume_from=resume_from,
        )
        self._metrics.errors.labels("too_slow").inc()
        last = [*filter(must_be_sent, unsent), *self.outbox.take_kept()]
        await self._close(TOO_SLOW, "too_slow", [self._control(told), *last])

    async def _close(self, code: int, reason: str, last: list[Message]) -> None:
        try:
            async with asyncio.timeout(self._settings.ws_send_timeout_seconds):
                for message in last:
                    await self._send(message.frame)
                await self._socket.close(code, reason)
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            # Gone, or not reading: the connection ends with the application's answer.
            log.debug("live_client_not_told", reason=reason)
