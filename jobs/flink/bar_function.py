"""The keyed function that keeps the bars of a symbol: load state, ask the domain, save state."""

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from jobs.domain import bar_state
from jobs.domain.amounts import join
from jobs.domain.bars import Rules, Slice, TooLateError
from jobs.letters import carried
from schemas.avro_codec import Encoder
from schemas.events import Candle, DeadLetter, Event
from schemas.topics import Topics

SLICE_COLUMNS = ("symbol", "source", "event_time", "first_key", "last_key", "high", "low",
                 "volume_units", "volume_billionths", "notional_units", "notional_billionths",
                 "trades", "events", "from_partition", "from_offset", "payload")  # fmt: skip
"""Of a slice as it comes from SQL. ``payload`` is null but for a late trade, which is a slice by itself."""

RECORD = Types.ROW_NAMED(
    ["topic", "key", "payload"],
    [Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE()), Types.PRIMITIVE_ARRAY(Types.BYTE())],
)
"""A record for Kafka: where it goes, and its bytes."""


class BarFunction(KeyedProcessFunction):
    """Slices of a symbol in, encoded candles and dead letters out. Timers are in event time."""

    def __init__(self, rules: Rules, topics: Topics, schema_ids: dict[str, int]) -> None:
        self._rules = rules
        self._topics = topics
        self._schema_ids = schema_ids

    def open(self, runtime_context: RuntimeContext) -> None:
        self._state = runtime_context.get_state(
            ValueStateDescriptor("bars", Types.PRIMITIVE_ARRAY(Types.BYTE()))
        )
        self._encode_candle = self._encoder(Candle, self._topics.candles)
        self._encode_letter = self._encoder(DeadLetter, self._topics.dead_letter)

    def process_element(self, row: Any, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        symbol = row[0]
        part = Slice(
            source=row[1], event_time=row[2], first=row[3], last=row[4], high=row[5], low=row[6],
            volume=join(row[7], row[8]), notional=join(row[9], row[10]), trades=row[11], events=row[12],
        )  # fmt: skip
        timers = ctx.timer_service()
        book = bar_state.load(self._state.value())
        try:
            change = book.apply(symbol, part, timers.current_watermark() * 1000, self._rules)
        except TooLateError as error:
            yield self._too_late(row, str(error))
            return
        self._state.update(bar_state.dump(book))
        for due in change.timers:
            timers.register_event_time_timer(-(-due // 1000))
        yield from self._records(change.candles)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        book = bar_state.load(self._state.value())
        candles = book.advance(ctx.get_current_key(), timestamp * 1000, self._rules)
        self._state.update(bar_state.dump(book))
        yield from self._records(candles)

    def _encoder(self, event_type: type[Event], topic: str) -> Encoder:
        return Encoder(event_type, self._schema_ids[topic])

    def _records(self, candles: list[Candle]) -> Iterator[Row]:
        for candle in candles:
            yield Row(self._topics.candles, candle.symbol.encode(), self._encode_candle.encode(candle))

    def _too_late(self, row: Any, detail: str) -> Row:
        topic, partition, offset, payload = self._topics.trades, row[13], row[14], carried(row[15])
        letter = DeadLetter("too_late", f"{row[0]}: {detail}", "bars", topic, partition, offset, payload)
        return Row(
            self._topics.dead_letter,
            f"{topic}/{partition}/{offset}".encode(),
            self._encode_letter.encode(letter),
        )
