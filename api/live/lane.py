"""Messages that wait together for one client."""

from collections import OrderedDict
from collections.abc import Hashable

from api.live.messages import Message


class Lane:
    """In the order in which they came; one that takes the place of another waits at the end."""

    __slots__ = ("due", "messages", "seconds", "ticks")

    def __init__(self, seconds: float = 0.0, due: float = 0.0) -> None:
        self.messages: OrderedDict[Hashable, Message] = OrderedDict()
        """By slot."""
        self.seconds = seconds
        """For so long messages are gathered; 0: not at all."""
        self.due = due
        """When what is gathered may be sent, seconds of the monotonic clock."""
        self.ticks = 0
        """Messages that may be skipped."""

    def add(self, slot: Hashable, message: Message) -> None:
        """Lets a message wait, in the place of the one of the same slot."""
        before = self.messages.pop(slot, None)
        if before is not None and before.lossy:
            self.ticks -= 1
        if message.lossy:
            self.ticks += 1
        self.messages[slot] = message

    def drop_ticks(self) -> list[Message]:
        """Forgets those that may be skipped; returns them."""
        dropped = [each for each in self.messages.items() if each[1].lossy]
        for slot, _ in dropped:
            del self.messages[slot]
        self.ticks = 0
        return [message for _, message in dropped]

    def clear(self) -> None:
        """Forgets everything."""
        self.messages.clear()
        self.ticks = 0
