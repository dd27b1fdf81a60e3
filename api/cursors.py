"""Opaque cursors: a place in the order of bars, trades, alerts or gaps, as text for a URL."""

import base64
import binascii
from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from api.alert_store import AlertPlace
from api.errors import InvalidParameter
from api.gap_store import GapPlace
from api.parameters import PROVIDER_NAME
from api.store import Position

T = TypeVar("T")
Time = Annotated[int, Field(ge=0, le=253_402_300_799_999_999)]  # 1970 to the end of the year 9999
Provider = Annotated[str, Field(pattern=PROVIDER_NAME)]
CANDLE_PLACE: TypeAdapter[tuple[int] | tuple[int, str]] = TypeAdapter(tuple[Time] | tuple[Time, Provider])
TRADE_PLACE = TypeAdapter(tuple[Time, Annotated[int, Field(ge=0, lt=2**63)], str, str])

ALERT_PLACE = TypeAdapter(tuple[Time, str | None])
GAP_PLACE = TypeAdapter(tuple[Time, str])


def candle_cursor(start: int, provider: str | None = None) -> str:
    """The place after the bar that starts at ``start``, going back in time: among ours, or a provider's."""
    return _encode(CANDLE_PLACE.dump_json((start,) if provider is None else (start, provider)))


def candle_place(cursor: str) -> int:
    """Start of the bar that a cursor was made for; raises InvalidParameter."""
    return _decode(cursor, CANDLE_PLACE)[0]


def candle_provider(cursor: str) -> str | None:
    """Whose bar that was, None: ours; raises InvalidParameter."""
    return next(iter(_decode(cursor, CANDLE_PLACE)[1:]), None)


def trade_cursor(position: Position) -> str:
    """The place after the trade at ``position``, going back in time."""
    return _encode(TRADE_PLACE.dump_json((*position,)))


def trade_place(cursor: str) -> Position:
    """The position that a cursor was made for; raises InvalidParameter."""
    return Position(*_decode(cursor, TRADE_PLACE))


def alert_cursor(place: AlertPlace) -> str:
    """The place in the order of alerts, going back in time."""
    return _encode(ALERT_PLACE.dump_json((*place,)))


def alert_place(cursor: str) -> AlertPlace:
    """The place that a cursor was made for; raises InvalidParameter."""
    return AlertPlace(*_decode(cursor, ALERT_PLACE))


def gap_cursor(place: GapPlace) -> str:
    """The place in the order of a symbol's gaps, going back in time."""
    return _encode(GAP_PLACE.dump_json((*place,)))


def gap_place(cursor: str) -> GapPlace:
    """The place that a cursor was made for; raises InvalidParameter."""
    return GapPlace(*_decode(cursor, GAP_PLACE))


def _encode(place: bytes) -> str:
    return base64.urlsafe_b64encode(place).decode().rstrip("=")


def _decode(cursor: str, place: TypeAdapter[T]) -> T:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return place.validate_json(text, strict=True)
    except (binascii.Error, ValueError, ValidationError):
        raise InvalidParameter("cursor: give next_cursor of an answer as it was, or none") from None
