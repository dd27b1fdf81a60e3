"""What a process keeps beside the bytes that it was dumped to, so that it need not be read again."""

from collections import OrderedDict
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Shelf(Generic[Thing]):
    """Things by name. Only where the state is the very bytes that a thing was dumped to is it used again, so
    the shelf cannot change anything. What was taken and not put back is gone, whatever was done to it.
    Bounded: the one that was put back first goes first.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._things: OrderedDict[str, tuple[bytes, Thing]] = OrderedDict()

    def take(self, name: str, data: bytes | None) -> Thing | None:
        """The thing that was dumped to ``data``, if it is here."""
        kept = self._things.pop(name, None)
        return kept[1] if kept is not None and kept[0] == data else None

    def put(self, name: str, data: bytes, thing: Thing) -> None:
        """Keeps a thing, dumped to ``data``, which must not be changed any more but by who takes it."""
        self._things[name] = data, thing
        if len(self._things) > self._capacity:
            self._things.popitem(last=False)
