"""The trades of a slice, packed, so that a bar can be made again without one of them.

The highest price of a slice cannot be taken out of it again. Where a source sends cancels and corrections,
the trades themselves are kept beside the sums until their minute is out of reach.

Through SQL they travel as text, one trade a piece, pieces joined by line feeds. The text of a trade is
hexadecimal: order key (48 digits), flags (2), size as a double (16), length of the id (4), id in UTF-8. So
one ``bytes.fromhex``, which passes over line feeds, makes a whole slice binary, 35 bytes and the id a trade.
The text of a correction is a JSON array: it begins with ``[``, which is no hexadecimal digit.
"""

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgpack
import numpy as np
from numpy.typing import NDArray

OPEN_CLOSE, HIGH_LOW, VOLUME, SKEWED = 1, 2, 4, 8

_TRADE = struct.Struct(">qqdBdH")
_TABLE = np.dtype([
    ("event_time", ">u8"), ("sequence", ">u8"), ("price", ">f8"), ("flags", "u1"), ("size", ">f8"),
    ("id_length", ">u2"),
])  # fmt: skip
_DIGITS = 2 * _TRADE.size
_CANCEL = "cancel"


class LoggedTrade(NamedTuple):
    """A trade as bars keep it; ``flags`` is made of OPEN_CLOSE, HIGH_LOW, VOLUME and SKEWED."""

    event_time: int
    sequence: int
    price: float
    flags: int
    size: float
    trade_id: str


class WaitingCorrection(NamedTuple):
    """A correction as bars keep it, while it waits for its trade and beside it afterwards.

    ``price``, ``size`` and ``flags`` are those of the trade from now on; ``price`` is None for a cancel.
    ``kafka_partition`` and ``kafka_offset`` tell where its record lies.
    """

    source: str
    correction_id: str
    trade_id: str
    event_time: int
    sequence: int
    trade_time: int | None
    price: float | None
    size: float
    flags: int
    kafka_partition: int
    kafka_offset: int


def pack(  # noqa: PLR0913, PLR0917 -- a column each
    event_times: NDArray[np.int64],
    sequences: NDArray[np.int64],
    prices: NDArray[np.float64],
    sizes: NDArray[np.float64],
    open_close: NDArray[np.bool_],
    high_low: NDArray[np.bool_],
    volume: NDArray[np.bool_],
    trade_ids: Sequence[str],
    skewed: NDArray[np.bool_] | None = None,
) -> list[str]:
    """The text of each trade. Its id may hold any character, and at most 65,535 bytes of UTF-8.

    The flags must be those by which the trade's slice was summed, ``skewed`` included.
    """
    ids = [trade_id.encode() for trade_id in trade_ids]
    table = np.empty(len(ids), dtype=_TABLE)
    table["event_time"] = event_times
    table["sequence"] = sequences
    table["price"] = prices
    table["flags"] = open_close * OPEN_CLOSE + high_low * HIGH_LOW + volume * VOLUME
    if skewed is not None:
        table["flags"] += (skewed * SKEWED).astype(np.uint8)
    table["size"] = sizes
    table["id_length"] = [len(each) for each in ids]
    digits = table.tobytes().hex()
    starts = range(0, len(digits), _DIGITS)
    return [digits[at : at + _DIGITS] + each.hex() for at, each in zip(starts, ids, strict=True)]


def to_bytes(text: str) -> bytes:
    """The trades of a slice as they are kept."""
    return bytes.fromhex(text)


def unpack(data: bytes, at: int = 0) -> Iterator[LoggedTrade]:
    """The trades in ``data`` from a position on."""
    end = len(data)
    while at < end:
        event_time, sequence, price, flags, size, id_length = _TRADE.unpack_from(data, at)
        at += _TRADE.size
        trade_id = data[at : at + id_length].decode()
        yield LoggedTrade(event_time, sequence, price, flags, size, trade_id)
        at += id_length


def pack_correction(fields: Mapping[str, Any], kafka_partition: int, kafka_offset: int) -> str:
    """The text of a valid correction; ``fields`` are those of schemas.events.Correction, by name."""
    cancels = fields["kind"] == _CANCEL
    open_close = fields["updates_open_close"]
    # As with trades: or a bar could open above its high.
    high_low = fields["updates_high_low"] or open_close
    correction = WaitingCorrection(
        source=fields["source"],
        correction_id=fields["correction_id"],
        trade_id=fields["trade_id"],
        event_time=fields["event_time"],
        sequence=fields["sequence"],
        trade_time=fields["trade_time"],
        price=None if cancels else float(fields["price"]),
        size=0.0 if cancels else float(fields["size"]),
        flags=open_close * OPEN_CLOSE + high_low * HIGH_LOW + fields["updates_volume"] * VOLUME,
        kafka_partition=kafka_partition,
        kafka_offset=kafka_offset,
    )
    return json.dumps(correction)


def is_correction(text: str) -> bool:
    """Whether a text is that of a correction, and not of trades."""
    return text.startswith("[")


def unpack_correction(text: str) -> WaitingCorrection:
    """The correction of a text."""
    return WaitingCorrection(*json.loads(text))


def corrections_to_bytes(corrections: Iterable[WaitingCorrection]) -> bytes:
    """Corrections as they are kept."""
    data: bytes = msgpack.packb(list(corrections))
    return data


def corrections_from_bytes(data: bytes) -> list[WaitingCorrection]:
    """The corrections of these bytes."""
    return [WaitingCorrection(*fields) for fields in msgpack.unpackb(data)]
