"""Numbers every event, remembers the last ones, and hands them to the outboxes of those who asked."""

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice

from api.live.latest import Latest
from api.live.messages import ALL_ALERTS, Incoming, Key, Message, is_live_bar, to_message
from api.live.outbox import Outbox

MOST_PUTS = 2_000
"""So many messages are handed over before others get their turn on the event loop: about 2 ms."""
MOST_EVENTS = 64
"""And of so many events that somebody gets: no more than a client is sent in one turn, so that a burst alone
skips nothing. A turn is long while many requests are answered, so the others must not wait for one: the feed
would fall behind, memory would prove nothing any more, and each request would cost Cassandra, too."""

Tap = Callable[[Incoming], None]


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
        """Called with every event before anybody else learns of it."""
        self._ring: deque[Message] = deque(maxlen=remembered)
        self._listeners: dict[Key, set[Outbox]] = {}

    async def publish(self, events: Iterable[Incoming]) -> None:
        """Hands events on, in their order; lets others run in between."""
        at = self._monotonic()
        puts = taken = 0
        for incoming in events:
            for tap in self.taps:
                tap(incoming)
            if not self.latest.add(incoming):
                continue
            self.seq += 1
            message = to_message(incoming, self.seq, at)
            self._ring.append(message)
            listeners = self.listeners(message.key)
            for outbox in listeners:
                outbox.put(message)
            puts += len(listeners)
            taken += bool(listeners)
            if puts >= MOST_PUTS or taken >= MOST_EVENTS:
                puts = taken = 0
                await asyncio.sleep(0)

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
        first = self.seq - len(self._ring) + 1
        if seq < first - 1:
            return "too_old"
        wanted = set(keys)
        all_alerts = ALL_ALERTS in wanted
        found = [
            message
            for message in islice(self._ring, seq - first + 1, None)
            if message.key in wanted or (all_alerts and message.key[0] == "alerts")
        ]
        newest = {message.slot: message.seq for message in found if is_live_bar(message)}
        return [each for each in found if not is_live_bar(each) or newest[each.slot] == each.seq]

    def listeners(self, key: Key) -> Collection[Outbox]:
        """Who gets the events of a key."""
        listeners = self._listeners.get(key, ())
        if key[0] == "alerts" and key != ALL_ALERTS and ALL_ALERTS in self._listeners:
            return {*listeners, *self._listeners[ALL_ALERTS]}
        return listeners
