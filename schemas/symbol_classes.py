"""Which class each symbol is of, and so by which calendar it trades."""

from fnmatch import fnmatchcase
from typing import cast, get_args

from schemas.sessions import Calendar, UsEquitiesCalendar, UtcCalendar
from schemas.settings import SessionSettings, SymbolClass

CLASSES: tuple[SymbolClass, ...] = get_args(SymbolClass)
"""continuous: the simulator and whatever is not named; crypto; us_equities."""

MAX_REMEMBERED = 65_536
"""Symbols whose class is remembered. At this many all are forgotten: to find one again is cheap."""


class SymbolClasses:
    """The classes of SYMBOL_CLASSES. Two symbols of one class share a calendar."""

    def __init__(self, settings: SessionSettings) -> None:
        entries = (entry.rpartition("=") for entry in settings.symbol_classes)
        # The settings were validated: there is no other class.
        self._patterns = [(pattern, cast("SymbolClass", name)) for pattern, _, name in entries]
        self._calendars: dict[SymbolClass, Calendar] = dict.fromkeys(CLASSES, UtcCalendar())
        if any(name == "us_equities" for _, name in self._patterns):
            self._calendars["us_equities"] = UsEquitiesCalendar(settings.us_equity_hours)
        self._remembered: dict[str, SymbolClass] = {}

    def name(self, symbol: str) -> SymbolClass:
        """The class of a symbol."""
        name = self._remembered.get(symbol)
        if name is None:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            name = self._remembered[symbol] = self._match(symbol)
        return name

    def calendar(self, symbol: str) -> Calendar:
        """The calendar of a symbol's class."""
        return self._calendars[self.name(symbol)]

    def _match(self, symbol: str) -> SymbolClass:
        matching = (name for pattern, name in self._patterns if fnmatchcase(symbol, pattern))
        return next(matching, "continuous")
