"""A set of indicators over the bars of one symbol and interval, and its state as bytes.

Layout 1: layout, fingerprint of the names, the numbers of the recursive indicators in the order of their
names, then the last closes, oldest first, to the end. Everything in the machine's own byte order: state from
a machine of the other order reads as another layout.
"""

import hashlib
import struct
from array import array
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any, TypeAlias

from jobs.domain.indicators.bar_values import BarValues, PricedBar
from jobs.domain.indicators.recursive import RecursiveIndicator
from jobs.domain.indicators.specification import Indicator, parse
from jobs.domain.indicators.windows import WindowIndicator

LAYOUT = 1
HEADER = struct.Struct("=H8s")
DOUBLE = 8
"""Bytes of a close."""

Numbers: TypeAlias = tuple[float, ...]


@dataclass(slots=True)
class State:
    """What a set of indicators knows of the final bars so far.

    ``closes``: the last ones, oldest first, as many as the longest window holds; all windows share them.
    ``recursive``: the state of each recursive indicator, immutable, replaced with every bar.

    Dumped, the default set takes at most 1,754 bytes: 10 of header, 144 of numbers, and 200 closes.
    """

    closes: "array[float]"
    recursive: list[Numbers]


class Indicators:
    """The indicators of a specification such as ``sma:20,macd:12:26:9,vwap``.

    Values are a pure function of the sequence of bars: the same bars give the same bits, whether the state
    was advanced, copied or loaded. A bar that no trade priced changes nothing, and its values are those of
    the bar before it.

    ``names``: every value that the set can give, in the order of the specification. A value that is not
    defined yet is absent, never 0.

    Raises ConfigurationError, which says what is wrong with the specification and what is possible.
    """

    names: tuple[str, ...]

    def __init__(self, specification: str) -> None:
        indicators = parse(specification)
        self.names = tuple(name for indicator in indicators for name in indicator.names)
        self._windows = [each for each in indicators if isinstance(each, WindowIndicator)]
        # Sorted, so that the order of the specification does not matter to a state.
        self._recursive: list[RecursiveIndicator[Any]] = sorted(
            (each for each in indicators if isinstance(each, RecursiveIndicator)), key=lambda each: each.names
        )
        in_order: list[Indicator] = [*self._windows, *self._recursive]
        self._read_names = tuple(name for each in in_order for name in each.names)
        self._longest = max((window.length for window in self._windows), default=0)
        canonical = ",".join(sorted(self.names)).encode()
        self._header = HEADER.pack(LAYOUT, hashlib.blake2b(canonical, digest_size=8).digest())
        self._numbers = struct.Struct("=" + "".join(each.layout for each in self._recursive))
        self._closes_at = HEADER.size + self._numbers.size
        # Where the numbers of each recursive indicator lie among all of them.
        ends = [0, *accumulate(len(each.layout) for each in self._recursive)]
        self._parts = [
            (type(each.fresh)._make, slice(start, end))
            for each, (start, end) in zip(self._recursive, pairwise(ends), strict=True)
        ]

    def fresh(self) -> State:
        """The state before the first bar."""
        return State(array("d"), [each.fresh for each in self._recursive])

    def advance(self, state: State, bar: BarValues) -> None:
        """Takes a final bar into the state."""
        priced = bar.priced()
        if priced is not None:
            self._slide(state.closes, priced)
            state.recursive = self._step(state, priced)

    def values(self, state: State, bar: BarValues) -> dict[str, float]:
        """The defined values as they are with ``bar``, live or final, as the next one; the state stays."""
        priced = bar.priced()
        if priced is None:
            return self._read(state.closes, state.recursive)
        closes = state.closes[:]
        self._slide(closes, priced)
        return self._read(closes, self._step(state, priced))

    def copy(self, state: State) -> State:
        """A state of its own with the same values."""
        return State(state.closes[:], state.recursive[:])

    def dump(self, state: State) -> bytes:
        """The state's bytes; the same state always makes the same ones."""
        numbers = self._numbers.pack(*chain.from_iterable(state.recursive))
        return self._header + numbers + state.closes.tobytes()

    def belongs(self, data: bytes) -> bool:
        """Whether the bytes are a whole state of this layout and of these indicators: ``load`` takes them."""
        return data.startswith(self._header) and self._holds_closes(len(data) - self._closes_at)

    def load(self, data: bytes | None) -> State:
        """The state of these bytes; a fresh one for None.

        Raises ValueError for bytes that do not belong to these indicators: of another layout, of another
        specification, or cut. ``belongs`` tells beforehand, for a caller that would rather start fresh.
        """
        if data is None:
            return self.fresh()
        if not self.belongs(data):
            raise ValueError(self._why_not(data))
        numbers = self._numbers.unpack_from(data, HEADER.size)
        closes = array("d")
        closes.frombytes(data[self._closes_at :])
        return State(closes, [make(numbers[part]) for make, part in self._parts])

    def _slide(self, closes: "array[float]", bar: PricedBar) -> None:
        closes.append(bar.close)
        if len(closes) > self._longest:
            del closes[0]

    def _step(self, state: State, bar: PricedBar) -> list[Numbers]:
        return [each.step(old, bar) for each, old in zip(self._recursive, state.recursive, strict=True)]

    def _read(self, closes: "array[float]", recursive: list[Numbers]) -> dict[str, float]:
        found: list[float | None] = []
        held = len(closes)
        for window in self._windows:
            if held >= window.length:
                found += window.read(closes[-window.length :])
            else:
                found += [None] * len(window.names)
        for each, state in zip(self._recursive, recursive, strict=True):
            found += each.read(state)
        named = zip(self._read_names, found, strict=True)
        return {name: value for name, value in named if value is not None}

    def _holds_closes(self, length: int) -> bool:
        return 0 <= length <= self._longest * DOUBLE and length % DOUBLE == 0

    def _why_not(self, data: bytes) -> str:
        if len(data) < HEADER.size:
            return f"an indicator state of {len(data)} bytes is cut"
        layout, _ = HEADER.unpack_from(data)
        if layout != LAYOUT:
            return f"indicator state of layout {layout} cannot be read by this version (it reads {LAYOUT})"
        if not data.startswith(self._header):
            return (
                "the indicator state was made with another INDICATORS setting than "
                f"{', '.join(self.names) or 'none'}: set it back, or start these indicators fresh"
            )
        return f"an indicator state of {len(data)} bytes is cut or too long for {', '.join(self.names)}"
