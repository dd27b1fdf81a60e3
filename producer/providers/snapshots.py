"""The last price, which is all that a snapshot without an order book tells."""

from producer.providers.contract import Frame
from schemas.events import Quote


def last_price(  # noqa: PLR0913 -- each is a value of the quote, or makes one
    symbol: str, price: float, event_time: int, *, source: str, frame: Frame, index: int
) -> Quote:
    """No trade: a quote whose bid and ask are the price, without sizes. ``event_time`` in us; ``index``: of
    the item in its frame."""
    return Quote(
        symbol=symbol,
        event_time=event_time,
        received_at=frame.received_us,
        bid=price,
        bid_size=0.0,
        ask=price,
        ask_size=0.0,
        sequence=frame.order(index),
        source=source,
    )
