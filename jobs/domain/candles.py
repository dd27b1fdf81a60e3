"""A bar as others see it: the candle on the topic, and the values from which indicators are made."""

from collections.abc import Mapping

from jobs.domain import quality
from jobs.domain.amounts import to_float
from jobs.domain.bar import Bar
from jobs.domain.context import Market, Now
from jobs.domain.indicators import BarValues
from jobs.domain.order_key import price_of
from jobs.domain.totals import Totals
from schemas.events import Candle

VERSIONS_PER_GENERATION = 2**33


def values_of(bar: Bar, totals: Totals, market: Market) -> BarValues:
    """What indicators see of a bar."""
    close = None if totals.last is None else price_of(totals.last)
    # The hour in which a session begins may start before it; it belongs to that session all the same.
    session = market.calendar.trading_day(bar.end - 1)
    return BarValues(totals.high, totals.low, close, to_float(totals.volume), session)


def candle_of(  # noqa: PLR0913, PLR0917 -- what a candle is made of
    symbol: str,
    interval: str,
    bar: Bar,
    totals: Totals,
    close: float | None,
    applied: int,
    observed: float,
    indicators: Mapping[str, float],
    now: Now,
) -> Candle:
    """The bar as it is now, with its ``close``; ``applied`` events make its version, and it is
    ``observed`` for that part of its time."""
    open_ = None if totals.first is None else price_of(totals.first)
    vwap = _vwap(totals)
    return Candle(
        symbol=symbol,
        interval=interval,
        start=bar.start,
        end=bar.end,
        open=open_,
        high=totals.high,
        low=totals.low,
        close=close,
        volume=to_float(totals.volume),
        notional=to_float(totals.notional),
        vwap=vwap,
        trades=totals.trades,
        final=bar.final,
        version=now.rules.generation * VERSIONS_PER_GENERATION + 2 * applied + bar.final,
        sources=totals.sources,
        late_trades=bar.late,
        updated_at=now.clock,
        quality=quality.score(
            totals.events, totals.skewed, open_, totals.high, totals.low, close, vwap, now.market.quality
        ),
        observed=observed,
        indicators=indicators,
    )


def _vwap(totals: Totals) -> float | None:
    """Notional / volume. Each trade is rounded to 1e-9 in both, so it is known to some precision only; within
    that it is the value nearest to the range from low to high, where it belongs."""
    if not totals.volume:
        return None
    vwap = totals.notional / totals.volume
    if totals.high is None or totals.low is None:
        return vwap
    nearest = min(max(vwap, totals.low), totals.high)
    precision = (totals.trades / totals.volume + 1e-15) * (1 + totals.high)
    return nearest if abs(nearest - vwap) <= precision else vwap
