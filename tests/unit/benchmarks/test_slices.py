"""Which slices count, and from when on."""

import pytest

from tests.benchmarks.slices import Sampling, Slices

MINUTE = 29_400_000
START = MINUTE * 60.0
SLICE_MS = 200


@pytest.fixture
def slices() -> Slices:
    """Of two symbols, five trades in three slices of the first."""
    made = Slices(SLICE_MS, START - 30)
    for seconds in (0.01, 0.19, 0.21, 0.39, 0.5):
        made.traded(b"A", START + seconds)
    made.traded(b"B", START + 0.3)
    return made


def shown(
    slices: Slices, trades: int, symbol: bytes = b"A", *, final: bool = False
) -> list[tuple[float, bool]]:
    found = slices.shown(symbol, MINUTE, trades, 2 * trades + final, final=final)
    return [(round(each.at - START, 3), each.alone) for each in found]


def waiting(slices: Slices) -> list[float]:
    return sorted(round(at - START, 2) for at in slices.waiting())


def test_each_slice_counts_from_its_last_trade_to_the_first_bar_that_holds_it(slices: Slices) -> None:
    """Once, whatever versions of the bar follow."""
    assert shown(slices, 2) == [(0.19, True)]
    assert shown(slices, 2) == []
    assert shown(slices, 4) == [(0.39, True)]
    assert shown(slices, 5, final=True) == [(0.5, True)]
    assert shown(slices, 5, final=True) == []
    assert slices.unmatched == 0


def test_slices_that_were_never_shown_by_themselves_count_too(slices: Slices) -> None:
    """With the time of the bar that holds them after all, the final one at the latest."""
    assert shown(slices, 4) == [(0.19, False), (0.39, True)]
    assert shown(slices, 5, final=True) == [(0.5, True)]
    assert shown(slices, 1, b"B", final=True) == [(0.3, True)]


def test_minutes_whose_beginning_was_not_read_are_left_out() -> None:
    """Their bars have trades that nobody here has seen, so it is not known which one is the last."""
    late = Slices(SLICE_MS, START + 0.001)
    late.traded(b"A", START + 0.1)
    late.traded(b"A", START + 60.1)
    assert late.first_minute == MINUTE + 1
    assert shown(late, 1) == []
    assert [each.at for each in late.shown(b"A", MINUTE + 1, 1, 8, final=False)] == [START + 60.1]


def test_what_waits_is_what_no_bar_holds(slices: Slices) -> None:
    """Of each minute its first trade that waits; what is given up is counted by its slices, up to a time."""
    assert waiting(slices) == [0.01, 0.3]
    shown(slices, 2)
    assert waiting(slices) == [0.21, 0.3]
    assert sorted(round(at - START, 2) for at in slices.give_up(START + 0.45)) == [0.3, 0.39]
    assert waiting(slices) == [0.5]
    assert shown(slices, 5) == [(0.5, True)]


def test_trades_that_a_final_bar_lacks_are_counted(slices: Slices) -> None:
    """And wait no longer: none will come."""
    assert shown(slices, 3, final=True) == [(0.19, False), (0.21, True)]
    assert slices.unmatched == 2
    assert waiting(slices) == [0.3]


def test_a_bar_that_is_read_before_its_trades_holds_those_that_have_come(slices: Slices) -> None:
    """The others count with the next version, as they come later than they do."""
    assert shown(slices, 7) == [(0.19, False), (0.39, False), (0.5, True)]
    slices.traded(b"A", START + 0.7)
    assert shown(slices, 8) == [(0.7, True)]


def test_an_alert_is_as_old_as_the_slice_that_its_version_ends_with(slices: Slices) -> None:
    """From the first trade of it; versions count the trades of all minutes before, too."""
    slices.shown(b"A", MINUTE, 2, 2 * (100 + 2), final=False)
    began = slices.began(b"A", MINUTE, 2 * (100 + 4))
    assert began is not None
    assert round(began - START, 3) == 0.21
    assert slices.began(b"A", MINUTE, 2 * (100 + 9)) is None
    assert slices.began(b"B", MINUTE, 2) is None


def test_a_trade_is_sampled_in_a_quarter_second_of_the_market() -> None:
    """However they come; for a time without any, or in which none was looked at, none is made up for."""
    sampling = Sampling(0.25)
    times = [START + number / 100 for number in range(1000)]
    assert sum(map(sampling.takes, times)) == 40
    assert sum(sampling.takes(at + 60) for at in times) == 40
