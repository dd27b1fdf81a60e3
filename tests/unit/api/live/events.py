"""Events as they come from Kafka, each with something of its own in every field."""

from api.live.messages import Incoming, Message, Ticks, from_event, to_message
from schemas.events import Alert, Candle, Correction, Event, Quote, Trade
from schemas.intervals import INTERVALS

NOON = 1_767_614_400_000_000
"""2026-01-05T12:00:00Z in microseconds."""


def trade(number: int = 0, symbol: str = "AAPL", **changes: object) -> Trade:
    fields: dict[str, object] = {
        "symbol": symbol,
        "event_time": NOON + number,
        "received_at": NOON + number + 250,
        "price": 187.25 + number,
        "size": 100.0,
        "trade_id": f"t{number}",
        "sequence": number,
        "source": "finnhub",
        "exchange": "XNAS",
        "conditions": ("@", "I"),
    }
    return Trade(**(fields | changes))  # type: ignore[arg-type]


def correction(number: int = 0, of: str = "t0", symbol: str = "AAPL") -> Correction:
    return Correction(
        symbol, NOON + number, NOON + number + 99, f"c{number}", number, "finnhub", of, NOON, "correct",
        1.5, 2.0,
    )  # fmt: skip


def quote(number: int = 0, symbol: str = "AAPL") -> Quote:
    return Quote(symbol, NOON + number, NOON + number + 250, 187.25, 3.0, 187.75, 2.0, number, "finnhub", "V")


def candle(
    version: int = 2, symbol: str = "AAPL", interval: str = "1m", bar: int = 0, *, final: bool = False
) -> Candle:
    start = NOON + bar * INTERVALS[interval]
    return Candle(
        symbol, interval, start, start + INTERVALS[interval], 187.0, 188.0, 186.5, 187.25, 1200.0, 224_700.0,
        187.25, version, final, version, ("finnhub",), 1, start + 60_512_345, 0.75, {"rsi_14": 54.25},
    )  # fmt: skip


def alert(number: int = 0, symbol: str = "AAPL") -> Alert:
    return Alert(
        f"price_spike:{symbol}:{number}", 1, symbol, "price_spike", "high", "raised", NOON + number,
        NOON + number + 5, 6.4, 5.0, "rose 6.4 % within 60 s", "1m", NOON, 7,
    )  # fmt: skip


def incoming(*events: Event) -> list[Incoming]:
    return [from_event(event) for event in events]


def ticks(*events: Trade | Quote) -> Ticks:
    """Events of one type that came together."""
    kind = type(events[0])
    return Ticks(
        kind, {name: [getattr(event, name) for event in events] for name in kind.__dataclass_fields__}
    )


def message(seq: int, event: Event, at: float = 0.0) -> Message:
    return to_message(from_event(event), seq, at)
