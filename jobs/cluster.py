"""The Flink cluster's REST API, as far as the jobs are run by it."""

import time
from dataclasses import dataclass
from typing import Any, Self

import httpx

from schemas.errors import TickstreamError, UnavailableError

GONE = frozenset({"FAILED", "CANCELED", "FINISHED", "SUSPENDED"})
"""States of a job that will do nothing any more."""

STOPPED = frozenset({"CANCELED", "FINISHED"})
"""Of those, the ones of a job that was told to end: by a cancel, or by a stop with a savepoint."""

STOP_TIMEOUT_S = 120.0


class StopFailedError(TickstreamError):
    """A job could not be stopped with a savepoint, or not be cancelled."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the cluster knows it."""

    job_id: str
    name: str
    state: str
    started_at: int
    """Milliseconds since 1970 UTC."""

    @property
    def is_gone(self) -> bool:
        return self.state in GONE

    @property
    def was_stopped(self) -> bool:
        return self.state in STOPPED


class FlinkCluster:
    """A JobManager. Every method raises UnavailableError while it does not answer."""

    def __init__(self, rest_url: str) -> None:
        self._client = httpx.Client(base_url=rest_url, timeout=10.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def jobs(self) -> list[Job]:
        """All jobs since the JobManager started, the newest last."""
        overview = self._request("GET", "/jobs/overview")["jobs"]
        jobs = [Job(job["jid"], job["name"], job["state"], job["start-time"]) for job in overview]
        return sorted(jobs, key=lambda job: job.started_at)

    def job(self, name: str) -> Job | None:
        """The newest job of this name, gone or not; None where there was none."""
        named = [job for job in self.jobs() if job.name == name]
        return named[-1] if named else None

    def completed_checkpoints(self, job_id: str) -> int:
        """How many checkpoints the job has completed since it was submitted."""
        return int(self._request("GET", f"/jobs/{job_id}/checkpoints")["counts"]["completed"])

    def failures(self, job_id: str) -> list[str]:
        """Why the job has failed so far, the last failure first: the causes without their stack."""
        entries = self._request("GET", f"/jobs/{job_id}/exceptions")["exceptionHistory"]["entries"]
        stacks = (entry["stacktrace"].splitlines() for entry in entries)
        return [" | ".join(line for line in stack if not line.startswith("\tat "))[:2000] for stack in stacks]

    def stop(self, job_id: str, savepoint_dir: str) -> str:
        """Stops the job with a savepoint; returns where that is. Raises StopFailedError."""
        body = {"targetDirectory": savepoint_dir, "drain": False}
        trigger = self._request("POST", f"/jobs/{job_id}/stop", body)["request-id"]
        give_up_at = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < give_up_at:
            status = self._request("GET", f"/jobs/{job_id}/savepoints/{trigger}")
            if status["status"]["id"] == "COMPLETED":
                operation = status["operation"]
                if "location" in operation:
                    return str(operation["location"])
                cause = operation.get("failure-cause", {}).get("stack-trace", "")
                raise StopFailedError(cause.splitlines()[0] if cause else "no reason given")
            time.sleep(0.1)
        raise StopFailedError(f"no savepoint after {STOP_TIMEOUT_S:g} s")

    def cancel(self, job_id: str) -> None:
        """Cancels the job; its newest checkpoint stays. Returns once it is gone; raises StopFailedError."""
        self._request("PATCH", f"/jobs/{job_id}?mode=cancel")
        give_up_at = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < give_up_at:
            if all(job.is_gone for job in self.jobs() if job.job_id == job_id):
                return
            time.sleep(0.1)
        raise StopFailedError(
            f"job {job_id} is not gone {STOP_TIMEOUT_S:g} s after its cancel; Flink's Web UI shows which"
            f" task is in the way"
        )

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = self._client.request(method, path, json=body)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"Flink at {self._client.base_url} does not answer {method} {path}: {error}; is the"
                f" JobManager running, and FLINK_REST_URL right?"
            ) from error
        answer: dict[str, Any] = response.json() if response.content else {}
        return answer
