"""From text to indicators: ``sma:20,macd:12:26:9,vwap``. A new indicator is a class and an entry in FORMS."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from jobs.domain.indicators.recursive import Atr, Ema, Macd, RecursiveIndicator, Rsi, SessionVwap
from jobs.domain.indicators.windows import Bollinger, Sma, WindowIndicator
from schemas.errors import ConfigurationError

DEFAULT = "sma:20,sma:50,sma:200,ema:12,ema:26,rsi:14,macd:12:26:9,bollinger:20:2,vwap,atr:14"
MAX_PERIOD = 1_000
"""So that a state stays small: the longest window is kept whole, 8 bytes a close."""
MAX_DEVIATIONS = 100

Indicator: TypeAlias = WindowIndicator | RecursiveIndicator[Any]


@dataclass(frozen=True, slots=True)
class Form:
    """How one indicator is written, and what makes it of the texts after its name.

    ``make`` raises ValueError with what is wrong with them; there are as many as ``parameters`` has names.
    """

    parameters: tuple[str, ...]
    make: Callable[..., Indicator]


def _period(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= MAX_PERIOD:
        raise ValueError(f"{text!r} is no whole number from 1 to {MAX_PERIOD}")
    return int(text)


def _deviations(text: str) -> float:
    try:
        deviations = float(text)
    except ValueError:
        deviations = math.nan
    if not 0 < deviations <= MAX_DEVIATIONS:
        raise ValueError(f"{text!r} is no number above 0 and up to {MAX_DEVIATIONS}")
    return deviations


def _macd(fast: str, slow: str, signal: str) -> Macd:
    if _period(fast) >= _period(slow):
        raise ValueError(f"FAST must be below SLOW, but {fast} is not below {slow}")
    return Macd(_period(fast), _period(slow), _period(signal))


FORMS = {
    "sma": Form(("PERIOD",), lambda period: Sma(_period(period))),
    "ema": Form(("PERIOD",), lambda period: Ema(_period(period))),
    "rsi": Form(("PERIOD",), lambda period: Rsi(_period(period))),
    "macd": Form(("FAST", "SLOW", "SIGNAL"), _macd),
    "bollinger": Form(
        ("PERIOD", "DEVIATIONS"),
        lambda period, deviations: Bollinger(_period(period), _deviations(deviations)),
    ),
    "vwap": Form((), SessionVwap),
    "atr": Form(("PERIOD",), lambda period: Atr(_period(period))),
}
POSSIBLE = (
    ", ".join(":".join([name, *form.parameters]) for name, form in FORMS.items())
    + f"; every period is a whole number from 1 to {MAX_PERIOD}, and FAST is below SLOW"
)


def parse(specification: str) -> list[Indicator]:
    """The indicators in the order in which they are named; none for an empty text.

    Raises ConfigurationError, which says what is wrong and what is possible.
    """
    if not specification.strip():
        return []
    indicators = [_parse_one(item.strip()) for item in specification.split(",")]
    counts = Counter(name for indicator in indicators for name in indicator.names)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise ConfigurationError(
            f"INDICATORS={specification}: {', '.join(twice)} would come twice; name each indicator once"
        )
    return indicators


def _parse_one(item: str) -> Indicator:
    name, *arguments = item.split(":")
    form = FORMS.get(name)
    if form is None:
        raise _error(item, f"no indicator is called {name!r}")
    if len(arguments) != len(form.parameters):
        raise _error(item, f"it is written {':'.join([name, *form.parameters])}")
    try:
        return form.make(*arguments)
    except ValueError as error:
        raise _error(item, str(error)) from error


def _error(item: str, wrong: str) -> ConfigurationError:
    return ConfigurationError(f"INDICATORS: {item!r}: {wrong}. Possible are {POSSIBLE}.")
