"""The ledger of acknowledged trades: the truth that everything stored is compared with."""

import csv
from bisect import insort
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from schemas.intervals import MINUTE_US

Key = tuple[str, str, str]
"""(symbol, source, id)"""


class Noted(NamedTuple):
    """A trade or a correction of one, as the ledger has it. Price and size are text: what floating point has
    not touched; a cancel has none. ``kind`` is trade, cancel or correct."""

    symbol: str
    source: str
    trade_id: str
    event_time: int
    sequence: int
    price: str
    size: str
    kind: str = "trade"
    correction_id: str = ""

    @property
    def key(self) -> Key:
        """Of the event itself."""
        return self.symbol, self.source, self.correction_id or self.trade_id

    @property
    def about(self) -> Key:
        """Of the trade that it is or is about."""
        return self.symbol, self.source, self.trade_id

    @property
    def minute(self) -> int:
        return self.event_time - self.event_time % MINUTE_US


def read_ledger(path: Path) -> list[Noted]:
    """Every acknowledged record; one that was sent twice is there twice."""
    return list(_noted(_complete_lines(path.read_text(encoding="utf-8"))))


def unique(records: Iterable[Noted]) -> dict[Key, Noted]:
    """Each event once."""
    return {record.key: record for record in records}


def trades_of(records: Iterable[Noted]) -> list[Noted]:
    """The trades among them, as they were first reported."""
    return [record for record in records if record.kind == "trade"]


def corrections_of(records: Iterable[Noted]) -> list[Noted]:
    """The cancels and corrections among them."""
    return [record for record in records if record.kind != "trade"]


def corrected(records: Iterable[Noted]) -> list[Noted]:
    """The trades as bars must know them: of several corrections of a trade the latest counts."""
    records = list(records)
    latest = {
        correction.about: correction
        for correction in sorted(corrections_of(records), key=lambda one: (one.event_time, one.sequence))
    }
    left = []
    for trade in trades_of(records):
        correction = latest.get(trade.key)
        if correction is None:
            left.append(trade)
        elif correction.kind == "correct":
            left.append(trade._replace(price=correction.price, size=correction.size))
    return left


class LedgerTail:
    """Follows a ledger that is being written, and knows which trades a bar must be made of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._known: set[str] = set()
        self._times: dict[tuple[str, int], list[int]] = defaultdict(list)

    def follow(self) -> None:
        """Takes in what was written since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        self._read += len(new)
        for trade in trades_of(_noted(_complete_lines(new.decode()))):
            if trade.trade_id not in self._known:
                self._known.add(trade.trade_id)
                insort(self._times[trade.symbol, trade.minute], trade.event_time)

    def event_time(self, symbol: str, minute: int, trades: int) -> int | None:
        """The event time (us) that a 1m bar with so many trades has come to; None for an unknown bar."""
        times = self._times.get((symbol, minute))
        return times[min(trades, len(times)) - 1] if times and trades else None


def _complete_lines(text: str) -> list[str]:
    return text[: text.rfind("\n") + 1].splitlines()  # the producer may be in the middle of a line


def _noted(lines: Iterable[str]) -> Iterable[Noted]:
    for symbol, source, trade_id, event_time, sequence, price, size, kind, correction_id in csv.reader(lines):
        at = int(event_time), int(sequence)
        yield Noted(symbol, source, trade_id, *at, price, size, kind, correction_id)
