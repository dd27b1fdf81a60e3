"""What is left out of every bundle. In a process of its own: Beam is changed for good there."""

import subprocess
import sys

BUNDLES = """
import threading
from apache_beam.runners.worker.bundle_processor import BundleProcessor
from apache_beam.runners.worker.statesampler import StateSampler, get_current_tracker
from apache_beam.utils.counters import CounterFactory
from jobs.flink.worker import prepare_worker

def bundle(prepare=lambda: None):
    sampler.start()
    prepare()
    seen = threading.active_count(), get_current_tracker() is sampler
    sampler.stop_if_still_running()
    seen += (threading.active_count(), get_current_tracker(), sampler.finished)
    sampler.reset()
    return seen

sampler = StateSampler("bundle", CounterFactory())
assert bundle(prepare_worker) == (2, True, 1, None, True), "the bundle in which it is prepared is as it was"
for _ in range(3):
    assert bundle(prepare_worker) == (1, True, 1, None, True), "no thread in those after it"
assert BundleProcessor.monitoring_infos(None) == []
"""


def test_no_bundle_after_the_first_one_is_sampled() -> None:
    """No thread is started for it; it is tracked, ends, and can begin again as before."""
    done = subprocess.run(
        [sys.executable, "-c", BUNDLES], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
