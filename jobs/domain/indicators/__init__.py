"""Technical indicators, one bar at a time: a pure function of the sequence of bars.

``Indicators`` is the set that a specification names, ``State`` what it knows of one symbol and interval, and
``BarValues`` what it sees of a bar. One small class per indicator: those that look at the last closes are in
``windows``, those that carry their last value on in ``recursive``; ``specification`` knows what each is
called.
"""

from jobs.domain.indicators.bar_values import BarValues
from jobs.domain.indicators.indicator_set import Indicators, State
from jobs.domain.indicators.specification import DEFAULT

__all__ = ["DEFAULT", "BarValues", "Indicators", "State"]
