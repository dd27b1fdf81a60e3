"""What the operator in the JVM makes of trades: of each the first copy, in a sum or by itself."""

import base64
import random
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs.domain import order_key
from tests.pipeline.test_poison import ForeignProducer
from tests.support.jobs_run import JobsRun, running_jobs
from tests.support.jvm_program import answer_of
from tests.support.reading import eventually, last_candles
from tests.support.slice_rows import SliceRow, merged
from tests.unit.jobs.builders import START_US

pytestmark = pytest.mark.servers
TRADES = 3_000
SECOND_US = 1_000_000
LONGEST_US = 5 * SECOND_US
"""CATCHING_UP_MS of TradeSlices in jobs/java."""
JITTER_US = 15_000
"""By which the trades come out of order: less than the watermark waits."""
Given = dict[str, Any]


def some_trades(chance: random.Random) -> Iterator[Given]:
    """In the order of their coming: some without prices, some with their text, some late, a correction now
    and then, and of some a second copy, at once or later."""
    again: list[Given] = []
    for number in range(TRADES):
        due = START_US + number * 5_000
        is_late, is_correction = chance.random() < 0.02, chance.random() < 0.02
        at = due - (chance.randrange(1, 20) * SECOND_US if is_late else chance.randrange(JITTER_US))
        price = chance.randrange(100, 200) / 4
        correctable = is_correction or chance.random() < 0.3
        trade = {
            "symbol": chance.choice("ABC"),
            "source": chance.choice(["one", "other"]),
            "trade_id": f"t{number}",
            "event_time": at,
            "on_time": not is_correction,
            "order_key": order_key.of(at, number, price) if chance.random() < 0.9 else None,
            "price": price if chance.random() < 0.9 else None,
            "volume_units": chance.randrange(2**40),
            "volume_billionths": chance.randrange(10**9),
            "notional_units": 5,
            "notional_billionths": 7,
            "counts": chance.randrange(2),
            "skewed": chance.randrange(2),
            "delay": chance.randrange(-5, 99),
            "correctable": correctable,
            "log": f"log of {number}" if correctable else None,
            "payload": base64.b64encode(f"payload of {number}".encode()).decode(),
            "from_partition": chance.randrange(4),
            "from_offset": number,
            "record_ms": at // 1000,
        }
        yield trade
        if chance.random() < 0.1:
            yield trade
        if chance.random() < 0.1:
            again.append(trade)
        if again and chance.random() < 0.05:
            yield again.pop(0)


def slice_of(trade: Given, *, alone: bool) -> SliceRow:
    key, price = trade["order_key"], trade["price"]
    return [
        trade["symbol"], trade["source"], trade["event_time"], key, key, price, price,
        *(trade[f"{what}_{unit}"] for what in ("volume", "notional") for unit in ("units", "billionths")),
        trade["counts"], 1, trade["skewed"], trade["delay"], trade["correctable"], trade["log"],
        trade["from_partition"], trade["from_offset"], trade["payload"] if alone else None,
    ]  # fmt: skip


def window_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What may be summed together, also where a log is made up for, as here; a trade by itself is one of its
    own."""
    return row["symbol"], row["source"], row["correctable"], row["event_time"] // LONGEST_US, row["payload"]


def test_each_trade_is_in_one_slice_once(planner_environment: Mapping[str, str]) -> None:
    """With those of its window, or alone where it is late or no plain trade; a second copy is nowhere."""
    sent = list(some_trades(random.Random(7)))
    received: list[SliceRow] = answer_of("tests.pipeline.run_trade_slices", planner_environment, sent)

    unique: dict[tuple[str, str, str], Given] = {}
    expected: list[SliceRow] = []
    newest = 0
    for trade in sent:
        identity = (trade["symbol"], trade["source"], trade["trade_id"])
        if identity not in unique:
            is_late = trade["event_time"] < newest - JITTER_US
            expected.append(slice_of(trade, alone=is_late or not trade["on_time"]))
        unique.setdefault(identity, trade)
        newest = max(newest, trade["event_time"])
    assert len(unique) == TRADES
    assert len(sent) > TRADES * 1.1
    assert sum(row[-1] is not None for row in expected) > TRADES * 0.02
    assert len(received) < TRADES / 1.5
    assert merged(received, window_of) == merged(expected, window_of)


def test_after_a_restart_trades_are_known_and_what_is_on_time(
    flink_environment: dict[str, str], tmp_path: Path
) -> None:
    """A second copy does not count. New trades are summed before there is a watermark again: they are after
    the one of before."""
    prefix = f"test-known-{uuid.uuid4().hex[:8]}"
    with running_jobs(flink_environment, tmp_path, prefix, ("bars",)) as run:
        producer = ForeignProducer(run)
        producer.now_us -= producer.now_us % (60 * SECOND_US) - SECOND_US
        values = [producer.encoded() for _ in range(3)]
        for value in values:
            producer.send(value)
        producer.heartbeat(60 * SECOND_US)
        eventually(lambda: minutes(run) == [(True, 3)], 60, "a bar of three trades")
    with running_jobs(flink_environment, tmp_path, prefix, ("bars",)) as run:
        for value in values:
            producer.send(value)
        producer.send_good()
        eventually(lambda: minutes(run) == [(True, 4)], 60, "a bar of four trades")
        producer.now_us += 70 * SECOND_US
        for _ in range(40):
            producer.send_good()
        eventually(lambda: metric(run, "knownTrades") == 44, 60, "the new trades are known")
        assert 0 < metric(run, "numRecordsOut") < 20
        producer.close()


def test_what_bars_refuse_is_known_no_longer(flink_environment: dict[str, str], tmp_path: Path) -> None:
    """So what is known is bounded by event time, and gone from the state with the next checkpoints."""
    prefix = f"test-forgotten-{uuid.uuid4().hex[:8]}"
    memory = {"HORIZON_SECONDS": 10, "DEDUP_MEMORY_SECONDS": 20}
    with running_jobs(flink_environment, tmp_path, prefix, ("bars",), **memory) as run:
        producer = ForeignProducer(run)
        producer.heartbeat(0)
        for _ in range(7):
            producer.send_good()
        eventually(lambda: metric(run, "knownTrades") == 7, 60, "seven trades are known")
        producer.now_us += 30 * SECOND_US
        producer.send_good()
        producer.heartbeat(0)
        eventually(lambda: metric(run, "knownTrades") == 1, 60, "only the last one is known")
        producer.close()


def minutes(run: JobsRun) -> list[tuple[bool, int]]:
    """(final, trades) of the bars of a minute."""
    bars = last_candles(run.topic_settings).values()
    return [(bar.final, bar.trades) for bar in bars if bar.interval == "1m"]


def metric(run: JobsRun, name: str) -> int:
    """Of the operator; 0 while there is none."""
    job = run.job("bars")
    assert job is not None
    with httpx.Client(base_url=f"{run.environment['FLINK_REST_URL']}/jobs/{job.job_id}") as flink:
        [vertex] = [each for each in flink.get("").json()["vertices"] if each["name"].startswith("slices")]
        path = f"vertices/{vertex['id']}/metrics"
        found = flink.get(path, params={"get": f"0.slices.{name}"}).json()
    return int(found[0]["value"]) if found else 0
