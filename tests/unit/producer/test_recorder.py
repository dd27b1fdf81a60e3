"""Recording what providers send, and reading it back: the same events, whatever happens to the recorder."""

import asyncio
import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from producer.frame_lines import BEGINNING, frame_of, line_of
from producer.metrics import ProducerMetrics
from producer.providers.contract import Frame, Handshake, Parsed, Reply, What
from producer.providers.counters import Counters
from producer.providers.link import Link, Patience, Surroundings
from producer.recorder import Recorder, RecorderSettings
from producer.replay import Replay
from producer.settings import ReplaySettings
from producer.sources import Rejected
from schemas.errors import ConfigurationError
from schemas.events import Correction, ProviderBar, Quote, Trade
from tests.support.provider_answers import MINUTE_US, quote_answer, yahoo_answer
from tests.support.provider_frames import (
    KEYS,
    NOW_US,
    Line,
    adapter_of,
    event,
    polled_of,
    recorded_lines,
)
from tests.support.virtual_time import VirtualLoop, run_for
from tests.unit.producer.fakes import FakeClock

RECORDINGS = {
    "binance": ("binance_ws/BINANCE.ws.1.0.jsonl", {"binance_trades": "aggTrade"}),
    "coinbase": ("coinbase_ws/COINBASE.ws.28.0.jsonl", {}),
    "finnhub": ("finnhub/aapl_20230331_session.jsonl", {}),
    "polygon": ("polygon/ws_samples.jsonl", {}),
}


def frames_of(lines: Sequence[Line], connection: int = NOW_US) -> list[Frame]:
    return [
        Frame(line.text.encode(), line.received_us, connection, number) for number, line in enumerate(lines)
    ]


def recorded(folder: Path, provider: str, frames: Sequence[Frame], **changes: int) -> list[Path]:
    """The files that the recorder makes of them."""
    recorder = Recorder(RecorderSettings(record=str(folder), **changes), ProducerMetrics())
    for frame in frames:
        recorder.add(provider, frame)
    recorder.close()
    return sorted(folder.iterdir())


Found = dict[type, list[Trade | Quote | Correction | ProviderBar | Rejected]]


def replayed(*files: Path, format_text: str = "auto", **changes: str) -> Found:
    """What a replay gives, by type, in its order."""
    named = ReplaySettings.model_validate(
        {"replay_files": tuple(map(str, files)), "replay_format": format_text} | changes
    )
    found: Found = {Trade: [], Quote: [], Correction: [], ProviderBar: [], Rejected: []}
    for batch in Replay(named, 100_000, FakeClock(2 * NOW_US)).batches():
        found[Trade] += batch.trades
        found[Quote] += batch.quotes
        found[Correction] += batch.corrections
        found[ProviderBar] += batch.bars
        found[Rejected] += batch.rejected
    return found


def by_type(parsed: Iterable[Parsed]) -> Found:
    parsed = list(parsed)
    return {
        Trade: [one for each in parsed for one in each.trades],
        Quote: [one for each in parsed for one in each.quotes],
        Correction: [one for each in parsed for one in each.corrections],
        ProviderBar: [one for each in parsed for one in each.bars],
        Rejected: [one for each in parsed for one in each.rejected],
    }


@pytest.mark.parametrize("provider", sorted(RECORDINGS))
def test_a_replay_gives_the_events_that_the_live_connection_gave(provider: str, tmp_path: Path) -> None:
    """Every trade, quote, correction and dead letter of the recorded frames, field by field: ids and times of
    receipt, too."""
    path, changes = RECORDINGS[provider]
    frames = frames_of(recorded_lines(path))
    adapter = adapter_of(provider, **changes)
    expected = by_type([adapter.parse(frame) for frame in frames])
    files = recorded(tmp_path / "rec", provider, frames)
    assert replayed(*files, **changes) == expected
    assert sum(map(len, expected.values())) > 0


def test_the_messages_of_one_provider_can_be_chosen(tmp_path: Path) -> None:
    """What several sources tell of the same market must not be added up."""
    folder = tmp_path / "rec"
    coinbase, finnhub = (
        Frame(event_of(name).encode(), NOW_US, NOW_US, 0) for name in ("coinbase", "finnhub")
    )
    recorder = Recorder(RecorderSettings(record=str(folder)), ProducerMetrics())
    recorder.add("coinbase", coinbase)
    recorder.add("finnhub", finnhub)
    recorder.add("nobody", finnhub)
    recorder.close()
    [file] = folder.iterdir()
    assert [trade.source for trade in replayed(file)[Trade]] == ["coinbase", "finnhub"]  # type: ignore[union-attr]
    [letter] = replayed(file)[Rejected]
    assert "no provider 'nobody'" in letter.detail  # type: ignore[union-attr]
    only = replayed(file, format_text="frames:finnhub")
    assert only == by_type([adapter_of("finnhub").parse(finnhub)])
    for wrong in ("frames:nobody", "tickstream", "binance_trades"):
        with pytest.raises(ConfigurationError, match="REPLAY_FORMAT"):
            replayed(file, format_text=wrong)


