"""Folders as Flink names them."""

from pathlib import Path


def as_uri(folder: str) -> str:
    """A URI of a folder given as one or as a path of this machine."""
    return folder.rstrip("/") if "://" in folder else Path(folder).resolve().as_uri()
