"""What waits to be sent to one client: bounded, and what happens when the client is slower than the market.

trades, quotes                   at most ``most_ticks``; then all that wait together are skipped, and a
                                 ``gap`` says how many: who is behind wants the present, not the end of a
                                 long queue
live bars                        the newest version of each bar waits
final bars, corrections, alerts  never skipped; above ``most_kept`` the client has fallen behind for good
answers                          count as those

What is to be sent at once waits in one lane, and what is gathered for the same time in another one, whatever
it is: a client with one interval has everything in one order. When a lane is due, all of it moves to the end
of the first one. An answer comes after all that came before it, so it makes every lane due.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping, Sequence

from api.live.lane import Lane
from api.live.messages import ALL_ALERTS, Key, Message, is_live_bar, must_be_sent
from api.live.protocol import gap

GAP = "gap"
ANSWER = ("answer",)


class Outbox:
    """Messages in the order of their ``seq`` among those with the same interval: one that takes the place of
    an older version waits at the end. ``ready`` is set when something can be sent, or a lane has begun to
    gather: ``release`` then says for how long."""

    def __init__(
        self,
        most_ticks: int,
        most_kept: int,
        on_skip: Callable[[str, int], None] = lambda *_: None,
        send_at_once: Callable[[Message], bool] = lambda _: False,
    ) -> None:
        """``on_skip`` hears how many messages of which channel have been skipped. ``send_at_once`` gets an
        event before which nothing waits; it waits itself where that returns False."""
        self.ready = asyncio.Event()
        self.overfull = False
        """More final bars, alerts and answers wait than may: nothing more is taken in."""
        self._most_ticks = most_ticks
        self._most_kept = most_kept
        self._on_skip = on_skip
        self._send_at_once = send_at_once
        self._first: deque[Message] = deque()  # at most what the hub remembers
        self._now = Lane()
        self._lanes: dict[int, Lane] = {}  # by milliseconds; most clients have none
        self._intervals: Mapping[Key, int] = {}
        self._kept = 0
        self._gap: Counter[str] = Counter()
        self._gap_from = self._gap_to = 0

    def __len__(self) -> int:
        return self.sendable + sum(len(lane.messages) for lane in self._lanes.values())

    @property
    def sendable(self) -> int:
        """So many messages wait for nothing but the client."""
        return len(self._first) + len(self._now.messages)

    @property
    def gathers(self) -> bool:
        """Whether anything is not to be sent at once."""
        return bool(self._lanes)

    @property
    def replaying(self) -> bool:
        """Whether something of ``put_first`` waits still."""
        return bool(self._first)

    @property
    def oldest(self) -> float | None:
        """When the message that is next was ready, seconds of the monotonic clock. A replay apart, and what
        is gathered."""
        return next(iter(self._now.messages.values())).at if self._now.messages else None

    @property
    def first_seq(self) -> int | None:
        """The lowest ``seq`` that waits."""
        return min((message.seq for message in self._all() if message.seq), default=None)

    def pace(self, intervals: Mapping[Key, int], at: float) -> None:
        """From now on messages of a key are gathered for so many milliseconds, 0: not at all. ``intervals``
        has every key that is subscribed to. What waits was gathered by other rules: it is sent first."""
        self._release_all(at)
        self._intervals = intervals
        self._lanes = {ms: Lane(ms / 1000, at + ms / 1000) for ms in set(intervals.values()) if ms}

    def put(self, message: Message) -> None:
        """Lets an event wait for being sent, if it has to."""
        if self.overfull:
            return
        if not (self._lanes or self._now.messages or self._first) and self._send_at_once(message):
            return
        lane = self._lane(message.key) if self._lanes else self._now
        if lane is self._now or not lane.messages:
            self.ready.set()
        if message.lossy:
            self._put_tick(lane, message)
        elif is_live_bar(message):
            lane.add(message.slot, message)
        else:
            self._keep(lane, message)

    def answer(self, text: str, at: float) -> None:
        """Lets an answer wait, and all that came before it wait no longer than needed."""
        if not self.overfull:
            self._release_all(at)
            self._keep(self._now, Message(0, ANSWER, text, 0, at))
            self.ready.set()

    def put_first(self, messages: Sequence[Message]) -> None:
        """Lets messages wait before all others: a replay, which is older than they are."""
        self._first.extend(messages)
        self.ready.set()

    def release(self, now: float) -> float | None:
        """Makes sendable what has been gathered long enough; in how many seconds the next of it has, None
        where nothing is gathered."""
        pause = None
        for lane in self._lanes.values():
            if not lane.messages:
                continue
            left = lane.due - now
            if left <= 0:
                self._release(lane, now)
            elif pause is None or left < pause:
                pause = left
        return pause

    def take(self, most: int, at: float) -> list[Message]:
        """The next messages to send, ``most`` at most."""
        taken: list[Message] = []
        while self._first and len(taken) < most:
            taken.append(self._first.popleft())
        lane = self._now
        waiting = lane.messages
        while waiting and len(taken) < most:
            slot, message = waiting.popitem(last=False)
            if message.lossy:
                lane.ticks -= 1
            elif slot == GAP:
                message = self._take_gap(at)
            elif not is_live_bar(message):
                self._kept -= 1
            taken.append(message)
        if not waiting and not self._first:
            self.ready.clear()
        return taken

    def take_kept(self) -> list[Message]:
        """All final bars, corrections, alerts and answers that wait; the rest is forgotten."""
        self._now.messages.pop(GAP, None)
        everything = self._all()
        self._first.clear()
        for lane in (self._now, *self._lanes.values()):
            lane.clear()
        self._kept = 0
        return [message for message in everything if must_be_sent(message)]

    def _all(self) -> list[Message]:
        lanes = (self._now, *self._lanes.values())
        return [*self._first, *(message for lane in lanes for message in lane.messages.values())]

    def _lane(self, key: Key) -> Lane:
        """Where messages of a key wait. One that two subscriptions bring waits for the shorter interval."""
        interval = self._intervals.get(key)
        if key[0] == "alerts" and (of_all := self._intervals.get(ALL_ALERTS)) is not None:
            interval = of_all if interval is None else min(interval, of_all)
        return self._lanes[interval] if interval else self._now

    def _put_tick(self, lane: Lane, message: Message) -> None:
        slot: Hashable = message.seq
        waiting = self._now.ticks
        if self._lanes:
            waiting += sum(each.ticks for each in self._lanes.values())
            if lane is not self._now and message.slot is not None:
                slot = message.slot  # who wants to hear seldom gets the newest quote
        if waiting >= self._most_ticks and slot not in lane.messages:
            self._skip_ticks(message.at)
        lane.add(slot, message)

    def _keep(self, lane: Lane, message: Message) -> None:
        self._kept += 1
        # Answers share the seq 0.
        lane.add(message.seq or object(), message)
        if self._kept > self._most_kept:
            self.overfull = True
            self._release_all(message.at)

    def _release_all(self, at: float) -> None:
        for lane in self._lanes.values():
            self._release(lane, at)

    def _release(self, lane: Lane, at: float) -> None:
        """Moves what it has gathered to the end of what can be sent; it begins to gather anew."""
        lane.due = at + lane.seconds
        if lane.messages:
            for slot, message in lane.messages.items():
                self._now.add(slot, message)
            lane.clear()
            self.ready.set()

    def _skip_ticks(self, at: float) -> None:
        """Of the lane that has most of them: the others are not slow."""
        dropped = max((self._now, *self._lanes.values()), key=lambda lane: lane.ticks).drop_ticks()
        skipped = Counter(message.key[0] for message in dropped)
        self._gap.update(skipped)
        numbers = [message.seq for message in dropped]
        self._gap_from = min(self._gap_from or numbers[0], *numbers)
        self._gap_to = max(self._gap_to, *numbers)
        for channel, count in skipped.items():
            self._on_skip(channel, count)
        if GAP not in self._now.messages:
            self._now.add(GAP, Message(0, ANSWER, "", 0, at))
            self.ready.set()

    def _take_gap(self, at: float) -> Message:
        text = gap(self._gap, self._gap_from, self._gap_to)
        self._gap.clear()
        self._gap_from = self._gap_to = 0
        return Message(0, ANSWER, text, 0, at)
