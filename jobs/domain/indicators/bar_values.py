"""What indicators see of a bar."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class BarValues:
    """One bar.

    ``high``, ``low`` and ``close`` are None where no trade set a price. ``volume`` is in units of the symbol.
    ``session`` is the start of the trading day that the bar belongs to, in microseconds since 1970 UTC.
    """

    high: float | None
    low: float | None
    close: float | None
    volume: float
    session: int

    def priced(self) -> "PricedBar | None":
        """The bar, if trades set its prices."""
        if self.high is None or self.low is None or self.close is None:
            return None
        return PricedBar(self.high, self.low, self.close, self.volume, self.session)


class PricedBar(NamedTuple):
    """A bar whose prices are known; the fields of BarValues."""

    high: float
    low: float
    close: float
    volume: float
    session: int
