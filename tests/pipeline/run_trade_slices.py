"""Sends trades through the operator of jobs.flink.trade_slices and prints the slices: on stdin the JSON of a
list of objects, whose keys are the columns of a trade, ``record_ms`` besides; on stdout a list of rows of
SLICE_COLUMNS. Payloads are base64.

A process of its own, as it brings up a JVM, with a cluster inside; takes the jars from FLINK_LIB_DIR and
talks to no server."""

import base64
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from jobs.flink.bar_function import SLICE_COLUMNS
from jobs.flink.decode_functions import TRADE
from jobs.flink.environment import configuration, use_flink_libraries
from jobs.flink.trade_slices import trade_slices
from jobs.settings import JobSettings


def main() -> None:
    settings = JobSettings()
    use_flink_libraries(settings.flink_lib_dir)
    cluster = StreamExecutionEnvironment.get_execution_environment(configuration(settings, "slices"))
    tables = StreamTableEnvironment.create(cluster)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "trades.json"
        file.write_text("\n".join(map(json.dumps, json.load(sys.stdin))), encoding="utf-8")
        columns = ", ".join(f"`{name}` {type_.type_name()}" for name, type_ in TRADE.items())
        # A table of files makes a watermark whenever it has moved by WATERMARK_INTERVAL_MS of event time.
        tables.execute_sql(f"""
            CREATE TABLE given (
                {columns}, payload BYTES, from_partition INT, from_offset BIGINT, record_ms BIGINT,
                record_time AS TO_TIMESTAMP_LTZ(record_ms, 3),
                WATERMARK FOR record_time AS
                    record_time - INTERVAL '{settings.watermark_delay_ms / 1000:.3f}' SECOND
            ) WITH ('connector' = 'filesystem', 'path' = '{file.as_uri()}', 'format' = 'json')""")
        slices = trade_slices(tables, "given", settings.slice_ms, settings.dedup_memory_seconds)
        tables.create_temporary_view("slices", slices)
        found = tables.sql_query(f"SELECT {', '.join(SLICE_COLUMNS)} FROM slices").execute()  # noqa: S608
        with found.collect() as rows:
            json.dump([[_json(value) for value in row] for row in rows], sys.stdout)


def _json(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes | bytearray) else value


if __name__ == "__main__":
    main()
