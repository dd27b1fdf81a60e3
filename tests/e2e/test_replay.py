"""Recorded market data through the real engines, beside the live system: bars equal the exchange's own."""

import csv
import gzip
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from docker.local.settings import PROJECT
from jobs.cluster import FlinkCluster
from producer.frame_lines import line_of
from producer.providers.contract import Frame, Reply
from schemas.events import Quote, Trade
from schemas.intervals import INTERVALS
from schemas.settings import KafkaSettings
from schemas.tables import gold_bucket
from tests.support.jobs_run import running_jobs
from tests.support.ports import free_ports
from tests.support.provider_answers import yahoo_answer
from tests.support.reading import (
    dead_letters,
    eventually,
    last_candles,
    read_topic,
    session_of,
    stored_bars,
    stored_trades,
)
from tests.support.recordings import (
    Line,
    bars_of,
    binance_lines,
    disordered,
    seeded_lines,
    write_recording,
)
from tests.support.replays import Done, Replays

pytestmark = pytest.mark.servers
RECORDED = PROJECT.parent / "shared/data/binance_spot_20240809"
ADDITIVE = 1e-12
"""Relative: volume and quote volume against sums that were made in another order."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What is replayed, and the same trades line by line."""

    files: list[Path]
    lines: list[Line]

    @property
    def symbols(self) -> set[str]:
        return {line.symbol for line in self.lines}


@pytest.fixture(scope="module")
def replays(live_system: Any) -> Replays:
    return Replays(live_system)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """The recorded Binance session; where it is absent, a seeded recording of our own."""
    files = [RECORDED / "spot_btcusdt_trades.csv.gz", RECORDED / "spot_ethusdt_trades.csv.gz"]
    if all(file.is_file() for file in files):
        return Recording(files, [line for file in files for line in binance_lines(file)])
    lines = seeded_lines(7)
    folder = tmp_path_factory.mktemp("seeded")
    files = [
        write_recording(
            folder / f"{symbol}.csv", [line for line in lines if line.symbol == symbol], "recorded"
        )
        for symbol in ("BTCTEST", "ETHTEST")
    ]
    return Recording(files, lines)


@pytest.fixture(scope="module")
def keyspace() -> str:
    return f"replay_{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class LiveJob:
    """A job that runs, and how often it has failed so far."""

    job_id: str
    failures: int


@pytest.fixture(scope="module")
def live_before(live_system: Any) -> dict[str, LiveJob]:
    """The live jobs before anything is replayed, by name."""
    return live_jobs(live_system)


def live_jobs(live_system: Any) -> dict[str, LiveJob]:
    with FlinkCluster(live_system.environment["FLINK_REST_URL"]) as cluster:
        return {
            job.name: LiveJob(job.job_id, len(cluster.failures(job.job_id)))
            for job in cluster.jobs()
            if job.state == "RUNNING" and job.name.startswith("market.")
        }


