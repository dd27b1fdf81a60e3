"""Checkpoints and savepoints in a folder of this machine: which is the newest, and which can go.

On a file system that is not this machine's (a URI other than ``file:``) this finds nothing: there the Flink
Kubernetes Operator, which knows what it has stored, restarts the jobs.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from jobs.settings import JobSettings


@dataclass(frozen=True, slots=True)
class Snapshots:
    """What is kept of one job: ``checkpoints/<job id>/chk-<n>`` and ``savepoints/savepoint-<id>``."""

    checkpoints: Path
    savepoints: Path

    @classmethod
    def of(cls, settings: JobSettings, job: str) -> "Snapshots":
        return cls(local_path(settings.checkpoint_dir) / job, local_path(settings.savepoint_dir) / job)

    def newest(self) -> Path | None:
        """The newest complete checkpoint or savepoint; None where there is none. ``_metadata`` is written
        last, so a snapshot that has it is complete."""
        metadata = [*self.checkpoints.glob("*/chk-*/_metadata"), *self.savepoints.glob("*/_metadata")]
        return max(metadata, key=lambda file: file.stat().st_mtime_ns).parent if metadata else None

    def drop_all_but(self, job_id: str) -> None:
        """Deletes what earlier runs left: to be called once the job ``job_id`` has a checkpoint of its own,
        which needs none of the files of the one that it was restored from."""
        for folder in [*self.checkpoints.glob("*"), *self.savepoints.glob("*")]:
            if folder.name != job_id:
                shutil.rmtree(folder, ignore_errors=True)


def local_path(folder: str) -> Path:
    """The folder as a path of this machine; one that cannot exist for a URI of another file system."""
    uri = urlparse(folder)
    if uri.scheme in ("", "file"):
        return Path(unquote(uri.path))
    return Path("/nonexistent")
