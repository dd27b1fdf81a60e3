"""Prints what the format of the source makes of values of trades: JSON of hex or null on stdin, a row for
each on stdout, columns by name.

A process of its own, as it brings up a JVM; takes the jars from FLINK_LIB_DIR and talks to no server."""

import json
import sys
from collections.abc import Iterable
from typing import Any

from pyflink.java_gateway import get_gateway

from jobs.flink.environment import use_flink_libraries
from jobs.flink.trade_format import FORMAT, trade_values
from jobs.settings import JobSettings
from tests.unit.jobs.payloads import TRADE_ID


def main() -> None:
    settings = JobSettings()
    use_flink_libraries(settings.flink_lib_dir)
    java = get_gateway().jvm

    def list_of(texts: Iterable[str]) -> Any:
        texts_there = java.java.util.ArrayList()
        for text in texts:
            texts_there.add(text)
        return texts_there

    values = trade_values(TRADE_ID, settings.clock_skew_us)
    options = {key.removeprefix(f"value.{FORMAT}."): value for key, value in values.options.items()}
    rules = java.tickstream.TradeRules(
        int(options["schema-id"]), list_of(options["fields"].split(";")), options["symbol-pattern"],
        int(options["longest-name"]), float(options["largest-amount"]), int(options["clock-skew-us"]),
    )  # fmt: skip
    reader = java.tickstream.TradeDeserializer(rules, list_of(values.columns), None)
    reader.open(None)

    def row(value: str | None) -> dict[str, Any]:
        found = reader.deserialize(None if value is None else bytes.fromhex(value))
        return {name: python(found.getField(at)) for at, name in enumerate(values.columns)}

    json.dump([row(value) for value in json.load(sys.stdin)], sys.stdout)


def python(field: Any) -> Any:
    """A value of Flink as JSON has it."""
    if isinstance(field, bytes):
        return field.hex()
    return field if isinstance(field, int | float | None) else str(field.toString())


if __name__ == "__main__":
    main()
