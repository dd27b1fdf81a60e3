"""The values of a recording, made of the cells of a CSV file or of the values of a JSON object."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

TIMES = frozenset({"event_time", "received_at", "trade_time"})
NUMBERS = frozenset({"price", "size", "bid", "bid_size", "ask", "ask_size"})
UPDATES = frozenset({"updates_open_close", "updates_high_low", "updates_volume"})
FLAGS = UPDATES | {"correctable"}

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
UNITS: Mapping[str, tuple[int, int]] = {"s": (1_000_000, 1), "ms": (1000, 1), "us": (1, 1), "ns": (1, 1000)}
"""Unit -> (factor, divisor) to microseconds."""


def converter(name: str, unit: str, *, from_text: bool) -> Callable[[Any], Any]:
    """What makes the value of field ``name`` of a cell of a CSV file (``from_text``), or of a JSON value; a
    time is in ``unit``. It raises ValueError, TypeError or ArithmeticError for what is none."""
    if name == "trade_time":
        return _if_known(_time_in(unit))
    if name in TIMES:
        return _time_in(unit)
    if name in NUMBERS:
        return float if from_text else _number
    if name == "sequence":
        return int if from_text else _whole
    if name in FLAGS:
        return _flag
    if name == "conditions":
        return _conditions
    return _text


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{value!r} is not a whole number")
    return int(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # an id that the provider writes as a number
    raise TypeError(f"{value!r} is not text")


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("1", "true", "t", "yes"):
        return True
    if text in ("0", "false", "f", "no"):
        return False
    raise ValueError(f"{value!r} is neither true nor false")


def _conditions(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(code.strip() for code in value.split("|") if code.strip())
    return tuple(_text(code) for code in value)


def _if_known(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """None where a cell is empty."""
    return lambda value: None if value is None or value == "" else convert(value)


def _time_in(unit: str) -> Callable[[Any], int]:
    if unit == "iso":
        return _iso
    factor, divisor = UNITS[unit or "us"]

    def whole(value: Any) -> int:
        try:
            return int(value) * factor // divisor
        except ValueError:
            return _decimal(value, factor, divisor) if unit else _iso(value)

    def from_any(value: Any) -> int:
        if type(value) is str or type(value) is int:
            return whole(value)
        if type(value) is float:
            return _decimal(repr(value), factor, divisor)
        raise TypeError(f"{value!r} is not a time")

    return from_any


def _decimal(text: str, factor: int, divisor: int) -> int:
    """A time with a fraction, as many providers write seconds; beyond microseconds it is cut off."""
    return int(Decimal(text) * factor / divisor)


def _iso(value: Any) -> int:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // MICROSECOND
