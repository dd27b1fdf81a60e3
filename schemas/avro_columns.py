"""Avro records of one flat schema decoded by the batch, field by field over all records at once.

Decoding record by record costs 5 to 8 us each, most of it for Python objects that columns do not need. What
is here understands only what our own writers make: fields of text, long, double, boolean and lists of text,
with numbers of at most eight bytes and lists in one block. Of any other record it says so, and whoever asked
decodes it by itself: that it is refused there, or what it holds, is never decided here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.avro_codec import HEADER, SchemaJson

LONGEST_LIST = 16
"""Items of a list; a record with more is decoded by itself."""

_WORD = 8
_CONTINUES = 0x80
_CONTINUED = np.uint64(0x8080808080808080)
_DIGITS = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONES = np.uint64(0x0101010101010101)
# Neighbouring groups of 7, 14 and 28 bits are pushed together: which stay, and how far the others move.
_JOINS = tuple(
    (np.uint64(stay), np.uint64(move), np.uint64(distance))
    for stay, move, distance in (
        (0x007F007F007F007F, 0x7F007F007F007F00, 1),
        (0x00003FFF00003FFF, 0x3FFF00003FFF0000, 2),
        (0x000000000FFFFFFF, 0x0FFFFFFF00000000, 4),
    )
)

Column = list[Any] | NDArray[Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """``values``: field -> a value for each record, text and lists as lists, all else as arrays; those of a
    record that is not ``good`` mean nothing."""

    values: dict[str, Column]
    good: NDArray[np.bool_]


class ColumnReader:
    """Reads records of one schema, which is also that of the reader. Raises ValueError for a schema with
    fields that it does not understand."""

    def __init__(self, schema: SchemaJson) -> None:
        kinds: dict[str, Callable[[_Batch], Column]] = {
            "string": _Batch.text, "long": _Batch.long, "double": _Batch.double, "boolean": _Batch.flag,
            "array of string": _Batch.texts,
        }  # fmt: skip
        self._fields: dict[str, Callable[[_Batch], Column]] = {}
        for field in schema["fields"]:
            kind = field["type"]
            name = f"{kind['type']} of {kind.get('items')}" if isinstance(kind, dict) else str(kind)
            if name not in kinds:
                raise ValueError(f"{schema['name']}.{field['name']}: no columns of {name}")
            self._fields[field["name"]] = kinds[name]

    def read(self, payloads: Sequence[bytes]) -> Columns:
        """The fields of some records in the Confluent wire format, whose first bytes are not looked at."""
        batch = _Batch(payloads)
        values = {name: column(batch) for name, column in self._fields.items()}
        return Columns(values, batch.good & (batch.at == batch.ends))


class _Batch:
    """Some records that are being read: ``at`` is where the next field of each begins. A record in which
    something is amiss is not ``good``; what is read of it after that means nothing, but lies in the batch."""

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self._data = b"".join(payloads)
        lengths = np.fromiter(map(len, payloads), np.int64, len(payloads))
        self.ends = np.cumsum(lengths)
        self.good = lengths >= HEADER.size
        self.at = np.minimum(self.ends - lengths + HEADER.size, self.ends)
        padded = self._data + bytes(_WORD)
        self._bytes = np.frombuffer(padded, np.uint8)
        # The eight bytes from each place on.
        self._words: NDArray[np.uint64] = np.ndarray((len(self._data) + 1,), "<u8", padded, strides=(1,))

    def long(self) -> NDArray[np.int64]:
        """Numbers as Avro writes them: seven bits a byte, and all but the last byte with the eighth set."""
        first = self._bytes[self.at]
        if (first < _CONTINUES).all():  # a byte each, as lengths of texts are
            self._move(1)
            small = first.astype(np.int64)
            unpacked: NDArray[np.int64] = (small >> 1) ^ -(small & 1)
            return unpacked
        words = self._words[self.at]
        last = ~words & _CONTINUED
        self.good &= last != 0
        own = last ^ (last - np.uint64(1))  # all bits up to the end of the last byte
        lengths = (((own >> np.uint64(7)) & _ONES) * _ONES) >> np.uint64(56)
        self._move(lengths.view(np.int64))
        number = words & own & _DIGITS
        for stay, move, distance in _JOINS:
            number = (number & stay) | ((number & move) >> distance)
        halves = (number >> np.uint64(1)).view(np.int64)
        signs = (number & np.uint64(1)).view(np.int64)
        numbers: NDArray[np.int64] = halves ^ -signs
        return numbers

    def double(self) -> NDArray[np.float64]:
        numbers: NDArray[np.float64] = self._words[self.at].view("<f8")
        self._move(_WORD)
        return numbers

    def flag(self) -> NDArray[np.bool_]:
        numbers = self._bytes[self.at]
        self.good &= numbers <= 1
        self._move(1)
        set_: NDArray[np.bool_] = numbers == 1
        return set_

    def text(self) -> list[str]:
        begins, ends = self._span()
        data = self._data
        pieces = [data[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        texts: dict[bytes, str] = {}
        for piece in set(pieces):
            try:
                texts[piece] = piece.decode()
            except UnicodeDecodeError:
                texts[piece] = ""
                self.good &= np.fromiter((each != piece for each in pieces), np.bool_, len(pieces))
        return [texts[piece] for piece in pieces]

    def texts(self) -> list[list[str]]:
        counts = self.long()
        self.good &= (counts >= 0) & (counts <= LONGEST_LIST)
        lists: list[list[str]] = [[] for _ in range(len(counts))]
        left = np.where(self.good, counts, 0)
        if not left.any():
            return lists
        filled = np.flatnonzero(left)
        while (some := np.flatnonzero(left)).size:
            part = self._part(some)
            for row, text in zip(some.tolist(), part.text(), strict=True):
                lists[row].append(text)
            self._take(part, some)
            left[some] -= 1
        part = self._part(filled)
        part.good &= part.long() == 0  # the end of the list: no further block
        self._take(part, filled)
        return lists

    def _span(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each text begins and ends."""
        lengths = self.long()
        begins = self.at
        self.good &= (lengths >= 0) & (lengths <= self.ends - begins)
        self._move(np.where(self.good, lengths, 0))
        return begins, self.at

    def _move(self, lengths: NDArray[np.int64] | int) -> None:
        at = self.at + lengths
        self.good &= at <= self.ends
        self.at = np.minimum(at, self.ends)

    def _part(self, rows: NDArray[np.int64]) -> "_Batch":
        part = object.__new__(_Batch)
        part._data, part._bytes, part._words = self._data, self._bytes, self._words
        part.ends, part.good, part.at = self.ends[rows], self.good[rows], self.at[rows]
        return part

    def _take(self, part: "_Batch", rows: NDArray[np.int64]) -> None:
        self.good[rows], self.at[rows] = part.good, part.at
