"""From trades to slices of unique ones, in the JVM: see jobs/java."""

from pyflink.datastream import DataStream
from pyflink.java_gateway import get_gateway
from pyflink.table import Schema, StreamTableEnvironment, Table


def trade_slices(tables: StreamTableEnvironment, view: str, slice_ms: int, memory_seconds: int) -> Table:
    """What the trades of a view add up to in windows of ``slice_ms`` of event time, the first copy of each:
    rows with the columns of SLICE_COLUMNS, for each symbol and source. Whatever is not on time is a row by
    itself. A trade is known for ``memory_seconds`` of event time at least."""
    slices = get_gateway().jvm.tickstream.TradeSlices.of(tables._j_tenv, view, slice_ms, memory_seconds)
    # Without a schema that says so the watermarks end here.
    schema = Schema.new_builder()
    schema.column_by_metadata("slice_time", "TIMESTAMP_LTZ(3)", "rowtime", is_virtual=True)
    schema.watermark("slice_time", "SOURCE_WATERMARK()")
    return tables.from_data_stream(DataStream(slices), schema.build())
