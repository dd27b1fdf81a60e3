"""Checkpoints and savepoints in a folder of this machine: which is the newest, and which can go.

On a file system that is not this machine's (a URI other than ``file:``) this finds nothing: there the Flink
Kubernetes Operator, which knows what it has stored, restarts the jobs.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from jobs.flink_uri import as_uri
from jobs.settings import JobSettings
from schemas.errors import ConfigurationError

BARS_LAYOUT, STORE_LAYOUT = 6, 8
"""Grows whenever that job's graph or what it keeps changes so that older state cannot be read: Flink restores
all of a job's state or none."""


@dataclass(frozen=True, slots=True)
class Snapshots:
    """What is kept of one job: ``<checkpoints>/<state>/<job id>/chk-<n>`` and
    ``<savepoints>/<state>/savepoint-<id>``, where ``state`` tells which state belongs together."""

    checkpoints: Path
    savepoints: Path
    state: str

    @classmethod
    def of(cls, settings: JobSettings, job: str) -> "Snapshots":
        checkpoints, savepoints = local_path(settings.checkpoint_dir), local_path(settings.savepoint_dir)
        return cls(checkpoints / job, savepoints / job, state_name(settings, job))

    def newest(self) -> Path | None:
        """The newest complete checkpoint or savepoint; None where there is none. ``_metadata`` is written
        last, so a snapshot that has it is complete.

        Raises ConfigurationError where there is only state of the bars that this version cannot read: begun
        anew under the same generation they would not win over what is stored. The store job may begin anew,
        it writes the same rows again.
        """
        metadata = [
            *(self.checkpoints / self.state).glob("*/chk-*/_metadata"),
            *(self.savepoints / self.state).glob("*/_metadata"),
        ]
        if metadata:
            return max(metadata, key=lambda file: file.stat().st_mtime_ns).parent
        if _makes_bars(self.checkpoints.name):
            self._refuse_older_layout()
        return None

    def _refuse_older_layout(self) -> None:
        generation = self.state.partition("-")[2]
        older = [f"layout*-{generation}/"]
        if generation == "generation0":
            older.append("")  # layout 1 had no folder of its own
        found = [
            file.parent
            for folder in older
            for root, pattern in ((self.checkpoints, "*/chk-*"), (self.savepoints, "savepoint-*"))
            for file in root.glob(f"{folder}{pattern}/_metadata")
        ]
        if found:
            raise ConfigurationError(
                f"the state in {found[0]} was written by an older version, or with another SYMBOL_GROUPS, and"
                f" cannot be read: raise GENERATION by one, and the bars are rebuilt from Kafka and win over"
                f" the old ones"
            )

    def drop_all_but(self, job_id: str) -> None:
        """Deletes what earlier runs left: to be called once the job ``job_id`` has a checkpoint of its own,
        which needs none of the files of the one that it was restored from."""
        for root in (self.checkpoints, self.savepoints):
            for folder in [*root.glob("*"), *(root / self.state).glob("*")]:
                if folder.name not in (self.state, job_id):
                    shutil.rmtree(folder, ignore_errors=True)


def state_name(settings: JobSettings, job: str) -> str:
    """Folder of the state that a job can go on from. Bars of another generation begin without any."""
    if _makes_bars(job):
        return f"layout{BARS_LAYOUT}.{settings.symbol_groups}-generation{settings.generation}"
    return f"layout{STORE_LAYOUT}-generation0"


def _makes_bars(job: str) -> bool:
    return job.endswith(".bars")


def checkpoint_uri(settings: JobSettings, job: str) -> str:
    """Where Flink writes the checkpoints of a job."""
    return f"{as_uri(settings.checkpoint_dir)}/{job}/{state_name(settings, job)}"


def savepoint_uri(settings: JobSettings, job: str) -> str:
    """Where Flink writes the savepoint of a job that is stopped."""
    return f"{as_uri(settings.savepoint_dir)}/{job}/{state_name(settings, job)}"


def local_path(folder: str) -> Path:
    """The folder as a path of this machine; one that cannot exist for a URI of another file system."""
    uri = urlparse(folder)
    if uri.scheme in ("", "file"):
        return Path(unquote(uri.path))
    return Path("/nonexistent")
