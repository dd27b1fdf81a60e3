"""Is it ready? One question to each kind of server; False while it does not answer."""

import socket
from typing import Any

import httpx

from docker.local.settings import HOST, LocalSettings

TIMEOUT_S = 2.0


class Probes:
    """Asks servers of this machine, and keeps no connection open."""

    def __init__(self) -> None:
        # One client for all: a new one reads the certificates of the machine first, 20 ms of CPU each.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(timeout=TIMEOUT_S, limits=limits, trust_env=False)

    def answers(self, url: str) -> bool:
        """Whether ``url`` answers with success."""
        try:
            return self._http.get(url).is_success
        except httpx.HTTPError:
            return False

    def accepts_connections(self, port: int) -> bool:
        """Whether something listens on the loopback port."""
        try:
            with socket.create_connection((HOST, port), timeout=TIMEOUT_S):
                return True
        except OSError:
            return False

    def serves_api(self, settings: LocalSettings) -> bool:
        """Whether the API answers. Over TLS a connection has to do: its certificate is for another name."""
        if settings.api_tls_cert:
            return self.accepts_connections(settings.api_port)
        return self.answers(f"{settings.api_url}/health")

    def has_taskmanager(self, flink_url: str) -> bool:
        """Whether a TaskManager has offered its slots to the JobManager."""
        return bool(self._json(f"{flink_url}/overview").get("slots-total"))

    def runs_jobs(self, flink_url: str, names: tuple[str, ...]) -> bool:
        """Whether the JobManager runs a job of each name, with all its tasks."""
        running = {
            job["name"]
            for job in self._json(f"{flink_url}/jobs/overview").get("jobs", [])
            if job["state"] == "RUNNING" and job["tasks"]["running"] == job["tasks"]["total"]
        }
        return running.issuperset(names)

    def _json(self, url: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._http.get(url).json()
        except (httpx.HTTPError, ValueError):
            return {}
        return answer
