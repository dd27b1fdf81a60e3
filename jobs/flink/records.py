"""Records for Kafka as the keyed functions give them out: where each goes, and its bytes."""

from collections.abc import Mapping

from pyflink.common import Row, Types

from jobs.letters import carried
from schemas.avro_codec import Encoder
from schemas.events import Alert, Candle, DeadLetter, ProviderBar
from schemas.topics import Topics

RECORD = Types.ROW_NAMED(
    ["topic", "key", "payload"],
    [Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE()), Types.PRIMITIVE_ARRAY(Types.BYTE())],
)


class Records:
    """Encodes what a job gives out. ``schema_ids``: by the keys of ``Topics.record_types``."""

    def __init__(self, topics: Topics, schema_ids: Mapping[str, int]) -> None:
        self._topics = topics
        self._candle = Encoder(Candle, schema_ids[topics.candles])
        self._alert = Encoder(Alert, schema_ids[topics.alerts])
        self._provider_bar = Encoder(ProviderBar, schema_ids[topics.provider_candles])
        self._letter = Encoder(DeadLetter, schema_ids[topics.dead_letter])

    def candle(self, candle: Candle) -> Row:
        return Row(self._topics.candles, candle.symbol.encode(), self._candle.encode(candle))

    def alert(self, alert: Alert) -> Row:
        return Row(self._topics.alerts, alert.symbol.encode(), self._alert.encode(alert))

    def provider_bar(self, bar: ProviderBar) -> Row:
        return Row(self._topics.provider_candles, bar.symbol.encode(), self._provider_bar.encode(bar))

    def letter(  # noqa: PLR0913, PLR0917 -- what a letter says
        self, reason: str, detail: str, partition: int, offset: int, payload: bytes | None, topic: str = ""
    ) -> Row:
        """The dead letter of a record, of the trades topic if no other is named, keyed by where it lies."""
        topic = topic or self._topics.trades
        letter = DeadLetter(reason, detail, "bars", topic, partition, offset, carried(payload))
        key = f"{topic}/{partition}/{offset}".encode()
        return Row(self._topics.dead_letter, key, self._letter.encode(letter))
