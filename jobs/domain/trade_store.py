"""The trades behind the minutes of a symbol that may be cancelled, in a store outside of the hot state.

A minute's trades lie in chunks, one for each slice or correction, numbered from 0 under
``<minute since 1970>.<number>``: whoever knows how many there are (the hot state does) reads and deletes
them without asking the store what it holds. A chunk begins with the length of its source's name (2 bytes) and
the name, and goes on with the slice's trades; a length of 0 begins a chunk of corrections. Corrections whose
trade has not come lie under ``waiting``, all in one entry: they are few, and looked at only while there are
some.
"""

from collections.abc import Collection, MutableMapping

from jobs.domain import amounts, order_key, trade_log
from jobs.domain.totals import Totals
from jobs.domain.trade_log import HIGH_LOW, OPEN_CLOSE, SKEWED, VOLUME, LoggedTrade, WaitingCorrection
from schemas.intervals import MINUTE_US

WAITING = "waiting"
MAX_WAITING = 1_000
"""Corrections of a symbol that wait for their trade; a further one is unmatched at once."""

_COUNTS = OPEN_CLOSE | HIGH_LOW | VOLUME

Store = MutableMapping[str, bytes]


def write_trades(store: Store, minute: int, number: int, source: str, text: str) -> None:
    """Keeps a slice's trades, in the text of trade_log, as chunk ``number`` of a minute."""
    name = source.encode()
    store[_key(minute, number)] = len(name).to_bytes(2) + name + trade_log.to_bytes(text)


def write_corrections(
    store: Store, minute: int, number: int, corrections: Collection[WaitingCorrection]
) -> None:
    """Keeps corrections of a minute's trades as its chunk ``number``."""
    store[_key(minute, number)] = b"\0\0" + trade_log.corrections_to_bytes(corrections)


def delete(store: Store, minute: int, chunks: int) -> None:
    """Forgets a minute's trades."""
    for number in range(chunks):
        del store[_key(minute, number)]


def find(store: Store, minute: int, chunks: int, source: str, trade_id: str) -> int | None:
    """Event time of the trade of that id, or of the one that the correction of that id is about; None where
    the minute has neither."""
    name = trade_id.encode()
    for number in range(chunks):
        data = store[_key(minute, number)]
        if name not in data:
            continue
        owner, trades, corrections = _parse(data)
        for trade in trades:
            if owner == source and trade.trade_id == trade_id:
                return trade.event_time
        for correction in corrections:
            if (correction.source, correction.correction_id) == (source, trade_id):
                # What corrections were about was found before they were written: this ends at a trade.
                return find(store, minute, chunks, source, correction.trade_id)
    return None


def totals(store: Store, minute: int, chunks: int) -> Totals:
    """What a minute's trades add up to with their corrections in force.

    Without corrections exactly what their slices add up to. ``undone`` counts each correction, and each trade
    that is cancelled. Takes about 3 us a trade, and runs once for each correction.
    """
    trades: list[tuple[str, LoggedTrade]] = []
    corrections: list[WaitingCorrection] = []
    for number in range(chunks):
        source, logged, more = _parse(store[_key(minute, number)])
        trades += ((source, trade) for trade in logged)
        corrections += more
    in_force = _in_force(trades, corrections)
    counted: list[tuple[str, LoggedTrade]] = []
    for source, trade in trades:
        correction = in_force.get((source, trade.trade_id))
        if correction is None:
            counted.append((source, trade))
        elif correction.price is not None:
            flags = correction.flags | trade.flags & SKEWED
            corrected = trade._replace(price=correction.price, size=correction.size, flags=flags)
            counted.append((source, corrected))
    result = _sum([trade for _, trade in counted])
    return result._replace(
        sources=tuple(sorted({source for source, _ in counted})),
        undone=len(corrections) + len(trades) - len(counted),
    )


def load_waiting(store: Store) -> list[WaitingCorrection]:
    """The corrections whose trade has not come."""
    data = store.get(WAITING)
    return [] if data is None else trade_log.corrections_from_bytes(data)


def save_waiting(store: Store, waiting: Collection[WaitingCorrection]) -> None:
    """Keeps the corrections whose trade has not come; there was or is at least one."""
    if waiting:
        store[WAITING] = trade_log.corrections_to_bytes(waiting)
    else:
        del store[WAITING]


def trade_ids(text: str) -> set[str]:
    """The ids of the trades in the text of a slice."""
    return {trade.trade_id for trade in trade_log.unpack(trade_log.to_bytes(text))}


def about(waiting: Collection[WaitingCorrection], source: str, ids: set[str]) -> list[WaitingCorrection]:
    """Those of the waiting that are about one of these trades or corrections, or about one of those."""
    left = [each for each in waiting if each.source == source]
    found: list[WaitingCorrection] = []
    while ids:
        more = [each for each in left if each.trade_id in ids]
        left = [each for each in left if each.trade_id not in ids]
        found += more
        ids = {each.correction_id for each in more}
    return found


def _key(minute: int, number: int) -> str:
    return f"{minute // MINUTE_US}.{number}"


def _parse(data: bytes) -> tuple[str, list[LoggedTrade], list[WaitingCorrection]]:
    trades_at = 2 + int.from_bytes(data[:2])
    if trades_at == 2:
        return "", [], trade_log.corrections_from_bytes(data[2:])
    return data[2:trades_at].decode(), list(trade_log.unpack(data, trades_at)), []


def _in_force(
    trades: Collection[tuple[str, LoggedTrade]], corrections: Collection[WaitingCorrection]
) -> dict[tuple[str, str], WaitingCorrection]:
    """(source, trade id) -> the latest of its corrections."""
    known = {(source, trade.trade_id) for source, trade in trades}
    targets = {(each.source, each.correction_id): (each.source, each.trade_id) for each in corrections}
    latest: dict[tuple[str, str], WaitingCorrection] = {}
    for correction in sorted(
        corrections, key=lambda each: (each.event_time, each.sequence, each.correction_id)
    ):
        target = (correction.source, correction.trade_id)
        while target not in known:
            target = targets[target]
        latest[target] = correction
    return latest


def _sum(trades: list[LoggedTrade]) -> Totals:
    orders = [(each.event_time, each.sequence, each.price) for each in trades if each.flags & OPEN_CLOSE]
    prices = [each.price for each in trades if each.flags & HIGH_LOW]
    traded = [(each.size, each.price * each.size) for each in trades if each.flags & VOLUME]
    return Totals(
        first=order_key.of(*min(orders)) if orders else None,
        last=order_key.of(*max(orders)) if orders else None,
        high=max(prices, default=None),
        low=min(prices, default=None),
        volume=sum(amounts.exact(size) for size, _ in traded),
        notional=sum(amounts.exact(notional) for _, notional in traded),
        trades=sum(each.flags & _COUNTS > 0 for each in trades),
        events=len(trades),
        skewed=sum(each.flags & SKEWED > 0 for each in trades),
        sources=(),
        undone=0,
    )
