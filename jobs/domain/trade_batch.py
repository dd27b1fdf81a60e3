"""Trades decoded and validated by the batch: what both jobs do with each record, once.

Decoding is one fastavro call a record; everything after it works on whole columns, and only a row that fails
there is looked at by itself, to say why.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.avro_codec import Decoder
from schemas.errors import PoisonError
from schemas.validation import (
    MAX_AMOUNT,
    MAX_NAME_LENGTH,
    MAX_TIME_SKEW_US,
    SYMBOL,
    check_record_time,
    check_trade,
)

COLUMNS = ("symbol", "event_time", "received_at", "price", "size", "trade_id", "sequence", "source",
           "exchange", "conditions", "updates_open_close", "updates_high_low", "updates_volume",
           "correctable")  # fmt: skip
_row_of = itemgetter(*COLUMNS)


@dataclass(frozen=True, slots=True)
class TradeBatch:
    """The valid trades of a batch as columns, and what was refused.

    ``positions[i]`` is where trade i stood in the batch; ``on_time[i]`` tells that its event time and its
    record's timestamp are the same millisecond. ``poison`` maps the position of a refused record to why, and
    ``refused`` to its fields, where it could be decoded at all.
    """

    positions: list[int]
    columns: dict[str, Sequence[Any]]
    event_time: NDArray[np.int64]
    sequence: NDArray[np.int64]
    price: NDArray[np.float64]
    size: NDArray[np.float64]
    on_time: NDArray[np.bool_]
    poison: dict[int, PoisonError]
    refused: dict[int, dict[str, Any]]


class TradeReader:
    """Turns payloads into TradeBatches. Remembers the symbols it has seen to be well formed."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._good_symbols: set[str] = set()

    def read(self, payloads: Iterable[bytes | None], record_ms: NDArray[np.int64]) -> TradeBatch:
        """Decodes and validates; a payload of None is a heartbeat and is passed over.

        ``record_ms`` are the records' timestamps, milliseconds.
        """
        decode = self._decoder.decode_fields
        positions: list[int] = []
        rows: list[dict[str, Any]] = []
        poison: dict[int, PoisonError] = {}
        for position, payload in enumerate(payloads):
            if payload is None:
                continue
            try:
                rows.append(decode(payload))
                positions.append(position)
            except PoisonError as error:
                poison[position] = error
        batch = self._columns(positions, rows, record_ms)
        refused = self._refused(rows, batch, record_ms)
        if refused:
            poison |= {positions[index]: error for index, error in refused.items()}
            kept = [index for index in range(len(rows)) if index not in refused]
            batch = self._columns([positions[i] for i in kept], [rows[i] for i in kept], record_ms)
        return replace(batch, poison=poison, refused={positions[index]: rows[index] for index in refused})

    @staticmethod
    def _columns(
        positions: list[int],
        rows: list[dict[str, Any]],
        record_ms: NDArray[np.int64],
    ) -> TradeBatch:
        values = zip(*map(_row_of, rows), strict=True) if rows else ((),) * len(COLUMNS)
        columns: dict[str, Sequence[Any]] = dict(zip(COLUMNS, values, strict=True))
        event_time = np.array(columns["event_time"], dtype=np.int64)
        return TradeBatch(
            positions=positions,
            columns=columns,
            event_time=event_time,
            sequence=np.array(columns["sequence"], dtype=np.int64),
            price=np.array(columns["price"], dtype=np.float64),
            size=np.array(columns["size"], dtype=np.float64),
            on_time=event_time // 1000 == record_ms[positions],
            poison={},
            refused={},
        )

    def _refused(
        self, rows: list[dict[str, Any]], batch: TradeBatch, record_ms: NDArray[np.int64]
    ) -> dict[int, PoisonError]:
        """Index -> why, for the rows that are not valid. The columns only find suspects; the rules that
        decide are those of schemas.validation."""
        price, size = batch.price, batch.size
        with np.errstate(invalid="ignore", over="ignore"):
            good = (price > 0) & (price <= MAX_AMOUNT) & (size >= 0) & (size <= MAX_AMOUNT)
            good &= (price * size <= MAX_AMOUNT) & (batch.sequence >= 0) & (batch.event_time >= 0)
            good &= np.abs(batch.event_time - record_ms[batch.positions] * 1000) <= MAX_TIME_SKEW_US
        suspects = set(np.flatnonzero(~good).tolist())
        for index, (symbol, trade_id, source) in enumerate(
            zip(batch.columns["symbol"], batch.columns["trade_id"], batch.columns["source"], strict=True)
        ):
            if not (0 < len(trade_id) <= MAX_NAME_LENGTH and 0 < len(source) <= MAX_NAME_LENGTH):
                suspects.add(index)
            if symbol not in self._good_symbols:
                if SYMBOL.fullmatch(symbol):
                    self._good_symbols.add(symbol)
                else:
                    suspects.add(index)
        refused = {}
        for index in suspects:
            try:
                check_trade(rows[index])
                check_record_time(rows[index]["event_time"], int(record_ms[batch.positions[index]]))
            except PoisonError as error:
                refused[index] = error
        return refused
