"""Which gaps a replay has filled, with Cassandra's part played by hand."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from docker.local import filled_gaps, replay
from docker.local.filled_gaps import Applied, find_applied
from producer.backfill.covered import Covered
from producer.backfill.history import Asked
from schemas.events import Gap
from schemas.topics import Topics

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
START_US = 1_769_817_600_000_000
"""2026-01-31 00:00 UTC: the day after is of another month."""
BEGAN_US = START_US + 9 * DAY_US
GAP = Gap("g", "AAPL", "polygon", START_US + 90_000_000, START_US + 150_000_000, True, "disconnect")
RECORDED = Covered(symbol="AAPL", source="polygon", start=START_US, end=START_US + 2 * DAY_US, sha256="x")


class Tables:
    """Gaps and bars of a minute (start -> when they were made), as the two queries find them."""

    def __init__(self, gaps: Sequence[Gap], bars: dict[int, int]) -> None:
        self._gaps = gaps
        self._bars = bars
        self.cluster = SimpleNamespace(shutdown=lambda: None)

    def execute(self, query: str, values: tuple[str, str, int, int]) -> list[Any]:
        symbol, bucket, start, end = values
        if " FROM gaps " in query:
            inside = [gap for gap in self._gaps if gap.symbol == symbol and start <= gap.start < end]
            months = {True: "2026-01", False: "2026-02"}
            return [
                SimpleNamespace(**asdict(gap))
                for gap in inside
                if months[gap.start < START_US + DAY_US] == bucket
            ]
        return [
            SimpleNamespace(start=at, updated_at=made)
            for at, made in self._bars.items()
            if start <= at // 1000 < end and bucket == "2026-01"
        ]


def applied(
    monkeypatch: pytest.MonkeyPatch, gaps: Sequence[Gap], bars: dict[int, int] | None = None
) -> Applied:
    monkeypatch.setattr(filled_gaps, "connect", lambda _: Tables(gaps, bars or {}))
    return find_applied({}, [RECORDED], BEGAN_US)


def test_a_gap_is_filled_where_the_recording_has_its_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """In whichever month; not what is of another symbol, reaches beyond it, is open, or is filled already."""
    later = replace(GAP, gap_id="later", start=START_US + DAY_US, end=START_US + DAY_US + 1)
    gaps = [
        GAP,
        later,
        replace(GAP, gap_id="MSFT", symbol="MSFT"),
        replace(GAP, gap_id="before", start=START_US - 1),
        replace(GAP, gap_id="beyond", start=START_US + 2 * DAY_US - 1, end=START_US + 2 * DAY_US + 1),
        replace(GAP, gap_id="open", closed=False),
        replace(GAP, gap_id="filled", filled=True),
        replace(GAP, gap_id="failover", end=GAP.start, reason="failover"),
    ]
    assert applied(monkeypatch, gaps) == Applied([GAP, later], [])


@pytest.mark.parametrize(
    ("bars", "filled"),
    [
        ({1: BEGAN_US, 2: BEGAN_US + 1}, True),
        ({0: BEGAN_US - 1, 3: BEGAN_US - 1}, True),  # not over the gap
        ({1: BEGAN_US - 1, 2: BEGAN_US}, False),
        ({2: BEGAN_US - 1}, False),
    ],
)
def test_bars_of_before_show_that_the_replay_has_not_won(
    monkeypatch: pytest.MonkeyPatch, bars: dict[int, int], filled: bool
) -> None:
    """Then the gap stays one: its trades are not in them."""
    made = {START_US + minute * MINUTE_US: at for minute, at in bars.items()}
    assert applied(monkeypatch, [GAP], made) == (Applied([GAP], []) if filled else Applied([], [GAP]))


@pytest.mark.parametrize(
    ("noted", "letters", "said"),
    [(True, 0, "1 gaps stay"), (True, 1, "some of the recording was refused"), (False, 0, "")],
)
def test_a_replay_tells_what_it_has_filled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, noted: bool, letters: int, said: str
) -> None:
    """Only of recordings that a backfill vouches for, and that were taken as a whole."""
    recording = tmp_path / "a.jsonl"
    recording.write_text("{}\n", encoding="utf-8")
    if noted:
        Covered.note(recording, recording, Asked("AAPL", START_US, START_US + DAY_US), "polygon")
    outdone = replace(GAP, gap_id="outdone")
    sent: list[Gap] = []
    reported: list[str] = []
    monkeypatch.setattr(replay, "find_applied", lambda *_: Applied([GAP], [outdone]))
    monkeypatch.setattr(replay, "tell", lambda _, gaps: sent.extend(gaps))
    told = [GAP] if noted and not letters else []
    done = replay.Replayed(Topics("replay-1"), 10, letters)
    count = replay._fill_gaps([recording], {}, done, BEGAN_US, reported.append)
    assert (count, sent) == (len(told), told)
    assert said in "".join(reported)
