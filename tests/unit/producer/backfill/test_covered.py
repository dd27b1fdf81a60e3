"""The note beside a recording, and which time a recording has to have."""

from pathlib import Path

import pytest

from producer.backfill.covered import Covered
from producer.backfill.history import Asked
from producer.backfill.whole_bars import check_over, whole_bars
from schemas.errors import ConfigurationError
from schemas.sessions import Calendar, UsEquitiesCalendar, UtcCalendar

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
MONDAY_US = 1_767_571_200_000_000
"""2026-01-05 00:00 UTC."""


def noted(folder: Path) -> Path:
    """A recording with its note, as a backfill leaves them."""
    part, recording = folder / "a.part", folder / "a.jsonl"
    part.write_text('{"symbol":"AAPL"}\n', encoding="utf-8")
    Covered.note(recording, part, Asked("AAPL", 5, 9), "polygon")
    return part.replace(recording)


def test_a_note_says_what_its_recording_covers(tmp_path: Path) -> None:
    """Wherever the two are."""
    recording = noted(tmp_path)
    covered = Covered.of(recording)
    assert covered is not None
    assert (covered.symbol, covered.source, covered.start, covered.end) == ("AAPL", "polygon", 5, 9)


def test_nothing_vouches_for_another_file(tmp_path: Path) -> None:
    """One that was changed, one without a note, and one whose note cannot be read."""
    recording = noted(tmp_path)
    note = Path(f"{recording}.covers")
    with recording.open("a", encoding="utf-8") as file:
        file.write("more\n")
    assert Covered.of(recording) is None
    note.write_text('{"symbol":"AAPL"}', encoding="utf-8")
    assert Covered.of(recording) is None
    note.unlink()
    assert Covered.of(recording) is None


@pytest.mark.parametrize(
    ("calendar", "start", "end", "expected"),
    [
        (UtcCalendar(), 14 * HOUR_US, 14 * HOUR_US + 1, (0, DAY_US)),
        (UtcCalendar(), 0, DAY_US, (0, DAY_US)),
        (UtcCalendar(), -1, DAY_US, (-DAY_US, DAY_US)),
        (UsEquitiesCalendar("extended"), 15 * HOUR_US, 16 * HOUR_US, (5 * HOUR_US, 29 * HOUR_US)),
        # The hour in which the session opens is older than the session.
        (UsEquitiesCalendar("regular"), 15 * HOUR_US, 16 * HOUR_US, (14 * HOUR_US, 21 * HOUR_US)),
        (UsEquitiesCalendar("regular"), 10 * HOUR_US + 7, 10 * HOUR_US + 8, (10 * HOUR_US, 11 * HOUR_US)),
    ],
)
def test_bars_that_are_touched_are_asked_for_as_a_whole(
    calendar: Calendar, start: int, end: int, expected: tuple[int, int]
) -> None:
    """Of every interval; what is whole stays as it is."""
    whole = whole_bars(Asked("AAPL", MONDAY_US + start, MONDAY_US + end), calendar)
    assert (whole.start - MONDAY_US, whole.end - MONDAY_US) == expected


def test_bars_that_still_grow_are_not_made_again() -> None:
    """They would stay as they are then; it is said when it can be done."""
    asked = Asked("AAPL", MONDAY_US, MONDAY_US + DAY_US)
    check_over(asked, asked.end)
    with pytest.raises(ConfigurationError, match=r"in 1\.5 hours"):
        check_over(asked, asked.end - 90 * MINUTE_US)
