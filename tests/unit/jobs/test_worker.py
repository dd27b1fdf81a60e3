"""What is left out of every bundle, and what its end writes. In processes of their own: Beam is changed for
good there."""

import subprocess
import sys

import pytest

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


SCENES = (
    "a_bundle_writes_what_it_has_changed_and_nothing_else",
    "all_writes_are_under_way_before_one_is_waited_for",
    "state_comes_back_in_later_bundles_without_being_asked_for_again",
    "a_write_that_fails_fails_the_bundle",
)


def python(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_bundle_after_the_first_one_is_sampled() -> None:
    """No thread is started for it; it is tracked, ends, and can begin again as before."""
    python("-c", BUNDLES)


@pytest.mark.parametrize("scene", SCENES)
def test_state(scene: str) -> None:
    """What the scene's name says."""
    python("-m", "tests.unit.jobs.worker_scenes", scene)
