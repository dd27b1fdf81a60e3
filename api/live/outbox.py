"""What waits to be sent to one client: bounded, and what happens when the client is slower than the market.

trades, quotes                   at most ``most_ticks``; then all that wait are skipped, and a ``gap`` says
                                 how many: who is behind wants the present, not the end of a long queue
live bars                        the newest version of each bar waits
final bars, corrections, alerts  never skipped; above ``most_kept`` the client has fallen behind for good
answers                          count as those
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence

from api.live.messages import Message, is_live_bar, must_be_sent
from api.live.protocol import gap

GAP = "gap"
ANSWER = ("answer",)


class Outbox:
    """Messages in the order of their ``seq``: one that takes the place of an older version waits at the end.
    ``ready`` is set while something waits, ``urgent`` while an answer is among it."""

    def __init__(
        self, most_ticks: int, most_kept: int, on_skip: Callable[[str, int], None] = lambda *_: None
    ) -> None:
        """``on_skip`` hears how many messages of which channel have been skipped."""
        self.ready = asyncio.Event()
        self.urgent = asyncio.Event()
        self.overfull = False
        """More final bars, alerts and answers wait than may: nothing more is taken in."""
        self.newest_quotes_only = False
        """Of each symbol only the newest quote waits: asked for by a client that wants to hear seldom."""
        self._most_ticks = most_ticks
        self._most_kept = most_kept
        self._on_skip = on_skip
        self._first: deque[Message] = deque()  # at most what the hub remembers
        self._waiting: OrderedDict[Hashable, Message] = OrderedDict()
        self._ticks = 0
        self._kept = 0
        self._gap: Counter[str] = Counter()
        self._gap_from = self._gap_to = 0

    def __len__(self) -> int:
        return len(self._first) + len(self._waiting)

    @property
    def replaying(self) -> bool:
        """Whether something of ``put_first`` waits still."""
        return bool(self._first)

    @property
    def oldest(self) -> float | None:
        """When the oldest waiting message was ready, seconds of the monotonic clock. A replay apart."""
        return next(iter(self._waiting.values())).at if self._waiting else None

    def put(self, message: Message) -> None:
        """Lets an event wait for being sent."""
        if self.overfull:
            return
        if message.lossy:
            self._put_tick(message)
        elif is_live_bar(message):
            self._replace(message)
        else:
            self._keep(message)
        self.ready.set()

    def answer(self, text: str, at: float) -> None:
        """Lets an answer wait, and all that waits before it wait no longer than needed."""
        if not self.overfull:
            self._keep(Message(0, ANSWER, text, 0, at))
            self.ready.set()
            self.urgent.set()

    def put_first(self, messages: Sequence[Message]) -> None:
        """Lets messages wait before all others: a replay, which is older than they are."""
        self._first.extend(messages)
        self.ready.set()
        self.urgent.set()

    def take(self, most: int, at: float) -> list[Message]:
        """The next messages to send, ``most`` at most."""
        taken: list[Message] = []
        while self._first and len(taken) < most:
            taken.append(self._first.popleft())
        while self._waiting and len(taken) < most:
            slot, message = self._waiting.popitem(last=False)
            if slot == GAP:
                message = self._take_gap(at)
            elif message.lossy:
                self._ticks -= 1
            elif not is_live_bar(message):
                self._kept -= 1
            taken.append(message)
        if not self:
            self.ready.clear()
            self.urgent.clear()
        return taken

    def take_kept(self) -> list[Message]:
        """All final bars, corrections, alerts and answers that wait; the rest is forgotten."""
        everything = [*self._first, *(each for slot, each in self._waiting.items() if slot != GAP)]
        self._first.clear()
        self._waiting.clear()
        self._ticks = self._kept = 0
        return [message for message in everything if must_be_sent(message)]

    def _put_tick(self, message: Message) -> None:
        slot: Hashable = message.seq
        if self.newest_quotes_only and message.slot is not None:
            slot = message.slot
            if self._waiting.pop(slot, None) is not None:
                self._ticks -= 1
        if self._ticks >= self._most_ticks:
            self._skip_ticks(message.at)
        self._ticks += 1
        self._waiting[slot] = message

    def _replace(self, message: Message) -> None:
        self._waiting.pop(message.slot, None)
        self._waiting[message.slot] = message

    def _keep(self, message: Message) -> None:
        self._kept += 1
        if self._kept > self._most_kept:
            self.overfull = True
        # Answers share the seq 0.
        self._waiting[message.seq or object()] = message

    def _skip_ticks(self, at: float) -> None:
        ticks = [each for each in self._waiting.items() if each[1].lossy]
        skipped = Counter(message.key[0] for _, message in ticks)
        for slot, _ in ticks:
            del self._waiting[slot]
        self._ticks = 0
        self._gap.update(skipped)
        self._gap_from = self._gap_from or ticks[0][1].seq
        self._gap_to = ticks[-1][1].seq
        for channel, count in skipped.items():
            self._on_skip(channel, count)
        if GAP not in self._waiting:
            self._waiting[GAP] = Message(0, ANSWER, "", 0, at)

    def _take_gap(self, at: float) -> Message:
        text = gap(self._gap, self._gap_from, self._gap_to)
        self._gap.clear()
        self._gap_from = self._gap_to = 0
        return Message(0, ANSWER, text, 0, at)
