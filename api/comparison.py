"""How far the bars of a provider agree with ours: pure arithmetic over one symbol's bars of one day.

Only bars that are final on both sides are compared; a price is compared where both have it. A relative
difference is abs(theirs - ours) / ours.
"""

from collections.abc import Sequence
from statistics import fmean, median

from api.comparison_models import BarCounts, Delay, PriceAgreement, VolumeAgreement
from api.models import Candle
from api.times import to_micros

EQUAL = 1e-6
CLOSE = 1e-3
"""Relative differences up to which two prices are called equal, and close."""
PRICES = ("open", "high", "low", "close")
MICROS = 1_000_000

Pair = tuple[Candle, Candle]
"""A bar of ours and the provider's of the same start."""


def pairs(ours: Sequence[Candle], theirs: Sequence[Candle]) -> list[Pair]:
    """The bars that are final on both sides, in the order of ours."""
    by_start = {bar.start: bar for bar in theirs if bar.final}
    return [(bar, by_start[bar.start]) for bar in ours if bar.final and bar.start in by_start]


def counts(ours: Sequence[Candle], theirs: Sequence[Candle]) -> BarCounts:
    """How many final bars both have, and how many only one."""
    our_starts = {bar.start for bar in ours if bar.final}
    their_starts = {bar.start for bar in theirs if bar.final}
    return BarCounts(
        both=len(our_starts & their_starts),
        only_ours=len(our_starts - their_starts),
        only_theirs=len(their_starts - our_starts),
    )


def prices(compared: Sequence[Pair]) -> dict[str, PriceAgreement | None]:
    """Open, high, low and close -> how they agree; None where no bar has that price on both sides."""
    return {
        name: _price([(getattr(our, name), getattr(their, name)) for our, their in compared])
        for name in PRICES
    }


def _price(values: Sequence[tuple[float | None, float | None]]) -> PriceAgreement | None:
    differences = [abs(their - our) / our for our, their in values if our is not None and their is not None]
    if not differences:
        return None
    return PriceAgreement(
        max_difference=max(differences),
        mean_difference=fmean(differences),
        equal_share=_share(differences, EQUAL),
        close_share=_share(differences, CLOSE),
    )


def _share(differences: Sequence[float], most: float) -> float:
    return sum(difference <= most for difference in differences) / len(differences)


def volume(compared: Sequence[Pair]) -> VolumeAgreement:
    """The volume of the compared bars on both sides; the ratio is None where ours is 0."""
    ours = sum(our.volume for our, _ in compared)
    theirs = sum(their.volume for _, their in compared)
    return VolumeAgreement(ours=ours, theirs=theirs, ratio=theirs / ours if ours else None)


def delay(theirs: Sequence[Candle], now: int) -> Delay:
    """How late the provider's bars are: from the end of each final one to its receipt, and from the end of
    the newest one, final or not, to ``now`` (microseconds since 1970 UTC); 0 while that one still grows."""
    late = [
        (to_micros(bar.updated_at) - to_micros(bar.end)) / MICROS
        for bar in theirs
        if bar.final and bar.updated_at is not None
    ]
    newest = max(theirs, key=lambda bar: bar.start, default=None)
    return Delay(
        newest_bar=None if newest is None else newest.start,
        newest_bar_age_seconds=None if newest is None else max(0.0, (now - to_micros(newest.end)) / MICROS),
        p50_seconds=median(late) if late else None,
        max_seconds=max(late, default=None),
    )