@pytest.fixture(scope="module")
def answers(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recorded answers of Yahoo, with three bars each, a minute after the other."""
    file = tmp_path_factory.mktemp("answers") / "frames-yahoo.jsonl.gz"
    first_us = recording.lines[0].event_time
    frames = [
        Frame(
            json.dumps(yahoo_answer("AAPL", at_us, 100.0 + number)).encode(),
            at_us,
            first_us,
            number,
            Reply("quotes_and_bars", ("AAPL",)),
        )
        for number, at_us in enumerate((first_us, first_us + 60_000_000))
    ]
    file.write_bytes(gzip.compress(b"".join(line_of("yahoo", frame) for frame in frames)))
    return file


@pytest.fixture(scope="module")
def done(
    replays: Replays, recording: Recording, answers: Path, keyspace: str, live_before: dict[str, LiveJob]
) -> Done:
    """The recordings, replayed once."""
    assert live_before.keys() == {"market.bars", "market.store"}
    return replays.run([*recording.files, answers], keyspace)


def test_recorded_answers_of_a_provider_are_its_quotes_and_bars_again(
    done: Done, recording: Recording
) -> None:
    """On the topics and in the table of its bars, with versions; the replay has waited for them."""
    first_us = recording.lines[0].event_time
    quotes = read_topic(done.kafka, done.result.topics.quotes, Quote)
    assert [(quote.symbol, quote.source, quote.bid, quote.received_at - first_us) for quote in quotes] == [
        ("AAPL", "yahoo", 100.0, 0),
        ("AAPL", "yahoo", 101.0, 60_000_000),
    ]
    minute_us = first_us - first_us % 60_000_000
    starts = [minute_us + number * 60_000_000 for number in range(-2, 2)]
    with session_of(done.cassandra) as session:
        rows = session.execute(
            "SELECT start, close, final, version FROM provider_candles WHERE symbol = 'AAPL' AND source ="
            " 'yahoo' AND interval = '1m' AND bucket = %s ORDER BY start",
            (gold_bucket("1m", first_us),),
        ).all()
    assert [(us(row.start), row.close, row.final) for row in rows] == [
        (start, 100.5, start < starts[-1]) for start in starts
    ]
    assert all(row.version >= first_us for row in rows)


def us(start: datetime) -> int:
    """The driver gives naive UTC."""
    return round(start.replace(tzinfo=UTC).timestamp() * 1_000_000)


def test_bars_equal_those_of_an_independent_computation(done: Done, recording: Recording) -> None:
    """On the topic and in the table: every bar of every interval, all final, prices and counts exactly."""
    on_topic = last_candles(done.kafka)
    with session_of(done.cassandra) as session:
        in_table = stored_bars(session, recording.symbols)
    assert in_table.keys() == on_topic.keys()
    for interval, length in INTERVALS.items():
        expected = bars_of(recording.lines, length)
        bars = {(key[0], key[2]): bar for key, bar in on_topic.items() if key[1] == interval}
        assert bars.keys() == expected.keys()
        for key, bar in bars.items():
            want = expected[key]
            assert (bar.open, bar.high, bar.low, bar.close) == (want.open, want.high, want.low, want.close)
            assert (bar.trades, bar.final) == (want.trades, True)
            assert bar.volume == pytest.approx(want.volume, rel=ADDITIVE)
            assert bar.notional == pytest.approx(want.notional, rel=ADDITIVE)
            assert bar.vwap == pytest.approx(want.notional / want.volume, rel=ADDITIVE)
            assert in_table[key[0], interval, key[1]] == (
                bar.open, bar.high, bar.low, bar.close, bar.volume, bar.notional, bar.vwap, bar.trades, True,
                bar.version, bar.sources,
            )  # fmt: skip


def test_bars_equal_the_exchanges_own(done: Done) -> None:
    """The two complete 5m bars of BTCUSDT are the exchange's klines; the 1m bars add up to them."""
    file = RECORDED / "spot_btcusdt_klines_5m.csv"
    if not file.is_file():
        pytest.skip("the recorded klines (shared/data/binance_spot_20240809) are not on this machine")
    with file.open(encoding="utf-8") as lines:
        klines = {int(row["open_time_ms"]) * 1000: row for row in csv.DictReader(lines)}
    with session_of(done.cassandra) as session:
        bars = stored_bars(session, {"BTCUSDT"})
    complete = [1_723_161_300_000_000, 1_723_161_600_000_000]
    for start in complete:
        kline = klines[start]
        open_, high, low, close, volume, notional, _, trades, final, *_ = bars["BTCUSDT", "5m", start]
        prices = [float(kline[name]) for name in ("open", "high", "low", "close")]
        assert [open_, high, low, close] == prices
        assert (trades, final) == (int(kline["trade_count"]), True)
        assert volume == pytest.approx(float(kline["volume"]), rel=ADDITIVE)
        assert notional == pytest.approx(float(kline["quote_volume"]), rel=ADDITIVE)
        minutes = [bars["BTCUSDT", "1m", start + number * 60_000_000] for number in range(5)]
        assert minutes[0][0] == open_
        assert max(bar[1] for bar in minutes) == high
        assert min(bar[2] for bar in minutes) == low
        assert minutes[-1][3] == close
        assert sum(bar[7] for bar in minutes) == trades
        assert sum(bar[4] for bar in minutes) == pytest.approx(volume, rel=ADDITIVE)
        assert sum(bar[5] for bar in minutes) == pytest.approx(notional, rel=ADDITIVE)


def test_every_trade_is_stored_as_it_was(done: Done, recording: Recording) -> None:
    """Bronze and silver hold the recording trade for trade; nothing became a dead letter."""
    expected = {
        (line.symbol, line.trade_id, line.event_time, float(line.price), float(line.size))
        for line in recording.lines
    }
    with session_of(done.cassandra) as session:
        silver = stored_trades(session, "trades_silver", recording.symbols)
        bronze = stored_trades(session, "trades_bronze", recording.symbols)
    assert {(r.symbol, r.trade_id, r.event_time, r.price, r.size) for r in silver} == expected
    assert len(silver) == len(bronze) == len(expected)
    payloads = {row.payload for row in bronze}
    assert len(payloads) == len(expected)
    trades = read_topic(done.kafka, done.result.topics.trades, Trade)
    assert {(t.symbol, t.trade_id, t.event_time, t.price, t.size) for t in trades} == expected
    assert dead_letters(done.kafka) == []


def test_a_second_replay_changes_no_number(
    done: Done, replays: Replays, recording: Recording, keyspace: str
) -> None:
    """The same rows, values and versions, after a whole second run."""
    with session_of(done.cassandra) as session:
        before = stored_bars(session, recording.symbols)
        replays.run(recording.files, keyspace)
        assert stored_bars(session, recording.symbols) == before
        assert len(stored_trades(session, "trades_silver", recording.symbols)) == len(recording.lines)


def test_disorder_and_duplicates_give_the_same_bars(
    done: Done, replays: Replays, recording: Recording, tmp_path: Path
) -> None:
    """Lines shuffled within 2 s, one in a hundred twice: the same bars, with the same versions."""
    with session_of(done.cassandra) as session:
        *_, (source,) = next(iter(stored_bars(session, recording.symbols).values()))
    file = write_recording(tmp_path / "disordered.csv", disordered(recording.lines, 11), source)
    shuffled = replays.run([file], f"replay_{uuid.uuid4().hex[:8]}")
    with session_of(done.cassandra) as ordered, session_of(shuffled.cassandra) as session:
        assert stored_bars(session, recording.symbols) == stored_bars(ordered, recording.symbols)
    assert dead_letters(shuffled.kafka) == []


def test_the_live_system_was_not_disturbed(
    done: Done, live_system: Any, live_before: dict[str, LiveJob]
) -> None:
    """They are the same ones, have not failed since, and still make bars of the simulator's trades."""
    del done
    assert live_jobs(live_system) == live_before
    live = KafkaSettings(
        kafka_bootstrap_servers=live_system.environment["KAFKA_BOOTSTRAP_SERVERS"],
        schema_registry_url=live_system.environment["SCHEMA_REGISTRY_URL"],
    )
    minute_ago = (time.time() - 60) * 1_000_000
    eventually(
        lambda: any(bar.end > minute_ago for bar in last_candles(live).values() if bar.interval == "1m"),
        30,
        "a live bar of the last minute",
    )


def test_what_dedup_has_forgotten_is_refused(live_system: Any, tmp_path: Path) -> None:
    """The same file again through the same jobs, after a restart and after the dedup memory has run out:
    every trade is refused, and no number changes."""
    prefix = f"test-again-{uuid.uuid4().hex[:8]}"
    memory = {"HORIZON_SECONDS": 3, "DEDUP_MEMORY_SECONDS": 3}
    lines = seeded_lines(3, 500)
    file = write_recording(tmp_path / "again.csv", lines, "recorded")
    with running_jobs(live_system.environment, tmp_path, prefix, **memory) as run:
        publish(run.environment, file)
        final = {(symbol, interval) for symbol in ("BTCTEST", "ETHTEST") for interval in INTERVALS}
        eventually(
            lambda: (
                final <= {key[:2] for key, bar in last_candles(run.topic_settings).items() if bar.final}
                and all(bar.final for bar in last_candles(run.topic_settings).values())
            ),
            60,
            "all bars are final",
        )
        with session_of(run.cassandra) as session:
            eventually(
                lambda: len(stored_trades(session, "trades_silver", {"BTCTEST", "ETHTEST"})) == len(lines),
                60,
                "all trades are stored",
            )
            eventually(
                lambda: (
                    {key: bar[9] for key, bar in stored_bars(session, {"BTCTEST", "ETHTEST"}).items()}
                    == {key: bar.version for key, bar in last_candles(run.topic_settings).items()}
                ),
                60,
                "the last version of each bar is stored",
            )
            before = stored_bars(session, {"BTCTEST", "ETHTEST"})
    time.sleep(3)
    with running_jobs(live_system.environment, tmp_path, prefix, **memory) as run:
        publish(run.environment, file)
        eventually(lambda: len(dead_letters(run.topic_settings)) == len(lines), 60, "every trade is refused")
        assert {letter.reason for letter in dead_letters(run.topic_settings)} == {"too_late"}
        with session_of(run.cassandra) as session:
            assert stored_bars(session, {"BTCTEST", "ETHTEST"}) == before
            assert len(stored_trades(session, "trades_silver", {"BTCTEST", "ETHTEST"})) == len(lines)


def publish(environment: Mapping[str, str], file: Path) -> None:
    """Sends the file's trades to the topics of the environment, with the producer as a person runs it."""
    variables = {
        **environment,
        "SOURCE": "replay",
        "REPLAY_FILES": str(file),
        "PRODUCER_METRICS_PORT": str(free_ports(1)[0]),
    }
    subprocess.run([sys.executable, "-m", "producer"], env=variables, cwd=PROJECT, check=True, timeout=120)
