"""What several tests of the local system need."""

import os
from pathlib import Path

import pytest

from docker.local.java import find_jdk


@pytest.fixture
def jdk() -> Path:
    found = find_jdk(os.environ)
    assert found is not None
    return found
