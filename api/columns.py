"""Bars, indicators and trades as rows of a file: the same fields as in JSON, one below the other."""

from collections.abc import Sequence
from operator import attrgetter

from api.encoders import Column, Values
from api.models import BarIndicators, Candle, Trade

BAR = (
    Column("symbol", "text"),
    Column("interval", "text"),
    Column("start", "time"),
    Column("end", "time"),
)
CANDLE = (
    *BAR,
    *(Column(name, "number") for name in ("open", "high", "low", "close", "volume", "notional", "vwap")),
    Column("trades", "count"),
    Column("final", "flag"),
    Column("version", "count"),
    Column("sources", "texts"),
    Column("late_trades", "count"),
    Column("updated_at", "time"),
    Column("quality", "number"),
    Column("observed", "number"),
)
FILLED = Column("filled", "flag")
PROVIDER_BAR = Column("provider_bar", "text")
INDICATORS = (*BAR, Column("final", "flag"), Column("version", "count"))
TRADE = (
    Column("symbol", "text"),
    Column("event_time", "time"),
    Column("received_at", "time"),
    Column("price", "number"),
    Column("size", "number"),
    Column("trade_id", "text"),
    Column("sequence", "count"),
    Column("source", "text"),
    Column("exchange", "text"),
    Column("conditions", "texts"),
    *(Column(name, "flag") for name in ("updates_open_close", "updates_high_low", "updates_volume")),
)
BAR_TIME, TRADE_TIME = 2, 1
"""The place of the column by which the rows are ordered."""

_trade_values = attrgetter(*(column.name for column in TRADE))


class BarTable:
    """The columns of bars: the given ones, and one for each indicator.

    A file has its columns before its rows. Where the indicators are not named, they are those of the first
    page, which holds the newest bars.
    """

    def __init__(self, fixed: Sequence[Column], *, indicators: bool, names: Sequence[str] = ()) -> None:
        self._fixed = tuple(fixed)
        self._values = attrgetter(*(column.name for column in fixed))
        self._names: tuple[str, ...] | None = tuple(names) or None if indicators else ()

    def columns(self) -> tuple[Column, ...]:
        """Those of the rows so far."""
        return (*self._fixed, *(Column(name, "number") for name in self._names or ()))

    def rows(self, bars: Sequence[Candle]) -> list[Values]:
        """The values of some bars; the first ones fix the columns."""
        if self._names is None and bars:
            self._names = tuple(sorted(frozenset[str]().union(*(bar.indicators for bar in bars))))
        names = self._names or ()
        return [(*self._values(bar), *map(bar.indicators.get, names)) for bar in bars]


def trade_rows(trades: Sequence[Trade]) -> list[Values]:
    """The values of some trades."""
    return [_trade_values(trade) for trade in trades]


def indicators_of(bar: Candle, wanted: frozenset[str]) -> BarIndicators:
    """What /indicators says of a bar: the wanted values, all where none are named."""
    mark = {"provider_bar": bar.provider_bar} if bar.provider_bar is not None else {}
    return BarIndicators(
        start=bar.start,
        end=bar.end,
        final=bar.final,
        version=bar.version,
        values={name: value for name, value in bar.indicators.items() if not wanted or name in wanted},
        **mark,
    )
