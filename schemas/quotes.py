"""What follows from bid and ask: the same numbers wherever they are shown or stored."""

import math

DIGITS = 15
"""As many significant digits as any decimal number keeps as a double."""


def mid(bid: float, ask: float) -> float:
    """(bid + ask) / 2, in as many digits as the prices can tell: 224.975, not 224.97500000000002."""
    return round((bid + ask) / 2, _decimals(max(bid, ask)))


def spread(bid: float, ask: float) -> float:
    """ask - bid likewise; negative where the quote is crossed."""
    return round(ask - bid, _decimals(max(bid, ask)))


def _decimals(price: float) -> int:
    """Behind the point, of a price of DIGITS digits. What a difference of two of them has beyond is the error
    of their doubles."""
    return DIGITS - 1 - math.floor(math.log10(price)) if price > 0 else DIGITS
