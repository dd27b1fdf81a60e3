"""Recordings as a source: order, speed, damage, progress."""

import gzip
from itertools import pairwise
from pathlib import Path

import pytest
import structlog

from producer.heartbeats import Heartbeats
from producer.replay import Replay
from producer.settings import ReplaySettings
from producer.sources import Batch
from schemas.errors import ConfigurationError
from schemas.events import Correction, Trade
from tests.unit.producer.fakes import START_US, FakeClock

NOW_US = START_US + 30 * 86_400_000_000
HEADER = "symbol,event_time,price,size,trade_id"


def rows(symbol: str, *seconds: float) -> list[str]:
    return [f"{symbol},{START_US + round(at * 1e6)},10,1,{number}" for number, at in enumerate(seconds)]


def write(path: Path, lines: list[str], header: str = HEADER) -> str:
    text = "\n".join([header, *lines]) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


def replay(*files: str, clock: FakeClock | None = None, **changes: object) -> list[Batch]:
    settings = ReplaySettings(**{"replay_files": files} | changes)
    return list(Replay(settings, 100_000, clock or FakeClock(NOW_US)).batches())


def trades(batches: list[Batch]) -> list[Trade]:
    return [trade for batch in batches for trade in batch.trades]


def order(batches: list[Batch]) -> list[tuple[str, float]]:
    return [(trade.symbol, (trade.event_time - START_US) / 1e6) for trade in trades(batches)]


def test_files_are_merged_by_time(tmp_path: Path) -> None:
    """Rows of several files, compressed or not, come in the order of their times."""
    first = write(tmp_path / "a.csv.gz", rows("A", 0, 2, 4))
    second = write(tmp_path / "b.csv", rows("B", 1, 3, 5))
    assert order(replay(first, second)) == [("A", 0), ("B", 1), ("A", 2), ("B", 3), ("A", 4), ("B", 5)]


def test_rows_within_a_file_stay_in_their_order(tmp_path: Path) -> None:
    """What was late in the recording is late in the replay; another file is merged around it."""
    first = write(tmp_path / "a.csv", rows("A", 2, 1, 4))
    second = write(tmp_path / "b.csv", rows("B", 1.5, 3))
    assert order(replay(first, second)) == [("B", 1.5), ("A", 2), ("A", 1), ("B", 3), ("A", 4)]


def test_corrections_come_with_the_trades_around_them(tmp_path: Path) -> None:
    """In the batch of their place in the file, at their own time; they move the clock like any event."""
    lines = [
        f"A,{START_US},10,1,t1,,",
        f"A,{START_US + 3_000_000},,,t1,cancel,c1",
        f"A,{START_US + 9_000_000},11,2,t1,correct,c2",
    ]
    first, *_, last = replay(write(tmp_path / "a.csv", lines, header=f"{HEADER},kind,correction_id"))
    assert first.trades == [Trade("A", START_US, START_US, 10.0, 1.0, "t1", 2, "a")]
    assert first.corrections == [
        Correction("A", START_US + 3_000_000, START_US + 3_000_000, "c1", 3, "a", "t1"),
        Correction("A", START_US + 9_000_000, START_US + 9_000_000, "c2", 4, "a", "t1", None, "correct",
                   11.0, 2.0),
    ]  # fmt: skip
    assert first.clock_us == START_US + 7_000_000
    assert last.closing


def test_files_that_decide_themselves_do_not_share_batches_with_others(tmp_path: Path) -> None:
    """Where their trades have conditions; those without go with either."""
    decided = [f"A,{START_US + at},10,1,{at},@,0" for at in (0, 2, 6)]
    open_ = [f"B,{START_US + at},10,1,{at},{codes}" for at, codes in ((1, ""), (4, "@"), (5, "@"))]
    batches = replay(
        write(tmp_path / "a.csv", decided, header=f"{HEADER},conditions,updates_open_close"),
        write(tmp_path / "b.csv", open_, header=f"{HEADER},conditions"),
    )
    found = [
        (batch.decided, [trade.event_time - START_US for trade in batch.trades])
        for batch in batches
        if batch.trades
    ]
    assert found == [(True, [0, 1, 2]), (False, [4, 5]), (True, [6])]


def test_the_clock_lags_by_the_disorder_that_is_allowed(tmp_path: Path) -> None:
    """Rows shuffled within REPLAY_DISORDER_MS are never behind the heartbeats."""
    numbers = [i / 10 + (1.9 if i % 3 == 0 else 0) for i in range(2000)]
    clock_us = 0
    for batch in replay(write(tmp_path / "a.csv", rows("A", *numbers)), replay_disorder_ms=2000):
        assert all(trade.event_time >= clock_us for trade in batch.trades)
        clock_us = batch.clock_us


def test_an_implausible_time_does_not_move_the_clock(tmp_path: Path) -> None:
    """A row dated in the year 2100 is handed over for refusal, and those after it are not late."""
    lines = [*rows("A", 0, 1), f"A,{4_102_444_800_000_000},10,1,x", "A,5,10,1,y", *rows("A", 2)]
    batches = replay(write(tmp_path / "a.csv", lines))
    assert len(trades(batches)) == 5
    assert batches[-2].clock_us == START_US


