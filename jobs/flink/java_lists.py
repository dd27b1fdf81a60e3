"""Lists as the JVM has them."""

from collections.abc import Iterable
from typing import Any

from pyflink.java_gateway import get_gateway


def java_list(items: Iterable[Any]) -> Any:
    """A ``java.util.ArrayList`` of them."""
    there = get_gateway().jvm.java.util.ArrayList()
    for item in items:
        there.add(item)
    return there
