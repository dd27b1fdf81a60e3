"""The format that decodes trades inside of the source, in the JVM: see jobs/java.

Only a trade that is beyond doubt is decoded there. For everything else, be it a correction, of another
version of the schema, with a text that is not ASCII or no Avro at all, its columns are null, and DecodeTrades
decides. So a trade costs no Python and waits for no batch of it, and the rules are in one place.
"""

from jobs.flink.decode_functions import TRADE
from jobs.flink.tables import Values
from schemas.avro_codec import parsed_schema
from schemas.events import Trade
from schemas.validation import MAX_AMOUNT, MAX_NAME_LENGTH, SYMBOL

FORMAT = "tickstream-trades"
COLUMNS = {name: type_ for name, type_ in TRADE.items() if name != "on_time"}
"""Whether a trade is on time its record tells, and not its value."""


def trade_values(schema_id: int, clock_skew_us: int) -> Values:
    """For the topic of trades. ``schema_id``: the registry's id of our own schema of trades; a trade may be
    dated ``clock_skew_us`` ahead of its receipt."""
    options = {
        "schema-id": schema_id,
        "fields": ";".join(_fields()),
        "symbol-pattern": SYMBOL.pattern,
        "longest-name": MAX_NAME_LENGTH,
        "largest-amount": MAX_AMOUNT,
        "clock-skew-us": clock_skew_us,
    }
    return Values(
        {"payload": "BYTES", **{name: type_.type_name() for name, type_ in COLUMNS.items()}},
        {"value.format": FORMAT, **{f"value.{FORMAT}.{name}": str(value) for name, value in options.items()}},
    )


def _fields() -> list[str]:
    """The fields of a trade in the order of our schema, ``name:type``."""
    return [f"{field['name']}:{_type(field['type'])}" for field in parsed_schema(Trade)["fields"]]


def _type(avro: str | dict[str, str]) -> str:
    if isinstance(avro, dict):
        return "strings" if avro == {"type": "array", "items": "string"} else avro["type"]
    return avro
