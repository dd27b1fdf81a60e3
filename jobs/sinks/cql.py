"""Values in CQL's binary form (native protocol v5, section 6: types are big endian)."""

import struct
from collections.abc import Mapping
from functools import lru_cache

_INT = struct.Struct(">i")
_BIGINT = struct.Struct(">q")
_DOUBLE = struct.Struct(">d")
_DATE = struct.Struct(">I")
_DAY_US = 86_400_000_000

int32 = _INT.pack
bigint = _BIGINT.pack
double = _DOUBLE.pack


_NULL = int32(-1)


def sized(value: bytes | None) -> bytes:
    """A value after its length, as rows have it; None: null."""
    return _NULL if value is None else _INT.pack(len(value)) + value


def timestamp(microseconds: int) -> bytes:
    """A CQL timestamp, which has milliseconds."""
    return _BIGINT.pack(microseconds // 1000)


def date(microseconds: int) -> bytes:
    """The UTC day of a time, as a CQL date: days, where 2**31 is 1970-01-01."""
    return _DATE.pack(2**31 + microseconds // _DAY_US)


def boolean(value: bool) -> bytes:
    return b"\1" if value else b"\0"


@lru_cache(maxsize=4096)
def name(value: str) -> bytes:
    """A text that comes again and again, after its length."""
    return sized(value.encode())


@lru_cache(maxsize=4096)
def text_list(values: tuple[str, ...]) -> bytes:
    """A frozen<list<text>>. The same few come again and again: the condition codes of trades."""
    encoded = [value.encode() for value in values]
    return _INT.pack(len(encoded)) + b"".join(_INT.pack(len(value)) + value for value in encoded)


def double_map(values: Mapping[str, float]) -> bytes:
    """A frozen<map<text, double>>; Cassandra wants the keys in the order of their bytes."""
    items = sorted((name.encode(), value) for name, value in values.items())
    return _INT.pack(len(items)) + b"".join(
        _INT.pack(len(name)) + name + b"\0\0\0\x08" + _DOUBLE.pack(value) for name, value in items
    )


def optional_double(value: float | None) -> bytes | None:
    """A double, or null: a bar in which nothing has set a price yet has none."""
    return None if value is None else _DOUBLE.pack(value)


def optional_bigint(value: int | None) -> bytes | None:
    return None if value is None else _BIGINT.pack(value)
