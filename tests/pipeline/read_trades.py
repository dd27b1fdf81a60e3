"""Prints what the format of the source makes of values of trades: JSON of hex or null on stdin, a row for
each on stdout, columns by name.

A process of its own, as it brings up a JVM; takes the jars from FLINK_LIB_DIR and talks to no server."""

import json
import sys
from typing import Any

from pyflink.java_gateway import get_gateway

from jobs.flink.environment import use_flink_libraries
from jobs.flink.java_lists import java_list
from jobs.flink.trade_format import TradeRules
from jobs.settings import JobSettings
from tests.unit.jobs.payloads import TRADE_ID


def main() -> None:
    settings = JobSettings()
    use_flink_libraries(settings.flink_lib_dir)
    rules = TradeRules(TRADE_ID, settings.clock_skew_us)
    columns = rules.values().columns
    reader = get_gateway().jvm.tickstream.TradeDeserializer(rules.of_java(), java_list(columns), None)
    reader.open(None)

    def row(value: str | None) -> dict[str, Any]:
        found = reader.deserialize(None if value is None else bytes.fromhex(value))
        return {name: python(found.getField(at)) for at, name in enumerate(columns)}

    json.dump([row(value) for value in json.load(sys.stdin)], sys.stdout)


def python(field: Any) -> Any:
    """A value of Flink as JSON has it."""
    if isinstance(field, bytes):
        return field.hex()
    return field if isinstance(field, int | float | None) else str(field.toString())


if __name__ == "__main__":
    main()
