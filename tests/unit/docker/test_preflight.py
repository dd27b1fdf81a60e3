"""What is wrong with a machine is named, with what to do about it."""

import os
import socket
from pathlib import Path

import pytest

from docker.local.errors import PreflightError
from docker.local.preflight import check_machine, disk_problems, memory_problems, port_problems
from docker.local.settings import LocalSettings
from tests.support.ports import free_ports


def test_a_taken_port_is_named_with_its_setting_and_its_owner() -> None:
    """The owner is this very process."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (problem,) = port_problems({"KAFKA_PORT": port})
    assert problem.startswith(f"port {port} (KAFKA_PORT) is in use by")
    assert f"(pid {os.getpid()})" in problem
    assert "set KAFKA_PORT to another port in .env" in problem


def test_free_ports_are_fine() -> None:
    """No problem, no line."""
    kafka, registry = free_ports(2)
    assert port_problems({"KAFKA_PORT": kafka, "REGISTRY_PORT": registry}) == []


def test_a_port_asked_for_twice_is_named() -> None:
    """Two servers on one port would only fail later, and less clearly."""
    (port,) = free_ports(1)
    assert port_problems({"API_PORT": port, "REGISTRY_PORT": port}) == [
        f"port {port} is asked for twice, by API_PORT and REGISTRY_PORT: change one in .env"
    ]


def test_too_little_memory_is_named_with_both_numbers() -> None:
    """What is needed follows the settings."""
    settings = LocalSettings()
    assert memory_problems(settings, settings.memory_mb) == []
    (problem,) = memory_problems(settings, 1000)
    assert problem.startswith(f"too little memory: {settings.memory_mb} MB are needed, 1000 MB are available")
    smaller = LocalSettings(cassandra_heap_mb=512, taskmanager_memory_mb=1536)
    assert smaller.memory_mb == settings.memory_mb - 1.25 * 256 - 768


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state folder need not exist yet."""
    assert disk_problems(tmp_path / "not/there/yet") == []
    monkeypatch.setattr("docker.local.preflight.DISK_MB", 10**9)
    (problem,) = disk_problems(tmp_path / "not/there/yet")
    assert problem.startswith(f"too little disk space at {tmp_path}: {10**9} MB are needed")


def test_everything_missing_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run, not one for each problem; JDK and Maven with how to get them."""
    monkeypatch.setattr("docker.local.java.USUAL_PLACES", ())
    monkeypatch.setattr("docker.local.preflight.PYTHON", (3, 99))
    ports = dict(zip([name.lower() for name in LocalSettings().ports], free_ports(20), strict=False))
    settings = LocalSettings.model_validate({**ports, "state_dir": tmp_path, "cassandra_heap_mb": 10**7})
    with pytest.raises(PreflightError) as caught:
        check_machine(settings, {"PATH": str(tmp_path)})
    starts = [
        "Python 3.11 is needed",
        "no JDK 17 found",
        "Maven (mvn) is not on the PATH",
        "too little memory",
    ]
    assert [
        problem.startswith(start) for problem, start in zip(caught.value.problems, starts, strict=True)
    ] == [True] * len(starts)
