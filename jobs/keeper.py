"""Keeps the jobs running: submits them, submits them again when they have failed or the cluster has forgotten
them, and stops them with a savepoint at the end.

A standalone JobManager that was killed comes back without its jobs; they go on from their newest checkpoint.
A job that somebody cancels or stops with a savepoint, in Flink's Web UI say, stays down until it is submitted
by hand or a new keeper comes.
"""

import subprocess
import sys
import threading
import time
from contextvars import copy_context
from dataclasses import dataclass, field

import structlog

from jobs.cluster import FlinkCluster, Job, StopFailedError
from jobs.settings import JobSettings
from jobs.snapshots import Snapshots, savepoint_uri
from schemas.errors import UnavailableError
from schemas.topics import Topics

log = structlog.get_logger()
POLL_S = 1.0
MAX_BACKOFF_S = 30.0
HEALTHY_S = 60.0
"""A job that has lived so long is submitted again at once when it is gone."""


@dataclass(slots=True)
class Attempts:
    """When a job may be submitted next."""

    backoff: float = 1.0
    next_at: float = 0.0
    last_at: float = 0.0


@dataclass(slots=True)
class Keeper:
    """The loop. ``stop`` (from a signal handler, say) ends it."""

    settings: JobSettings
    cluster: FlinkCluster
    jobs: tuple[str, ...]
    stopping: threading.Event = field(default_factory=threading.Event)
    _attempts: dict[str, Attempts] = field(default_factory=dict)
    _pruned: set[str] = field(default_factory=set)
    _gone_before: dict[str, str] = field(default_factory=dict)
    """By job, the id of the one that was gone when this keeper first looked; empty if there was none."""
    _left_down: set[str] = field(default_factory=set)
    _unavailable: bool = False

    def run(self) -> None:
        """Returns after ``stopping`` is set and the jobs are stopped."""
        while not self.stopping.is_set():
            try:
                self._look_after_jobs()
                if self._unavailable:
                    log.info("flink_is_back")
                self._unavailable = False
            except UnavailableError as error:
                if not self._unavailable:
                    log.warning("flink_unavailable", error=str(error))
                self._unavailable = True
            self.stopping.wait(POLL_S)
        self.stop_jobs()

    def stop_jobs(self) -> None:
        """Stops them with a savepoint, all at once; cancels the one whose savepoint fails."""
        # With our context: it holds what every line of the log says, and a thread begins without any.
        threads = [
            threading.Thread(target=copy_context().run, args=(self._stop_job, job)) for job in self.jobs
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _look_after_jobs(self) -> None:
        missing = []
        for job in self.jobs:
            current = self.cluster.job(self._name(job))
            if current is not None and not current.is_gone:
                self._watch(job, current)
            elif not self._stays_down(job, current) and self._may_submit(job, current):
                missing.append(job)
        if missing:
            self._submit(missing)

    def _watch(self, job: str, current: Job) -> None:
        """Of a job that lives."""
        self._gone_before.setdefault(job, "")
        self._left_down.discard(job)
        if current.job_id not in self._pruned and self.cluster.completed_checkpoints(current.job_id):
            Snapshots.of(self.settings, current.name).drop_all_but(current.job_id)
            self._pruned.add(current.job_id)

    def _stays_down(self, job: str, gone: Job | None) -> bool:
        """Whether somebody wants it so: the job was cancelled or stopped while this keeper ran. That holds on
        when the JobManager has forgotten it, until a job of its name runs or fails."""
        before = self._gone_before.setdefault(job, gone.job_id if gone else "")
        if gone is None:
            return job in self._left_down
        if not gone.was_stopped or gone.job_id == before:
            self._left_down.discard(job)
            return False
        if job not in self._left_down:
            self._left_down.add(job)
            log.warning(
                "job_left_down",
                job=gone.name,
                state=gone.state,
                resume=f"python -m jobs submit --job {job}, or start this part again",
            )
        return True

    def _may_submit(self, job: str, gone: Job | None) -> bool:
        now = time.monotonic()
        attempts = self._attempts.setdefault(job, Attempts())
        if now < attempts.next_at:
            return False
        if gone is not None:
            log.error(
                "job_is_gone", job=gone.name, state=gone.state, why=self.cluster.failures(gone.job_id)[:1]
            )
        if now - attempts.last_at > HEALTHY_S:
            attempts.backoff = 1.0
        attempts.last_at = now
        attempts.next_at = now + attempts.backoff
        attempts.backoff = min(attempts.backoff * 2, MAX_BACKOFF_S)
        return True

    def _submit(self, jobs: list[str]) -> None:
        """In a process of its own: it brings up a JVM, which need not stay."""
        command = [sys.executable, "-m", "jobs", "submit", *(f"--job={job}" for job in jobs)]
        submitting = subprocess.Popen(command, start_new_session=True)
        while submitting.poll() is None:
            if self.stopping.wait(0.1):
                submitting.terminate()
        if submitting.returncode and not self.stopping.is_set():
            log.error("submission_failed", jobs=jobs, exit_code=submitting.returncode)

    def _stop_job(self, job: str) -> None:
        name = self._name(job)
        try:
            current = self.cluster.job(name)
            if current is None or current.is_gone:
                return
            try:
                where = self.cluster.stop(current.job_id, savepoint_uri(self.settings, name))
                log.info("job_stopped", job=name, savepoint=where)
            except StopFailedError as error:
                log.warning(
                    "job_cancelled", job=name, why=str(error), next_start="from its newest checkpoint"
                )
                self.cluster.cancel(current.job_id)
        except (UnavailableError, StopFailedError) as error:
            log.warning("job_left", job=name, error=str(error))

    def _name(self, job: str) -> str:
        return Topics(self.settings.topic_prefix).job_name(job)