def test_unreadable_rows_are_handed_over_with_their_place(tmp_path: Path) -> None:
    """A line that is no row becomes a reject: reason, file and line, and the line itself, byte for byte."""
    path = tmp_path / "a.csv"
    good = rows("A", 0)[0].encode()
    path.write_bytes(b"\n".join([HEADER.encode(), good, b"rubb\xffish,1", b"", b"A,,,,", b""]))
    rejected = [letter for batch in replay(str(path)) for letter in batch.rejected]
    assert [(letter.reason, letter.payload) for letter in rejected] == [
        ("unreadable_row", b"rubb\xffish,1"),
        ("unreadable_row", b"A,,,,"),
    ]
    assert rejected[0].detail.startswith("a.csv:3: ")
    assert rejected[1].detail.startswith("a.csv:5: ")


def test_json_lines_that_begin_with_rubbish(tmp_path: Path) -> None:
    """The columns are those of the first object; the lines before it are refused, not lost."""
    path = tmp_path / "a.jsonl"
    path.write_text('rubbish\n{"symbol": "A", "event_time": 1723161255000000, "price": 1, "size": 2}\n')
    batches = replay(str(path))
    assert [trade.price for trade in trades(batches)] == [1.0]
    assert [letter.payload for batch in batches for letter in batch.rejected] == [b"rubbish"]


def test_real_time_takes_as_long_as_it_took(tmp_path: Path) -> None:
    """At speed 1 each row comes when it did; at speed 10 ten times as soon; the clock moves meanwhile."""
    file = write(tmp_path / "a.csv", rows("A", 0, 0.2, 3))
    for speed, factor in (("1", 1), ("10x", 10)):
        clock = FakeClock(NOW_US)
        seen = []
        clocks = []
        settings = ReplaySettings(replay_files=(file,), replay_speed=speed, replay_disorder_ms=0)
        for batch in Replay(settings, 100_000, clock).batches():
            seen += [(clock.now_us() - NOW_US) / 1e6 for _ in batch.trades]
            clocks.append(batch.clock_us)
        assert seen == pytest.approx([0, 0.2 / factor, 3 / factor], abs=0.051)
        steps = [(after - before) / 1e6 for before, after in pairwise(clocks[:-1])]
        assert max(steps) <= 0.051 * factor


def test_heartbeats_follow_wall_time_at_any_speed() -> None:
    """Between heartbeats pass 100 ms of wall time at speed N, and a second of event time at full speed."""
    at = {
        speed: Replay(ReplaySettings(replay_speed=speed), 100_000, FakeClock()).heartbeat_us
        for speed in ("max", "5")
    }
    assert at == {"max": 1_000_000, "5": 500_000}


def test_the_closing_clock_is_past_every_open_bar(tmp_path: Path) -> None:
    """It lies past the UTC day of the last event, and past the day of New York that ends after it."""
    closing = replay(write(tmp_path / "a.csv", rows("A", 0, 120)))[-1]
    assert closing.closing
    assert closing.clock_us == 1723161600_000_000 + 6 * 3_600_000_000  # 2024-08-09 06:00 UTC


def test_a_recording_without_events_has_no_clock(tmp_path: Path) -> None:
    """Nothing but rubbish: it closes, and no heartbeat is due."""
    batches = replay(write(tmp_path / "a.csv", ["rubbish"]))
    assert [letter.payload for batch in batches for letter in batch.rejected] == [b"rubbish"]
    beats = Heartbeats(1)
    assert [beats.due(batch.clock_us, closing=batch.closing) for batch in batches] == [None] * len(batches)


def test_a_damaged_file_gives_what_is_readable_and_then_says_where(tmp_path: Path) -> None:
    """A cut-off .gz is not taken for a complete recording."""
    path = Path(write(tmp_path / "a.csv.gz", rows("A", *range(20_000))))
    path.write_bytes(path.read_bytes()[:-2000])
    got: list[Trade] = []
    batches = Replay(ReplaySettings(replay_files=(str(path),)), 1, FakeClock(NOW_US)).batches()
    with pytest.raises(ConfigurationError, match=r"damaged after line \d+"):
        got.extend(trade for batch in batches for trade in batch.trades)
    assert [trade.sequence for trade in got] == list(range(len(got)))
    assert len(got) > 1000


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.csv", None, "cannot be read"),
        ("a.csv.gz", b"no gzip", "cannot be read"),
        ("a.parquet", b"x", ".csv, .jsonl"),
        ("a.csv", b"", "empty"),
        ("a.jsonl", b"1\n2\n", "no JSON object"),
        ("a.csv", b"x,y\n1,2\n", "do not fit"),
    ],
)
def test_a_file_that_cannot_be_replayed_is_explained(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    """The message names the file and what is wrong with it."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as wrong:
        replay(str(path))
    assert name in str(wrong.value)
    assert says in str(wrong.value)


def test_replay_needs_files() -> None:
    """SOURCE=replay without REPLAY_FILES says what is missing."""
    with pytest.raises(ConfigurationError, match="REPLAY_FILES"):
        replay()


def test_progress_is_logged_every_five_seconds(tmp_path: Path) -> None:
    """A replay of twelve seconds says twice how far it is, and sums up at the end."""
    file = write(tmp_path / "a.csv", rows("A", *range(13)))
    with structlog.testing.capture_logs() as entries:
        replay(file, clock=FakeClock(NOW_US), replay_speed="1")
    assert [entry["event"] for entry in entries] == ["replay_progress", "replay_progress", "replay_read"]
    assert entries[-1]["rows"] == 13
    assert 0 < entries[0]["percent"] <= 100
