"""``status``: a table of the parts."""

from collections.abc import Iterable, Mapping

from docker.local.parts import Part
from docker.local.supervisor import ProcessState

ROW = "{:<14}{:<12}{:>8}  {:<10}{:<22}{}"


def status_table(
    parts: Iterable[Part], processes: Mapping[str, ProcessState], ports: Mapping[str, int]
) -> list[str]:
    """One line for each part: state, pid, how long it has run, its ports and where to reach it."""
    lines = [ROW.format("PART", "STATE", "PID", "UP", "PORTS", "ADDRESS")]
    for part in parts:
        process = processes.get(part.name)
        lines.append(
            ROW.format(
                part.name,
                process.state.lower() if process else "stopped",
                process.pid if process and process.pid else "-",
                _duration(process.up_seconds) if process and process.pid else "-",
                ",".join(str(ports[name]) for name in part.ports) or "-",
                part.address,
            ).rstrip()
        )
    return lines


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
