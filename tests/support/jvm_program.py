"""Programs of the tests that bring up a JVM: each a process of its own, which has one JVM for ever."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from docker.local.settings import PROJECT

PATIENCE_S = 300


def answer_of(module: str, environment: Mapping[str, str], given: Any = None) -> Any:
    """What the module writes to stdout as its last line, JSON; it has ``given`` on stdin."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=PROJECT,
        env=environment,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
