"""Symbols that share a key of Flink's state.

What a batch has changed goes back to the TaskManager in one request for each key, and is awaited; a request
costs half a millisecond, whatever is in it. With a key for each symbol that is most of what a slice costs. So
a key is a group of symbols: all that a batch has changed of them is one request.
"""

from collections.abc import Iterator, MutableMapping
from typing import Any

TIMES = " times"
"""Of the timers of a group: milliseconds in text, a space before and after each."""


def group_of(groups: int) -> str:
    """In SQL, the group of a row's ``symbol``, as text: even, whatever the symbols are."""
    first, second = (
        f"POSITION(SUBSTRING(MD5(symbol), {digit}, 1) IN '0123456789abcdef') - 1" for digit in (1, 2)
    )
    return f"CAST(MOD(16 * ({first}) + {second}, {groups}) AS STRING)"


class SymbolEntries(MutableMapping[str, bytes]):
    """The entries of one symbol in the state of its group. Deleting what is not there is no error."""

    __slots__ = ("_before", "_state")

    def __init__(self, state: MutableMapping[str, bytes], symbol: str) -> None:
        self._state = state
        self._before = f"{symbol} "  # no symbol has a space

    def __getitem__(self, key: str) -> bytes:
        return self._state[self._before + key]

    def __setitem__(self, key: str, value: bytes) -> None:
        self._state[self._before + key] = value

    def __delitem__(self, key: str) -> None:
        del self._state[self._before + key]

    def __iter__(self) -> Iterator[str]:
        before = self._before
        return (key.removeprefix(before) for key in self._state if key.startswith(before))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class GroupTimers:
    """Timers of the symbols of a group: Flink has one of each time for all of them, and the state says whose
    it is, in entries that no symbol has.

    Which times there are is in an entry of its own: to look for one that is not there would be a question to
    the TaskManager each time, which the batch waits for.
    """

    def __init__(self, state: MutableMapping[str, bytes]) -> None:
        self._state = state

    def register(self, symbol: str, at_us: int, timers: Any) -> None:
        """Calls for the symbol when the watermark has passed a time; ``timers`` is Flink's timer service."""
        at_ms = -(-at_us // 1000)
        waiting = self._waiting(at_ms)
        if symbol in waiting:
            return
        if not waiting:
            self._state[TIMES] = self._times() + b"%d " % at_ms
            timers.register_event_time_timer(at_ms)
        self._state[f" {at_ms}"] = " ".join((*waiting, symbol)).encode()

    def due(self, at_ms: int) -> list[str]:
        """Whose timer has come, in the order of registration; it is over with that."""
        waiting = self._waiting(at_ms)
        if waiting:
            self._state[TIMES] = self._times().replace(b" %d " % at_ms, b" ")
            del self._state[f" {at_ms}"]
        return waiting

    def _times(self) -> bytes:
        return self._state.get(TIMES, b" ")

    def _waiting(self, at_ms: int) -> list[str]:
        if b" %d " % at_ms not in self._times():
            return []
        return self._state[f" {at_ms}"].decode().split()
