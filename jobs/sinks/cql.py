"""Values in CQL's binary form (native protocol v5, section 6: types are big endian)."""

import struct
from collections.abc import Sequence

_INT = struct.Struct(">i")
_BIGINT = struct.Struct(">q")
_DOUBLE = struct.Struct(">d")

int32 = _INT.pack
bigint = _BIGINT.pack
double = _DOUBLE.pack


def timestamp(microseconds: int) -> bytes:
    """A CQL timestamp, which has milliseconds."""
    return _BIGINT.pack(microseconds // 1000)


def boolean(value: bool) -> bytes:
    return b"\1" if value else b"\0"


def text_list(values: Sequence[str]) -> bytes:
    """A frozen<list<text>>."""
    encoded = [value.encode() for value in values]
    return _INT.pack(len(encoded)) + b"".join(_INT.pack(len(value)) + value for value in encoded)
