"""Processes of a system whose supervisord is gone, told by the mark in their environment."""

import os
from collections.abc import Iterator

import psutil

from docker.local.render import SYSTEM_MARK
from docker.local.settings import Folders

TERM_SECONDS = 20


def leftovers(folders: Folders) -> list[psutil.Process]:
    """Every process that carries the mark of this state folder, except our own and those above it."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for process in _marked(str(folders.root)) if process.pid not in spared]


def end_leftovers(folders: Folders) -> list[str]:
    """Ends them, politely first; returns their names."""
    found = leftovers(folders)
    names = []
    for process in found:
        try:
            names.append(process.name())
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(found, timeout=TERM_SECONDS)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=TERM_SECONDS)
    return names


def _marked(root: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(SYSTEM_MARK) == root:
                yield process
        except psutil.Error:  # another user's, or gone
            continue
