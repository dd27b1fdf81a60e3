"""When a Python batch of the bars ends, in the real job."""

import uuid
from pathlib import Path

import pytest

from tests.pipeline.test_poison import ForeignProducer
from tests.support.jobs_run import running_jobs
from tests.support.reading import eventually, last_candles

pytestmark = pytest.mark.servers
SECOND_US = 1_000_000
TEN_MINUTES_MS = 600_000


def test_a_batch_of_slices_ends_with_its_watermark(flink_environment: dict[str, str], tmp_path: Path) -> None:
    """And waits neither for its time nor for a checkpoint, which here would be ten minutes, nor until it is
    full. What a timer brings about goes out with the watermark after it."""
    prefix = f"test-batches-{uuid.uuid4().hex[:8]}"
    waits = {"BUNDLE_TIME_MS": TEN_MINUTES_MS, "CHECKPOINT_INTERVAL_MS": TEN_MINUTES_MS}
    with running_jobs(flink_environment, tmp_path, prefix, ("bars",), **waits) as run:
        producer = ForeignProducer(run)
        producer.now_us -= producer.now_us % (60 * SECOND_US) - SECOND_US
        producer.heartbeat(0)
        for _ in range(3):
            producer.send_good()

        def is_final() -> bool:
            producer.now_us += SECOND_US
            producer.heartbeat(60 * SECOND_US)
            bars = [bar for bar in last_candles(run.topic_settings).values() if bar.interval == "1m"]
            return [(bar.final, bar.trades) for bar in bars] == [(True, 3)]

        eventually(is_final, 90, "the bar is final")
        producer.close()
