"""Which class a symbol is of."""

import pytest
from pydantic import ValidationError

from schemas import symbol_classes
from schemas.sessions import UsEquitiesCalendar, UtcCalendar
from schemas.settings import SessionSettings
from schemas.symbol_classes import CLASSES, SymbolClasses


def classes(text: str, monkeypatch: pytest.MonkeyPatch, hours: str = "") -> SymbolClasses:
    monkeypatch.setenv("SYMBOL_CLASSES", text)
    monkeypatch.setenv("US_EQUITY_HOURS", hours)
    return SymbolClasses(SessionSettings())


def test_a_symbol_that_is_not_named_is_continuous() -> None:
    """The default: nothing of the simulator ever closes."""
    named = SymbolClasses(SessionSettings())
    assert named.name("AAPL") == "continuous"
    assert isinstance(named.calendar("AAPL"), UtcCalendar)


def test_the_first_pattern_that_matches_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns are those of the shell, and case counts; a symbol may hold an equals sign."""
    named = classes(
        "BRK.B=us_equities, *-USD=crypto,BTC*=crypto,EUR*=X=continuous,*=us_equities", monkeypatch
    )
    symbols = ("BRK.B", "BTC-USD", "BTCUSDT", "EURUSD=X", "AAPL", "btcusdt")
    assert [named.name(symbol) for symbol in symbols] == [
        "us_equities", "crypto", "crypto", "continuous", "us_equities", "us_equities"
    ]  # fmt: skip
    assert [named.name(symbol) for symbol in symbols[:2]] == ["us_equities", "crypto"]


def test_a_pattern_matches_the_whole_symbol(monkeypatch: pytest.MonkeyPatch) -> None:
    """AAPL is not AAPL.L; ? and [..] are known."""
    named = classes("AAPL=us_equities,BR[KX].?=us_equities", monkeypatch)
    found = [named.name(symbol) for symbol in ("AAPL", "AAPL.L", "BRK.B", "BRX.A", "BRY.A")]
    assert found == ["us_equities", "continuous", "us_equities", "us_equities", "continuous"]


def test_each_class_has_its_calendar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the hours that were set; one calendar for all symbols of a class."""
    named = classes("AAPL=us_equities,MSFT=us_equities,*-USD=crypto", monkeypatch, "regular")
    sunday = 1_710_072_000_000_000
    assert named.calendar("AAPL").bar(sunday, "1d") is None
    assert named.calendar("AAPL") is named.calendar("MSFT")
    assert isinstance(named.calendar("AAPL"), UsEquitiesCalendar)
    assert isinstance(named.calendar("BTC-USD"), UtcCalendar)
    assert classes("AAPL=us_equities", monkeypatch).calendar("AAPL").bar(sunday, "1d") is not None


@pytest.mark.parametrize("entry", ["AAPL", "AAPL=", "=crypto", "AAPL=us_equity", "AAPL=Crypto", "="])
def test_what_is_no_class_is_refused_with_what_there_is(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the setting, the entry and the classes."""
    with pytest.raises(ValidationError) as refused:
        classes(f"MSFT=us_equities,{entry}", monkeypatch)
    message = str(refused.value)
    assert "symbol_classes" in message
    assert repr(entry) in message
    assert ", ".join(CLASSES) in message


def test_unknown_hours_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """extended or regular."""
    with pytest.raises(ValidationError, match="us_equity_hours"):
        classes("AAPL=us_equities", monkeypatch, "overnight")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Symbols without end take no memory without end, and keep their class."""
    monkeypatch.setattr(symbol_classes, "MAX_REMEMBERED", 3)
    named = classes("A*=us_equities", monkeypatch)
    found = [named.name(f"{letter}{number}") for number in range(4) for letter in "AB"]
    assert found == ["us_equities", "continuous"] * 4
    assert len(named._remembered) <= 3
