"""Sends slices through the operator of jobs.flink.keyed and prints what Python got of them: JSON lists on
stdin and stdout. A process of its own, as it brings up a JVM, with a cluster inside; takes the jars from
FLINK_LIB_DIR and talks to no server."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from pyflink.common import Types
from pyflink.datastream import KeyedProcessFunction, StreamExecutionEnvironment
from pyflink.table import DataTypes, StreamTableEnvironment

from jobs.flink.bar_function import SLICE_COLUMNS
from jobs.flink.environment import configuration, use_flink_libraries
from jobs.flink.keyed import keyed_rows, process
from jobs.settings import JobSettings

TEXTS = {"symbol", "source", "first_key", "last_key", "log", "payload"}
PRICES = {"high", "low"}


class Tell(KeyedProcessFunction):
    """What it is given, as text."""

    def process_element(
        self,
        row: Any,
        ctx: KeyedProcessFunction.Context,  # noqa: ARG002 -- Flink's signature
    ) -> Iterator[str]:
        yield json.dumps(list(row))


def main() -> None:
    settings = JobSettings()
    use_flink_libraries(settings.flink_lib_dir)
    cluster = StreamExecutionEnvironment.get_execution_environment(configuration(settings, "merging"))
    tables = StreamTableEnvironment.create(cluster)
    columns = DataTypes.ROW([DataTypes.FIELD(name, _type(name)) for name in SLICE_COLUMNS])
    given = tables.from_elements([tuple(row) for row in json.load(sys.stdin)], columns)
    tables.create_temporary_view("given", given)
    rows = keyed_rows(tables, "given", "symbol", SLICE_COLUMNS)
    with process(rows, Tell(), Types.STRING(), SLICE_COLUMNS).execute_and_collect() as results:
        json.dump([json.loads(text) for text in results], sys.stdout)


def _type(name: str) -> Any:
    if name in TEXTS:
        return DataTypes.STRING()
    if name in PRICES:
        return DataTypes.DOUBLE()
    return DataTypes.BOOLEAN() if name == "correctable" else DataTypes.BIGINT()


if __name__ == "__main__":
    main()
