"""What is started again when it ends, and what is not; on a real supervisord."""

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from docker.local.parts import Part
from docker.local.settings import LocalSettings
from docker.local.supervisor import MISCONFIGURED, ProcessState, Supervisor
from producer import main
from tests.support.reading import eventually

LONG_S = 30.0


def test_the_producer_says_that_it_is_misconfigured_as_the_supervisor_understands() -> None:
    """The two know nothing of each other but this number."""
    assert main.MISCONFIGURED == MISCONFIGURED


@pytest.mark.parametrize(
    ("state", "exit_code", "given_up"),
    [
        ("FATAL", 1, True),
        ("EXITED", MISCONFIGURED, True),
        ("EXITED", 1, False),
        ("RUNNING", MISCONFIGURED, False),
    ],
)
def test_given_up(state: str, exit_code: int, given_up: bool) -> None:
    """A part that ended otherwise is about to be started again."""
    assert ProcessState("producer", state, 0, 0, exit_code).given_up == given_up


def test_a_part_that_only_its_user_can_put_right_is_not_started_again(tmp_path: Path) -> None:
    """A refused key must not be tried for ever; whatever else ends a part, it comes back."""
    settings = LocalSettings(state_dir=tmp_path)
    settings.folders.create()
    supervisor = Supervisor(settings.folders)

    def part(name: str, code: int) -> Part:
        command = f"import sys, time; time.sleep(2.2); sys.exit({code})"
        return Part(name, (sys.executable, "-c", command), lambda: True)

    parts = part("misconfigured", MISCONFIGURED), part("failed", 1), part("ended", 0)
    supervisor.start(parts, dict(os.environ))
    try:
        for each in parts:
            supervisor.start_process(each.name)
        pids: dict[str, set[int]] = {each.name: set() for each in parts}

        def all_have_ended() -> bool:
            processes = supervisor.processes()
            for name, process in processes.items():
                pids[name] |= {process.pid} - {0}
            others_again = min(len(pids["failed"]), len(pids["ended"])) >= 2
            return others_again and processes["misconfigured"].given_up

        eventually(all_have_ended, LONG_S, "one part is given up, the others are started again")
        assert {name: len(seen) for name, seen in pids.items()} == {
            "misconfigured": 1,
            "failed": 2,
            "ended": 2,
        }
        assert supervisor.processes()["misconfigured"].given_up
    finally:
        supervisor.shutdown()


def test_a_part_that_yields_does_so_and_the_others_do_not(tmp_path: Path) -> None:
    """Compared with the supervisor, which may itself be a nice one."""
    settings = LocalSettings(state_dir=tmp_path)
    settings.folders.create()
    supervisor = Supervisor(settings.folders)
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    parts = Part("urgent", command, lambda: True), Part("patient", command, lambda: True, niceness=3)
    supervisor.start(parts, dict(os.environ))
    try:
        for each in parts:
            supervisor.start_process(each.name)
        processes = {name: psutil.Process(each.pid) for name, each in supervisor.processes().items()}
        own = psutil.Process().nice()
        until = time.monotonic() + LONG_S
        while any(each.cmdline() != [*command] for each in processes.values()) and time.monotonic() < until:
            time.sleep(0.05)  # supervisord's child becomes nice, and that the part
        assert {name: each.nice() - own for name, each in processes.items()} == {"urgent": 0, "patient": 3}
    finally:
        supervisor.shutdown()
