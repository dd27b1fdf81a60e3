"""Which time a recording has to have, so that bars which are made of it alone are whole."""

from producer.backfill.history import Asked
from schemas.errors import ConfigurationError
from schemas.intervals import INTERVALS
from schemas.sessions import Calendar


def whole_bars(asked: Asked, calendar: Calendar) -> Asked:
    """What is asked for, with the rest of every bar that it touches: whole days, mostly."""
    start, end = asked.start, asked.end
    while True:
        first = [calendar.bar(start, interval) for interval in INTERVALS]
        last = [calendar.bar(end - 1, interval) for interval in INTERVALS]
        whole = (
            min(bar[0] for bar in first if bar is not None),
            max(bar[1] for bar in last if bar is not None),
        )
        if whole == (start, end):
            return Asked(asked.symbol, start, end)
        start, end = min(start, whole[0]), max(end, whole[1])


def check_over(asked: Asked, now_us: int) -> None:
    """Raises ConfigurationError where some of these bars still grow: made again of what there is by now, they
    would stay so, and lack what is still to come."""
    if asked.end > now_us:
        raise ConfigurationError(
            f"bars of {asked.symbol} that this touches are not over, and can be made again only as a whole:"
            f" name an earlier TO, or give the same command in {(asked.end - now_us) / 3.6e9:.1f} hours"
        )
