"""How trades are decoded in the JVM: by a format of the ``bars`` job's source, and by what writes them in the
``store`` job. See jobs/java.

Only a trade that is beyond doubt is decoded there. For everything else, be it a correction, of another
version of the schema, with a text that is not ASCII or no Avro at all, its columns are null, or it is handed
on, and Python decides. So a trade costs no Python, waits for no batch of it, and the rules are in one place.
"""

from typing import Any, NamedTuple

from pyflink.java_gateway import get_gateway

from jobs.flink.decode_functions import TRADE
from jobs.flink.java_lists import java_list
from jobs.flink.tables import Values
from schemas.avro_codec import parsed_schema
from schemas.events import Trade
from schemas.validation import MAX_AMOUNT, MAX_NAME_LENGTH, SYMBOL

FORMAT = "tickstream-trades"
COLUMNS = {name: type_ for name, type_ in TRADE.items() if name != "on_time"}
"""Whether a trade is on time its record tells, and not its value."""


class TradeRules(NamedTuple):
    """What is beyond doubt. ``schema_id``: the registry's id of our own schema of trades; a trade may be
    dated ``clock_skew_us`` ahead of its receipt."""

    schema_id: int
    clock_skew_us: int

    def values(self) -> Values:
        """For a source of the topic of trades."""
        options = {
            "schema-id": self.schema_id,
            "fields": ";".join(fields_of_trades()),
            "symbol-pattern": SYMBOL.pattern,
            "longest-name": MAX_NAME_LENGTH,
            "largest-amount": MAX_AMOUNT,
            "clock-skew-us": self.clock_skew_us,
        }
        return Values(
            {"payload": "BYTES", **{name: type_.type_name() for name, type_ in COLUMNS.items()}},
            {
                "value.format": FORMAT,
                **{f"value.{FORMAT}.{name}": str(value) for name, value in options.items()},
            },
        )

    def of_java(self) -> Any:
        """The same in the JVM."""
        return get_gateway().jvm.tickstream.TradeRules(
            self.schema_id,
            java_list(fields_of_trades()),
            SYMBOL.pattern,
            MAX_NAME_LENGTH,
            MAX_AMOUNT,
            self.clock_skew_us,
        )


def fields_of_trades() -> list[str]:
    """The fields of a trade in the order of our schema, ``name:type``."""
    return [f"{field['name']}:{_type(field['type'])}" for field in parsed_schema(Trade)["fields"]]


def _type(avro: str | dict[str, str]) -> str:
    if isinstance(avro, dict):
        return "strings" if avro == {"type": "array", "items": "string"} else avro["type"]
    return avro
