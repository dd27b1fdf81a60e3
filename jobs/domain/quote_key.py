"""The packed key that orders the quotes of a symbol and holds them: their times and numbers.

112 hexadecimal digits whose order as text is the order of the quotes, so that SQL's MAX finds the latest of a
slice, followed by the source.
"""

import struct

import numpy as np

from schemas.events import Quote
from schemas.record_batch import RecordBatch

_FIELDS = struct.Struct(">qqqdddd")
_DIGITS = 2 * _FIELDS.size


def pack(batch: RecordBatch) -> list[str]:
    """One key for each quote. All values must be >= 0: then big-endian bytes sort as the numbers do."""
    table = np.empty((len(batch.positions), 7), dtype=">u8")
    for column, name in enumerate(("event_time", "sequence", "received_at")):
        table[:, column] = batch.integers[name]
    for column, name in enumerate(("bid", "bid_size", "ask", "ask_size"), start=3):
        table[:, column] = batch.floats[name].view(np.uint64)
    digits = table.tobytes().hex()
    return [
        digits[row * _DIGITS : (row + 1) * _DIGITS] + source
        for row, source in enumerate(batch.columns["source"])
    ]


def unpack(symbol: str, key: str) -> Quote:
    """The quote that a key stands for; without its exchange."""
    event_time, sequence, received_at, bid, bid_size, ask, ask_size = _FIELDS.unpack(
        bytes.fromhex(key[:_DIGITS])
    )
    return Quote(
        symbol, event_time, received_at, bid, bid_size, ask, ask_size, sequence, source=key[_DIGITS:]
    )