def event_of(provider: str, number: int = 1) -> str:
    return orjson.dumps(event(provider, "AAPL", number)).decode()


def test_files_follow_each_other_by_size_and_in_order(tmp_path: Path) -> None:
    """Each can be read by itself, and all of them give everything."""
    noise = os.urandom(300_000).hex()  # cannot be compressed to nothing
    frames = [
        Frame(f'{{"type":"other","n":"{noise}{number}"}}'.encode(), NOW_US, NOW_US, number)
        for number in range(18)
    ]
    files = recorded(tmp_path / "rec", "coinbase", frames, record_file_mb=1)
    assert len(files) > 2
    lines = [gzip.decompress(file.read_bytes()).decode().splitlines() for file in files]
    assert [frame_of(line)[1] for line in chain.from_iterable(lines)] == frames
    assert not replayed(*files)[Rejected]


def answer(
    number: int, price: float = 100.5, *, noise: bool = False, status: int = 200, what: What = "quotes"
) -> Frame:
    """What Yahoo says in minute ``number``; its bars are of all minutes up to it, at most three."""
    at_us = NOW_US + number * MINUTE_US
    document = yahoo_answer("AAPL", at_us, price)
    if noise:
        document["noise"] = os.urandom(300_000).hex()  # cannot be compressed to nothing
    return Frame(orjson.dumps(document), at_us, NOW_US, number, Reply(what, ("AAPL",), status))


