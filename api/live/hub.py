"""Numbers every event, remembers the last ones, and hands them to the outboxes of those who asked."""

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from api.live.latest import Latest
from api.live.messages import ALL_ALERTS, Incoming, Key, Message, Ticks, is_live_bar, to_message
from api.live.outbox import Outbox

MOST_PUTS = 2_000
"""So many messages are handed over before others get their turn on the event loop: about 2 ms."""
MOST_EVENTS = 64
"""And of so many events that somebody gets: no more than a client is sent in one turn, so that a burst alone
skips nothing. A turn is long while many requests are answered, so the others must not wait for one: the feed
would fall behind, memory would prove nothing any more, and each request would cost Cassandra, too."""

Tap = Callable[[Incoming], None]
TicksTap = Callable[[Ticks], None]


class _Unheard:
    """Neighbouring rows that nobody got when they came; ``seq`` is the number of the first of them."""

    __slots__ = ("rows", "seq", "ticks")

    def __init__(self, ticks: Ticks, rows: range, seq: int) -> None:
        self.ticks = ticks
        self.rows = rows
        self.seq = seq

    def after(self, seq: int, keys: Collection[Key], at: float) -> Iterator[Message]:
        """Those of some keys behind a number, as messages."""
        channel, symbols = self.ticks.channel, self.ticks.symbols
        for number, row in enumerate(self.rows, start=self.seq):
            if number > seq and (channel, symbols[row]) in keys:
                yield to_message(self.ticks.incoming(row), number, at)


class Hub:
    """Only for the event loop's thread.

    ``seq`` counts the events of this process, whoever asked for them, so a client sees increasing numbers
    with holes; ``epoch`` names the process. The last ``remembered`` events can be had again.
    """

    def __init__(self, remembered: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.epoch = uuid.uuid4().hex
        self.seq = 0
        self.latest = Latest()
        self._monotonic = monotonic
        self.taps: list[Tap] = []
        """Called with every event before anybody else learns of it, .."""
        self.ticks_taps: list[TicksTap] = []
        """.. or with those that came together."""
        self._most_remembered = remembered
        self._remembered: deque[Message | _Unheard] = deque()  # of events without a hole
        self._listeners: dict[Key, set[Outbox]] = {}

    async def publish(self, arrived: Iterable[Incoming | Ticks]) -> None:
        """Hands events on, in their order; lets others run in between."""
        at = self._monotonic()
        puts = taken = 0
        for message in self._numbered(arrived, at):
            listeners = self.listeners(message.key)
            for outbox in listeners:
                outbox.put(message)
            puts += len(listeners)
            taken += bool(listeners)
            if puts >= MOST_PUTS or taken >= MOST_EVENTS:
                puts = taken = 0
                await asyncio.sleep(0)

    def _numbered(self, arrived: Iterable[Incoming | Ticks], at: float) -> Iterator[Message]:
        """The events as messages, each when its turn has come; of ticks those that somebody gets."""
        for each in arrived:
            if isinstance(each, Ticks):
                yield from self._heard(each, at)
                continue
            for tap in self.taps:
                tap(each)
            if self.latest.add(each):
                yield self._remember(each, at)

    def _heard(self, ticks: Ticks, at: float) -> Iterator[Message]:
        for tap in self.ticks_taps:
            tap(ticks)
        self.latest.take(ticks)
        channel, first = ticks.channel, 0
        for row, symbol in enumerate(ticks.symbols):
            if (channel, symbol) in self._listeners:
                self._pass_over(ticks, range(first, row))
                first = row + 1
                yield self._remember(ticks.incoming(row), at)
        self._pass_over(ticks, range(first, len(ticks)))

    def _remember(self, incoming: Incoming, at: float) -> Message:
        self.seq += 1
        message = to_message(incoming, self.seq, at)
        self._remembered.append(message)
        self._forget()
        return message

    def _pass_over(self, ticks: Ticks, rows: range) -> None:
        if rows:
            self._remembered.append(_Unheard(ticks, rows, self.seq + 1))
            self.seq += len(rows)
            self._forget()

    @property
    def _first(self) -> int:
        """Number of the oldest event that is remembered."""
        return self._remembered[0].seq if self._remembered else self.seq + 1

    def _forget(self) -> None:
        """What is more than is remembered: the oldest, and of rows as many as are too many."""
        while (too_many := self.seq + 1 - self._first - self._most_remembered) > 0:
            oldest = self._remembered[0]
            if isinstance(oldest, _Unheard) and len(oldest.rows) > too_many:
                oldest.rows, oldest.seq = oldest.rows[too_many:], oldest.seq + too_many
            else:
                self._remembered.popleft()

    def listen(self, outbox: Outbox, keys: Collection[Key]) -> None:
        """From now on the outbox gets the events of these keys, too."""
        for key in keys:
            self._listeners.setdefault(key, set()).add(outbox)

    def leave(self, outbox: Outbox, keys: Collection[Key]) -> None:
        """From now on the outbox gets no more events of these keys."""
        for key in keys:
            listeners = self._listeners.get(key)
            if listeners is not None:
                listeners.discard(outbox)
                if not listeners:
                    del self._listeners[key]

    def missed(self, epoch: str, seq: int, keys: Collection[Key]) -> Sequence[Message] | str:
        """The events of these keys after ``seq``, of live bars the last version only; or why they cannot be
        had, as ``protocol.RESUME_FAILURES`` has it."""
        if epoch != self.epoch:
            return "epoch_changed"
        if seq > self.seq:
            return "unknown_seq"
        if seq < self._first - 1:
            return "too_old"
        found = list(self._after(seq, set(keys)))
        newest = {message.slot: message.seq for message in found if is_live_bar(message)}
        return [each for each in found if not is_live_bar(each) or newest[each.slot] == each.seq]

    def _after(self, seq: int, keys: Collection[Key]) -> Iterator[Message]:
        all_alerts = ALL_ALERTS in keys
        for each in self._remembered:
            if isinstance(each, _Unheard):
                if each.seq + len(each.rows) > seq + 1:
                    yield from each.after(seq, keys, self._monotonic())
            elif each.seq > seq and (each.key in keys or (all_alerts and each.key[0] == "alerts")):
                yield each

    def listeners(self, key: Key) -> Collection[Outbox]:
        """Who gets the events of a key."""
        listeners = self._listeners.get(key, ())
        if key[0] == "alerts" and key != ALL_ALERTS and ALL_ALERTS in self._listeners:
            return {*listeners, *self._listeners[ALL_ALERTS]}
        return listeners
