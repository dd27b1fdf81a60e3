"""The local system as a whole: brought up in the order of needs, much of it at once, and down again."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from threading import Event

from docker.local.class_archive import ClassArchives
from docker.local.errors import Interrupted, PartFailed
from docker.local.leftovers import end_leftovers
from docker.local.parts import Part, Step, parts_of, with_needs
from docker.local.render import render, server_environment
from docker.local.settings import Folders, LocalSettings
from docker.local.supervisor import DYING, STOPPED, ProcessState, Supervisor
from docker.local.tail import last_lines
from schemas.errors import UnavailableError

READY_SECONDS = 300
POLL_SECONDS = 0.1
RETRY_SECONDS = 1.0
EXEC_SECONDS = 0.5
PATIENCE_SECONDS = 15
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a system is made of. ``environment`` is the processes'; ``render`` writes what they read."""

    folders: Folders
    parts: Mapping[str, Part | Step]
    environment: Mapping[str, str]
    archives: ClassArchives
    render: Callable[[], None]


def plan_of(settings: LocalSettings, environment: Mapping[str, str], jdk: Path) -> Plan:
    """The whole system with these settings; ``environment`` is what the parts read theirs from."""
    full = server_environment(settings, environment, jdk)
    archives = ClassArchives(settings.folders, jdk)
    parts = parts_of(settings, full, jdk, archives)
    return Plan(settings.folders, parts, full, archives, lambda: render(settings, jdk))


class LocalSystem:
    """Brings the processes of a plan up and down. ``stopping`` makes a start give up."""

    def __init__(self, plan: Plan, report: Report, stopping: Event) -> None:
        self._plan = plan
        self._supervisor = Supervisor(plan.folders)
        self._report = report
        self._stopping = stopping

    def up(self, names: Iterable[str] | None = None) -> None:
        """Brings up the named parts and what they need, or all; returns when they are ready.

        Raises PartFailed for the first that dies, Interrupted when ``stopping`` is set; what was started then
        still runs, until ``down``.
        """
        wanted = with_needs(self._plan.parts, self._plan.parts if names is None else names)
        if not self._supervisor.is_running():
            self._plan.render()
            parts = [part for part in self._plan.parts.values() if isinstance(part, Part)]
            self._supervisor.start(parts, self._plan.environment)
        graph = {name: part.needs for name, part in wanted.items()}
        self._in_order(graph, lambda name: self._bring_up(wanted[name]))

    def down(self) -> None:
        """Stops everything, each part before what it needs, and leaves no process behind."""
        running = {
            name for name, process in self._supervisor.processes().items() if process.state not in STOPPED
        }
        needed_by = {
            name: {
                other for other in running if name in with_needs(self._plan.parts, [other]) and other != name
            }
            for name in running
        }
        self._in_order(needed_by, self._take_down)
        self._supervisor.shutdown()
        for name in end_leftovers(self._plan.folders):
            self._report(f"  ended a left-over process: {name}")

    def processes(self) -> dict[str, ProcessState]:
        """What runs now, by part."""
        return self._supervisor.processes()

    def _in_order(self, graph: Mapping[str, Iterable[str]], action: Callable[[str], None]) -> None:
        """Runs ``action`` for every name, after it has returned for those that the graph names before it."""
        sorter = TopologicalSorter(graph)
        sorter.prepare()
        running: dict[Future[None], str] = {}
        failures: list[BaseException] = []
        last_sign = time.monotonic()
        with ThreadPoolExecutor(max_workers=max(1, len(graph))) as pool:
            while sorter.is_active() and not failures:
                for name in sorter.get_ready():
                    running[pool.submit(action, name)] = name
                done, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in done:
                    name = running.pop(future)
                    last_sign = time.monotonic()
                    if failure := future.exception():
                        failures.append(failure)
                    else:
                        sorter.done(name)
                if time.monotonic() - last_sign > PATIENCE_SECONDS:
                    self._report(f"  ... still waiting for {', '.join(sorted(running.values()))}")
                    last_sign = time.monotonic()
        failures += [failure for future in running if (failure := future.exception())]
        if failures:
            # What made the others give up, rather than that they did.
            raise next((one for one in failures if not isinstance(one, Interrupted)), failures[0])

    def _bring_up(self, part: Part | Step) -> None:
        if self._stopping.is_set():
            raise Interrupted(f"stopped before {part.name} was started")
        started = time.monotonic()
        try:
            if isinstance(part, Step):
                self._carry_out(part)
            else:
                self._plan.archives.discard(part.name)
                self._supervisor.start_process(part.name)
                self._await_ready(part)
        except BaseException:
            # The others that are starting look at it between two polls: no failure has to wait for them.
            self._stopping.set()
            raise
        took = time.monotonic() - started
        address = f"  {part.address}" if isinstance(part, Part) else ""
        self._report(f"  {part.name:<14}{took:5.1f} s{address}")

    def _carry_out(self, step: Step) -> None:
        """Does the step; again while a server does not answer, which on a busy machine may be up and yet take
        longer than anyone waits. A step can be done twice."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                step.run()
            except UnavailableError as error:
                if time.monotonic() > deadline:
                    raise
                if self._stopping.wait(RETRY_SECONDS):
                    raise Interrupted(f"stopped while {step.name} was waiting for a server") from error
            else:
                return

    def _await_ready(self, part: Part) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not part.is_ready():
            if self._stopping.wait(POLL_SECONDS):
                raise Interrupted(f"stopped while {part.name} was starting")
            process = self._supervisor.processes().get(part.name)
            if process is None or process.state in DYING:
                raise PartFailed(self._describe(part, "died while starting"))
            if time.monotonic() > deadline:
                raise PartFailed(self._describe(part, f"was not ready after {READY_SECONDS} s"))

    def _take_down(self, name: str) -> None:
        started = time.monotonic()
        process = self._supervisor.processes().get(name)
        if process is not None and process.state == "STARTING":
            # Between fork and exec a signal would be lost, and the part killed only when its time is over.
            time.sleep(EXEC_SECONDS)
        self._supervisor.stop_process(name)
        while True:
            process = self._supervisor.processes().get(name)
            if process is None or process.state in STOPPED:
                break
            time.sleep(POLL_SECONDS)
        took = time.monotonic() - started
        part = self._plan.parts[name]
        if isinstance(part, Part) and took < part.stop_seconds:
            self._plan.archives.adopt(name)
        self._report(f"  {name:<14}stopped in {took:.1f} s")

    def _describe(self, part: Part, what: str) -> str:
        log = self._plan.folders.log(part.name)
        return f"{part.name} {what}. The end of its log:\n{last_lines(log, 20)}\nAll of it: {log}"
