"""Bars as they are held in memory, and the newest ones of one symbol and interval."""

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import orjson

from api.live.messages import Incoming
from api.models import Candle as CandleModel
from api.store import Span
from api.times import to_micros
from schemas.events import Candle

ROWS = 320
"""Newest bars that a window holds: a page of 300 and whether more follow."""
RECENT_SECONDS = 15.0
"""What the feed brought is kept for so long although nobody has asked for it: Cassandra may not have it yet
when somebody does."""
INDICATORS = b',"indicators":'


class Held(NamedTuple):
    """The newest version of a bar. Times in microseconds since 1970 UTC."""

    start: int
    end: int
    version: int
    final: bool
    close: float | None
    trades: int | None
    quality: float | None
    made: bytes | Incoming
    """Its JSON, or what that is made of when somebody wants it: most versions of live bars nobody does."""
    plain: int
    """So much of the JSON comes before the indicators, where it is made."""

    @property
    def data(self) -> bytes:
        """Its JSON as REST has it, the indicators last."""
        return self.made if isinstance(self.made, bytes) else self.made.data.encode()

    def json(self, *, indicators: bool) -> bytes:
        """As REST has it, with the indicators or without."""
        data = self.data
        return data if indicators else data[: self.plain or _plain(data)] + b"}"

    def fields(self) -> dict[str, Any]:
        """Every field, times as text."""
        return cast(dict[str, Any], orjson.loads(self.data))


def from_feed(incoming: Incoming) -> Held:
    """A bar that came from Kafka."""
    bar = cast(Candle, incoming.event)
    made = incoming.data.encode() if bar.final else incoming
    return _held((bar.start, bar.end, bar.version, bar.final, bar.close, bar.trades, bar.quality), made)


def from_store(bar: CandleModel) -> Held:
    """A bar that was read from Cassandra with its indicators."""
    start, end = to_micros(bar.start), to_micros(bar.end)
    return _held(
        (start, end, bar.version, bar.final, bar.close, bar.trades, bar.quality),
        bar.model_dump_json(exclude_unset=True).encode(),
    )


def _held(
    fields: tuple[int, int, int, bool, float | None, int | None, float | None], made: bytes | Incoming
) -> Held:
    return Held(*fields, made=made, plain=_plain(made) if isinstance(made, bytes) else 0)


def _plain(data: bytes) -> int:
    plain = data.rfind(INDICATORS)
    return plain if plain >= 0 else len(data) - 1


class Window:
    """The newest bars of one symbol and interval.

    Until it is filled from Cassandra it only collects what the feed brings, for RECENT_SECONDS. Once filled,
    it has every bar from ``floor`` on, and of each the newest version, for as long as every event reaches it.
    """

    __slots__ = ("_arrived", "_bars", "_lost", "failed", "filled_at", "floor")

    def __init__(self) -> None:
        self._bars: dict[int, Held] = {}  # by start, oldest first
        self._arrived: dict[int, float] = {}  # when the feed brought them, of the last RECENT_SECONDS
        self._lost = 0
        self.floor: int | None = None
        """None: not filled. 0: it has all bars there are."""
        self.filled_at = 0.0
        self.failed = False
        """Cassandra did not answer when it was to be read again."""

    def __len__(self) -> int:
        return len(self._bars)

    def add(self, bar: Held, at: float) -> None:
        """Takes in what the feed brought at ``at``, seconds of the monotonic clock."""
        self._forget(at - RECENT_SECONDS)
        if self.floor is not None and bar.start < self.floor:
            return
        self._arrived[bar.start] = at
        self._take(bar)
        self._trim()

    def fill(self, rows: list[Held], at: float) -> None:
        """Takes in the newest bars of Cassandra, ROWS of them or all there are, read at ``at`` or after."""
        for row in sorted(rows):
            self._take(row)
        self.floor = max(self._lost, 0 if len(rows) < ROWS else min(row.start for row in rows))
        for start in [start for start in self._bars if start < self.floor]:
            self._drop(start)
        self.filled_at = at
        self._trim()

    def empty(self, at: float) -> None:
        """Makes room: only what has come lately is kept, as if nobody had asked."""
        self._forget(at - RECENT_SECONDS)
        self.floor = None
        self._bars = {start: bar for start, bar in self._bars.items() if start in self._arrived}

    def page(self, span: Span, limit: int) -> list[Held] | None:
        """The newest ``limit`` bars that start in ``span``, newest first; None where it does not have all
        of them."""
        if self.floor is None:
            return None
        found: list[Held] = []
        for start in reversed(self._bars):
            if start < span.start or len(found) == limit:
                break
            if start < span.end:
                found.append(self._bars[start])
        complete = len(found) == limit or self.floor <= span.start
        return found if complete else None

    def _take(self, bar: Held) -> None:
        held = self._bars.get(bar.start)
        if held is not None:
            if bar.version > held.version:
                self._bars[bar.start] = bar
            return
        in_order = not self._bars or bar.start > next(reversed(self._bars))
        self._bars[bar.start] = bar
        if not in_order:
            self._bars = dict(sorted(self._bars.items()))

    def _trim(self) -> None:
        while len(self._bars) > ROWS:
            oldest = next(iter(self._bars))
            self._drop(oldest)
            self._lost = oldest + 1
            if self.floor is not None:
                self.floor = self._lost

    def _forget(self, before: float) -> None:
        for start in [start for start, at in self._arrived.items() if at < before]:
            if self.floor is None:
                self._drop(start)
            else:
                del self._arrived[start]

    def _drop(self, start: int) -> None:
        del self._bars[start]
        self._arrived.pop(start, None)


def page_json(bars: Iterable[Held], *, indicators: bool) -> bytes:
    """A JSON list of bars."""
    return b"[" + b",".join(bar.json(indicators=indicators) for bar in bars) + b"]"