def test_answers_read_back_as_what_was_new_in_them(tmp_path: Path) -> None:
    """As live: quotes, and bars where they were asked for, once each and again where they have changed; and
    nothing of an error page."""
    page = Frame(b"<html>Not Found</html>", NOW_US, NOW_US, 9, Reply("quotes", ("AAPL",), 404))
    frames = [answer(0, what="quotes_and_bars"), page, answer(1, what="quotes_and_bars"), answer(2)]
    found = replayed(*recorded(tmp_path / "rec", "yahoo", frames))
    adapter = polled_of("yahoo")
    assert found[Quote] == by_type(adapter.parse(frame) for frame in frames if frame is not page)[Quote]
    starts = [(bar.start - NOW_US) // MINUTE_US for bar in found[ProviderBar]]  # type: ignore[union-attr]
    assert starts == [-2, -1, 0, 0, 1]
    assert [bar.final for bar in found[ProviderBar]] == [True, True, False, True, False]  # type: ignore[union-attr]
    assert found[Rejected] == []


def test_an_answer_says_the_same_in_whatever_file_it_is(tmp_path: Path) -> None:
    """A price that was told at the end of a file is not told again at the beginning of the next one: the
    files of a folder are one recording, in whatever order they are named."""
    frames = [
        replace(
            answer(0, 100.0 if number < 9 else 101.0, noise=True), number=number, received_us=NOW_US + number
        )
        for number in range(18)
    ]
    files = recorded(tmp_path / "rec", "yahoo", frames, record_file_mb=1)
    assert len(files) > 2
    told = replayed(*reversed(files))[Quote]
    assert [(quote.bid, quote.received_at - NOW_US) for quote in told] == [(100, 0), (101, 9)]  # type: ignore[union-attr]


def test_answers_and_messages_are_in_one_recording(tmp_path: Path) -> None:
    """Chosen like those of any provider."""
    folder = tmp_path / "rec"
    trade, price = Frame(event_of("finnhub").encode(), NOW_US, NOW_US, 0), answer(0)
    recorder = Recorder(RecorderSettings(record=str(folder)), ProducerMetrics())
    recorder.add("finnhub", trade)
    recorder.add("yahoo", price)
    fmp = orjson.dumps(quote_answer("fmp", "BRK-B"))
    recorder.add("fmp", Frame(fmp, NOW_US, NOW_US, 0, Reply("quotes", ("BRK.B",))))
    recorder.close()
    [file] = folder.iterdir()
    found = replayed(file)
    assert [trade.source for trade in found[Trade]] == ["finnhub"]  # type: ignore[union-attr]
    assert [(quote.source, quote.symbol) for quote in found[Quote]] == [("yahoo", "AAPL"), ("fmp", "BRK.B")]  # type: ignore[union-attr]
    only = replayed(file, format_text="frames:yahoo")
    assert only == by_type([polled_of("yahoo").parse(price)])


def test_an_answer_to_nothing_that_is_known_is_a_dead_letter(tmp_path: Path) -> None:
    """With its place in the file."""
    lines = [line_of("yahoo", answer(0)).replace(b'"quotes"', b'"secrets"'), line_of("yahoo", answer(1))]
    file = tmp_path / "frames-x.jsonl"
    file.write_bytes(b"".join(lines))
    found = replayed(file)
    [letter] = found[Rejected]
    assert letter.detail.startswith("frames-x.jsonl:1: ")  # type: ignore[union-attr]
    assert "secrets" in letter.detail  # type: ignore[union-attr]
    assert len(found[Quote]) == 1


def test_what_there_is_no_room_for_is_counted_and_told_once(tmp_path: Path) -> None:
    """The feed never waits for a disk."""
    metrics = ProducerMetrics()
    recorder = Recorder(RecorderSettings(record=str(tmp_path), record_queue_mb=1), metrics)
    big = Frame(b"x" * 400_000, NOW_US)
    with capture_logs() as logs, recorder._filled:  # the recorder cannot take anything meanwhile
        for _ in range(5):
            recorder.add("finnhub", big)
    recorder.close()
    value = metrics.registry.get_sample_value
    assert (value("producer_recorded_frames_total"), value("producer_unrecorded_frames_total")) == (2, 3)
    assert [entry["event"] for entry in logs] == ["recorder_behind"]


def test_a_disk_that_fails_ends_the_recording_and_not_the_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told once, everything else counted."""
    metrics = ProducerMetrics()
    recorder = Recorder(RecorderSettings(record=str(tmp_path)), metrics)

    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder, "_begin", full)
    recorder.add("finnhub", Frame(b"{}", NOW_US))
    recorder.close()
    recorder.add("finnhub", Frame(b"{}", NOW_US))
    assert metrics.registry.get_sample_value("producer_unrecorded_frames_total") == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Before anything is recorded."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="RECORD"):
        Recorder(RecorderSettings(record=str(tmp_path / "file")), ProducerMetrics())


KILLED = """
import sys, time
from producer.metrics import ProducerMetrics
from producer.providers.contract import Frame
from producer.recorder import Recorder, RecorderSettings
recorder = Recorder(RecorderSettings(record=sys.argv[1]), ProducerMetrics())
number = 0
while True:
    recorder.add("coinbase", Frame(b'{"type":"heartbeat"}', 1, 1, number))
    number += 1
    time.sleep(0.001)
"""


def test_a_killed_recorder_leaves_what_it_had_written(tmp_path: Path) -> None:
    """And a member that was cut off while it was written costs itself and nothing before it."""
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)])
    until = time.monotonic() + 60
    while not any(file.stat().st_size for file in tmp_path.glob("frames-*")):
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    [file] = tmp_path.iterdir()
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        numbers = [frame_of(line)[1].number for line in lines]
    assert numbers == list(range(len(numbers)))
    assert numbers
    file.write_bytes(file.read_bytes() + gzip.compress(b"lost" * 1000)[:20])
    with capture_logs() as logs:
        assert not replayed(file)[Rejected]
    assert "recording_cut_off" in {entry["event"] for entry in logs}


def test_a_key_that_a_provider_sends_back_is_not_recorded() -> None:
    """Neither as it is nor as it stands in an address."""
    taken: list[tuple[str, Frame]] = []
    key = KEYS["finnhub_api_key"]

    class Socket:
        async def receive(self) -> bytes:
            if len(taken) == 2:
                await asyncio.Event().wait()
            return b"bad token FINNHUB%2BSECRET%2F1" if taken else b"{bad token " + key.encode() + b"}"

        async def send(self, text: str) -> None: ...
        async def ping(self) -> None: ...
        async def close(self) -> None: ...

    async def dial(_: Handshake) -> Socket:
        return Socket()

    async def deliver(*_: object) -> None: ...

    loop = VirtualLoop()
    around = Surroundings(
        deliver, Counters(ProducerMetrics(), "finnhub"), Patience(9, 60, 15, 15, 60, 1, 60),
        loop.now_us, lambda: 0.5, lambda *_: True, lambda name, frame: taken.append((name, frame)),
    )  # fmt: skip
    run_for(5, Link(adapter_of("finnhub"), ("AAPL",), dial, around).run(), loop)
    assert [(name, frame.payload, frame.number) for name, frame in taken] == [
        ("finnhub", b"{bad token ***}", 0),
        ("finnhub", b"bad token ***", 1),
    ]


@settings(max_examples=200)
@given(
    st.binary(max_size=200),
    *[st.integers(0, 2**53)] * 3,
    st.none()
    | st.builds(
        Reply,
        st.sampled_from(["quotes", "bars", "quotes_and_bars"]),
        st.tuples(st.text(st.characters(codec="utf-8"))),
        st.integers(100, 599),
    ),
)
def test_any_frame_reads_back_as_it_was(
    payload: bytes, at: int, connection: int, number: int, reply: Reply | None
) -> None:
    """Text or not, line breaks and all, in one line."""
    frame = Frame(payload, at, connection, number, reply)
    line = line_of("finnhub", frame)
    assert line.count(b"\n") == 1
    text = line.decode()
    assert text.startswith(BEGINNING)
    assert frame_of(text) == ("finnhub", frame)
    assert replace(frame, payload=b"") == replace(frame_of(text)[1], payload=b"")
