"""Starting, stopping, dying and starting again, under the real supervisord, with parts that only sleep."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

import docker.local.system as system_module
from docker.local.class_archive import ClassArchives
from docker.local.errors import Interrupted, PartFailed
from docker.local.leftovers import end_leftovers, leftovers
from docker.local.parts import Part, Step
from docker.local.render import SYSTEM_MARK
from docker.local.settings import Folders
from docker.local.supervisor import Supervisor
from docker.local.system import LocalSystem, Plan
from schemas.errors import UnavailableError
from tests.support.reading import eventually


def sleeper(name: str, *needs: str, is_ready: Callable[[], bool] = lambda: True) -> Part:
    """A part that does nothing until it is stopped."""
    return Part(name, (sys.executable, "-c", "import time; time.sleep(600)"), is_ready, needs)


@dataclass
class Scene:
    """A state folder in which systems are made."""

    folders: Folders
    lines: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    systems: list[LocalSystem] = field(default_factory=list)

    def system(self, *parts: Part | Step) -> LocalSystem:
        environment = {**os.environ, SYSTEM_MARK: str(self.folders.root)}
        archives = ClassArchives(self.folders, Path("/nowhere"))
        plan = Plan(
            self.folders, {part.name: part for part in parts}, environment, archives, self.folders.create
        )
        system = LocalSystem(plan, self.lines.append, self.stopping)
        self.systems.append(system)
        return system

    def names(self) -> list[str]:
        """The parts in the order in which they were reported."""
        return [line.split()[0] for line in self.lines]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(Folders(tmp_path / "state", tmp_path / "lib"))
    yield scene
    for system in scene.systems:
        system.down()


def test_up_and_down_in_the_order_of_needs(scene: Scene) -> None:
    """Each after what it needs; stopped the other way round; nothing left behind."""
    made = []
    system = scene.system(
        sleeper("reader", "prepare"), Step("prepare", lambda: made.append("it"), ("store",)), sleeper("store")
    )
    system.up()
    assert (scene.names(), made) == (["store", "prepare", "reader"], ["it"])
    assert {
        name: process.state in ("STARTING", "RUNNING") for name, process in system.processes().items()
    } == {
        "reader": True,
        "store": True,
    }
    scene.lines.clear()
    system.down()
    assert scene.names() == ["reader", "store"]
    assert system.processes() == {}
    assert leftovers(scene.folders) == []


def test_only_what_is_needed_is_started(scene: Scene) -> None:
    """The others wait until they are asked for."""
    system = scene.system(sleeper("store"), sleeper("reader", "store"), sleeper("other"))
    system.up(["reader"])
    assert scene.names() == ["store", "reader"]
    system.up(["other"])
    assert scene.names() == ["store", "reader", "other"]


def test_a_part_that_dies_is_named_with_the_end_of_its_log(scene: Scene) -> None:
    """And what waits for something else gives up at once."""
    dying = Part(
        "dying", (sys.executable, "-c", "raise SystemExit('the disk is made of cheese')"), lambda: False
    )
    system = scene.system(dying, sleeper("waiting", is_ready=lambda: False))
    with pytest.raises(PartFailed) as caught:
        system.up()
    assert str(caught.value).startswith("dying died while starting. The end of its log:")
    assert "the disk is made of cheese" in str(caught.value)
    assert str(scene.folders.log("dying")) in str(caught.value)
    system.down()
    assert leftovers(scene.folders) == []


def test_a_step_that_fails_is_told_as_it_is(scene: Scene) -> None:
    """Not as the interruption of the others that it causes."""

    def fail() -> None:
        raise PartFailed("no room for topics")

    system = scene.system(sleeper("waiting", is_ready=lambda: False), Step("topics", fail))
    with pytest.raises(PartFailed, match="no room for topics"):
        system.up()


def test_a_step_waits_for_a_server_that_is_slow(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has just been started with everything else at once; only Ctrl-C ends the wait early."""
    monkeypatch.setattr(system_module, "RETRY_SECONDS", 0.01)
    answers = [False, False, True]

    def register() -> None:
        if not answers.pop(0):
            raise UnavailableError("the registry does not answer: timed out")

    scene.system(Step("topics", register)).up()
    assert answers == []

    def in_vain() -> None:
        scene.stopping.set()
        raise UnavailableError("the registry does not answer: timed out")

    with pytest.raises(Interrupted):
        scene.system(Step("topics", in_vain)).up()


def test_ctrl_c_gives_up_the_start(scene: Scene) -> None:
    """While a part is not ready; the stop afterwards is complete."""

    def is_ready() -> bool:
        scene.stopping.set()
        return False

    system = scene.system(sleeper("slow", is_ready=is_ready), sleeper("never", "slow"))
    with pytest.raises(Interrupted):
        system.up()
    system.down()
    assert (system.processes(), leftovers(scene.folders)) == ({}, [])


def test_a_killed_part_is_started_again(scene: Scene) -> None:
    """Under a new pid."""
    system = scene.system(sleeper("part"))
    system.up()
    killed = system.processes()["part"].pid
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: system.processes()["part"].pid not in (0, killed), 20, "the part is back")


def test_what_a_killed_supervisor_leaves_is_found_and_ended(scene: Scene) -> None:
    """By the mark in its environment, and nothing else is touched."""
    system = scene.system(sleeper("orphan"))
    system.up()
    orphan = system.processes()["orphan"].pid
    supervisord = psutil.Process(orphan).ppid()
    os.kill(supervisord, signal.SIGKILL)
    eventually(lambda: not Supervisor(scene.folders).is_running(), 20, "supervisord is gone")
    eventually(lambda: [process.pid for process in leftovers(scene.folders)] == [orphan], 20, "one is left")
    assert len(end_leftovers(scene.folders)) == 1
    assert not psutil.pid_exists(orphan)


def test_a_deep_state_folder_is_no_problem(tmp_path: Path) -> None:
    """A Unix socket's path may only be about 100 bytes long."""
    deep = Scene(Folders(tmp_path / ("deep" * 30), tmp_path / "lib"))
    system = deep.system(sleeper("part"))
    system.up()
    pid = system.processes()["part"].pid
    system.down()
    assert (pid > 0, psutil.pid_exists(pid)) == (True, False)
