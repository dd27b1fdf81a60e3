"""``status`` shows each part on a line."""

from docker.local.parts import Part
from docker.local.status import status_table
from docker.local.supervisor import ProcessState


def test_running_and_stopped_parts() -> None:
    """State, pid, time, ports by their numbers, address."""
    parts = [
        Part(
            "kafka", (), lambda: True, ports=("KAFKA_PORT", "KAFKA_CONTROLLER_PORT"), address="127.0.0.1:9092"
        ),
        Part("jobs", (), lambda: True),
    ]
    processes = {"kafka": ProcessState("kafka", "RUNNING", 4711, 3725)}
    table = status_table(parts, processes, {"KAFKA_PORT": 9092, "KAFKA_CONTROLLER_PORT": 9093})
    assert [line.split() for line in table] == [
        ["PART", "STATE", "PID", "UP", "PORTS", "ADDRESS"],
        ["kafka", "running", "4711", "1:02:05", "9092,9093", "127.0.0.1:9092"],
        ["jobs", "stopped", "-", "-", "-"],
    ]
