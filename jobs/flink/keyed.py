"""Rows of a table as a stream that is keyed, and what Python makes of it."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from pyflink.common import TypeInformation, Types
from pyflink.datastream import DataStream, KeyedProcessFunction
from pyflink.datastream.data_stream import KeyedStream, _get_one_input_stream_operator
from pyflink.fn_execution.flink_fn_execution_pb2 import UserDefinedDataStreamFunction
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment
from pyflink.table.types import (
    BigIntType,
    BooleanType,
    DataType,
    DoubleType,
    IntType,
    VarBinaryType,
    VarCharType,
)

from jobs.flink.java_lists import java_list

_TYPES: dict[type[DataType], TypeInformation] = {
    VarCharType: Types.STRING(),
    BigIntType: Types.LONG(),
    IntType: Types.INT(),
    DoubleType: Types.DOUBLE(),
    BooleanType: Types.BOOLEAN(),
    VarBinaryType: Types.PRIMITIVE_ARRAY(Types.BYTE()),
}


class Merge(StrEnum):
    """What becomes of a column when rows become one while they wait for Python; nulls have no part in it."""

    KEY = "KEY"
    """Equal, or the rows stay apart."""
    MINUTE = "MINUTE"
    """A time (us) of the same minute, or they stay apart; the earliest."""
    LEAST = "LEAST"
    GREATEST = "GREATEST"
    SUM = "SUM"
    LINES = "LINES"
    """One below the other."""
    ALONE = "ALONE"
    """A row that has it stays apart from all others."""


def keyed_rows(tables: StreamTableEnvironment, view: str, key: str, columns: Iterable[str]) -> KeyedStream:
    """Some columns of a view as rows, keyed by an expression in SQL, which is text.

    What ``key_by`` does with a Python operator of its own, for which each row goes to Python and back and
    waits for a batch twice, is done in SQL: a stream is keyed once its rows are pairs of key and value.
    """
    quoted = [f"`{name}`" for name in columns]
    types = tables.from_path(view).get_schema()
    value = Types.ROW([_TYPES[type(types.get_field_data_type(name))] for name in columns])
    pairs = tables.sql_query(f"SELECT {key}, ROW({', '.join(quoted)}) FROM {view}")  # noqa: S608
    stream = tables.to_append_stream(pairs, Types.ROW([Types.STRING(), value]))
    selector = get_gateway().jvm.KeyByKeySelector()
    key_type = Types.ROW([Types.STRING()]).get_java_type_info()
    return KeyedStream(stream._j_data_stream.keyBy(selector, key_type), value, stream)


def process(
    stream: KeyedStream,
    function: KeyedProcessFunction,
    output: TypeInformation,
    merging: Mapping[str, Merge] | None = None,
) -> DataStream:
    """What ``stream.process`` does, by an operator that begins its Python batches with a watermark and rests
    after each: see jobs/java. ``merging``: of all columns, how rows that wait meanwhile become one; None:
    each stays as it is."""
    shipped, output_type = _get_one_input_stream_operator(
        stream, function, UserDefinedDataStreamFunction.KEYED_PROCESS, output
    )
    stream_of_java = stream._j_data_stream
    input_type = stream_of_java.getTransformation().getOutputType()
    rules = java_list(rule.value for rule in (merging or {}).values())
    operator = get_gateway().jvm.tickstream.PacedKeyedProcess(shipped, input_type, rules)
    return DataStream(stream_of_java.transform("KEYED PROCESS", output_type, operator))
