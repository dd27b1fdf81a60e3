"""Symbols that share a key of state see nothing of each other, and each gets its own timers."""

from types import SimpleNamespace
from typing import Any

from jobs.flink.symbol_groups import TIMES, GroupTimers, SymbolEntries


class Flink:
    """The state of a group and its timers, as far as it is asked for them."""

    def __init__(self) -> None:
        self.state: dict[str, bytes] = {}
        self.registered: list[int] = []
        self.service: Any = SimpleNamespace(register_event_time_timer=self.registered.append)


def test_each_symbol_has_entries_of_its_own() -> None:
    """Also where the name of one begins with that of another."""
    state: dict[str, bytes] = {}
    short, long = SymbolEntries(state, "A"), SymbolEntries(state, "AA")
    short["bars"], long["bars"], long["trades"] = b"1", b"2", b"3"
    assert (short["bars"], long["bars"]) == (b"1", b"2")
    assert (list(short), list(long), len(short)) == (["bars"], ["bars", "trades"], 1)
    assert short.get("trades") is None
    del long["bars"]
    assert (short.get("bars"), long.get("bars")) == (b"1", None)


def test_of_each_time_flink_has_one_timer_for_all() -> None:
    """Rounded up to milliseconds, for the watermark has no more; a symbol that asks twice is called once."""
    flink = Flink()
    timers = GroupTimers(flink.state)
    for symbol, at_us in (("B", 5_000), ("A", 4_001), ("B", 5_000), ("C", 6_000)):
        timers.register(symbol, at_us, flink.service)
    assert flink.registered == [5, 6]
    assert timers.due(5) == ["B", "A"]
    assert timers.due(5) == []
    assert timers.due(6) == ["C"]
    assert flink.state == {TIMES: b" "}


def test_a_time_that_is_over_can_be_asked_for_again() -> None:
    """As by what a timer itself brings about."""
    flink = Flink()
    timers = GroupTimers(flink.state)
    timers.register("A", 5_000, flink.service)
    timers.due(5)
    timers.register("A", 5_000, flink.service)
    assert flink.registered == [5, 5]
    assert timers.due(5) == ["A"]


def test_a_time_that_is_not_there_is_not_asked_for() -> None:
    """It would be a question to the TaskManager. Nor is one that another begins with taken for it."""

    class Asked(dict[str, bytes]):
        def get(self, key: str, default: Any = None) -> Any:
            assert key == TIMES
            return super().get(key, default)

    state = Asked()
    timers = GroupTimers(state)
    timers.register("A", 55_000, SimpleNamespace(register_event_time_timer=lambda _: None))
    assert (timers.due(5), timers.due(555), timers.due(55)) == ([], [], ["A"])


def test_timers_lie_where_no_symbol_has_entries() -> None:
    """Their entries begin with a space."""
    flink = Flink()
    GroupTimers(flink.state).register("A", 5_000, flink.service)
    assert list(SymbolEntries(flink.state, "5")) == list(SymbolEntries(flink.state, "A")) == []
