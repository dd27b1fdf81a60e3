"""How far a bar can be trusted by what is known of its trades: outliers, and a score between 0 and 1.

    score = (1 - skewed / events) x closeness(high) x closeness(low)

``skewed / events`` is the share of trades whose event time is ahead of their receipt: their clock is wrong,
and so may be their bar. ``closeness`` is 1 for an extreme within ``outlier_percent`` of the rest of its bar,
and ``outlier_percent / distance`` beyond: it sinks without a leap, to a half at twice the distance. A bar
without events has nothing wrong with it: 1.

All of it is a function of what the bar holds, never of the order in which that came.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QualityRules:
    """``outlier_percent``: how far an extreme may stand away from the rest of its bar, in percent."""

    outlier_percent: float = 10.0


def outliers(  # noqa: PLR0913, PLR0917 -- the prices of a bar
    open: float | None,
    high: float | None,
    low: float | None,
    close: float | None,
    vwap: float | None,
    rules: QualityRules,
) -> tuple[float, float]:
    """By how many percent the high stands above the greatest of open, close and VWAP, and the low below the
    least of them; 0.0 for one that is not more than ``outlier_percent`` away, or where prices are missing."""
    rest = [price for price in (open, close, vwap) if price is not None]
    if high is None or low is None or not rest:
        return 0.0, 0.0
    # To nine digits: 110 is not more than 10 % above 100, though 110 / 100 - 1 > 0.1 for a computer.
    above, below = round((high / max(rest) - 1) * 100, 9), round((1 - low / min(rest)) * 100, 9)
    limit = rules.outlier_percent
    return above if above > limit else 0.0, below if below > limit else 0.0


def score(  # noqa: PLR0913, PLR0917 -- what a bar holds
    events: int,
    skewed: int,
    open: float | None,
    high: float | None,
    low: float | None,
    close: float | None,
    vwap: float | None,
    rules: QualityRules,
) -> float:
    """The quality score of a bar, in [0, 1]; the formula is this module's. ``skewed`` of its ``events`` have
    a time ahead of their receipt."""
    good = 1 - min(max(skewed, 0), events) / events if events > 0 else 1.0
    for distance in outliers(open, high, low, close, vwap, rules):
        if distance:
            good *= min(1.0, rules.outlier_percent / distance)
    return good
