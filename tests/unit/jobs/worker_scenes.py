"""What the end of a bundle writes of keyed state, with PyFlink's own state backend and no TaskManager.
``test_worker`` plays each scene in a process of its own, as ``python -m tests.unit.jobs.worker_scenes NAME``:
Beam is changed for good there."""

import faulthandler
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker.sdk_worker import GlobalCachingStateHandler, GrpcStateHandler, _Future
from apache_beam.runners.worker.statecache import StateCache
from pyflink.fn_execution.coders import BinaryCoder, FlattenRowCoder
from pyflink.fn_execution.state_impl import RemoteKeyedStateBackend

from jobs.flink.worker import prepare_worker

LONG_S = 20.0


class TaskManager(GrpcStateHandler):
    """Keeps state; answers writes only when it has had as many as ``awaited``."""

    def __init__(self) -> None:
        self.state: dict[bytes, bytes] = {}
        self.reads = 0
        self.awaited = 1
        self.error = ""
        self.writes: list[tuple[str, bytes]] = []
        self._unanswered: list[Any] = []

    def process_instruction_id(self, bundle_id: str) -> Any:
        raise AssertionError(bundle_id)

    def get_raw(self, state_key: Any, continuation_token: bytes | None = None) -> Any:
        del continuation_token
        self.reads += 1
        return self.state.get(state_key.SerializeToString(), b""), None

    def _request(self, request: Any) -> Any:
        key = request.state_key.SerializeToString()
        kind = request.WhichOneof("request")
        self.state[key] = b"" if kind == "clear" else self.state.get(key, b"") + request.append.data
        self.writes.append((kind, request.state_key.bag_user_state.key))
        answer: Any = _Future()
        self._unanswered.append(answer)
        if len(self._unanswered) >= self.awaited:
            for each in self._unanswered:
                each.set(beam_fn_api_pb2.StateResponse(error=self.error))
            self._unanswered = []
        return answer


class Worker:
    """A keyed function's state over several bundles."""

    def __init__(self) -> None:
        prepare_worker()
        self.taskmanager = TaskManager()
        handler = GlobalCachingStateHandler(StateCache(1 << 20), self.taskmanager)
        handler._context.user_state_cache_token = b"token"
        handler._context.bundle_cache_token = b"bundle"
        self.backend = RemoteKeyedStateBackend(
            handler, FlattenRowCoder([BinaryCoder()]), None, 1 << 20, 1_000, 1_000
        )
        self.value = self.backend.get_value_state("bars", BinaryCoder())

    def bundle(self, *keys: bytes, change: bytes = b"+") -> None:
        """Adds to the state of each key, and ends the bundle; fails where that waits for ever."""
        for key in keys:
            self.backend.set_current_key([key])
            self.value.update((self.value.value() or b"") + change)
        faulthandler.dump_traceback_later(LONG_S, exit=True)
        self.backend.commit()
        faulthandler.cancel_dump_traceback_later()

    def read(self, key: bytes) -> bytes:
        self.backend.set_current_key([key])
        value: bytes = self.value.value()
        return value


def a_bundle_writes_what_it_has_changed_and_nothing_else() -> None:
    """However many keys there have been before."""
    worker = Worker()
    worker.bundle(*(b"%d" % number for number in range(50)))
    worker.taskmanager.writes.clear()
    worker.bundle(b"7", b"9")
    assert [kind for kind, _ in worker.taskmanager.writes] == ["clear", "append"] * 2
    assert len({key for _, key in worker.taskmanager.writes}) == 2


def all_writes_are_under_way_before_one_is_waited_for() -> None:
    """The way to the TaskManager and back takes longer than a write."""
    worker = Worker()
    worker.taskmanager.awaited = 20
    worker.bundle(*(b"%d" % number for number in range(10)))
    assert len(worker.taskmanager.writes) == 20


def state_comes_back_in_later_bundles_without_being_asked_for_again() -> None:
    """And another worker that goes on from the TaskManager's finds the same."""
    worker = Worker()
    for _ in range(3):
        worker.bundle(b"one", b"two", b"one")
    reads = worker.taskmanager.reads
    worker.bundle(b"one", b"two")
    assert worker.taskmanager.reads == reads
    after = Worker()
    after.taskmanager.state = worker.taskmanager.state
    assert [after.read(key) for key in (b"one", b"two")] == [b"+" * 7, b"+" * 4]


def a_write_that_fails_fails_the_bundle() -> None:
    """Or the checkpoint after it would lack what everybody takes for stored."""
    worker = Worker()
    worker.taskmanager.error = "disk full"
    with pytest.raises(RuntimeError, match="disk full"):
        worker.bundle(b"one")


SCENES: Mapping[str, Callable[[], None]] = {
    scene.__name__: scene
    for scene in (
        a_bundle_writes_what_it_has_changed_and_nothing_else,
        all_writes_are_under_way_before_one_is_waited_for,
        state_comes_back_in_later_bundles_without_being_asked_for_again,
        a_write_that_fails_fails_the_bundle,
    )
}

if __name__ == "__main__":
    SCENES[sys.argv[1]]()
