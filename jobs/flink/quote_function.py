"""The keyed function that judges the quotes of a symbol."""

from collections.abc import Iterator, Mapping
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from jobs.domain import quote_key
from jobs.domain.anomalies import QuoteAnomalies
from jobs.flink.bar_function import ANOMALIES, now_us
from jobs.flink.markets import Markets
from jobs.flink.records import Records
from jobs.flink.state_mapping import StateMapping
from jobs.flink.symbol_groups import SymbolEntries
from jobs.settings import JobSettings
from schemas.topics import Topics

QUOTE_SLICE_COLUMNS = ("symbol", "latest", "quotes", "crossed")
"""Of a slice as it comes from SQL; ``latest`` is a quote_key."""


class QuoteFunction(KeyedProcessFunction):
    """Slices of quotes of a group of symbols in, encoded alerts out."""

    def __init__(self, settings: JobSettings, schema_ids: Mapping[str, int]) -> None:
        self._settings = settings
        self._schema_ids = schema_ids

    def open(self, runtime_context: RuntimeContext) -> None:
        self._state = StateMapping(runtime_context, "symbols")
        self._markets = Markets(self._settings)
        self._records = Records(Topics(self._settings.topic_prefix), self._schema_ids)

    def process_element(
        self,
        row: Any,
        ctx: KeyedProcessFunction.Context,  # noqa: ARG002 -- Flink's signature
    ) -> Iterator[Row]:
        symbol, latest, quotes, crossed = row
        state = SymbolEntries(self._state, symbol)
        anomalies = QuoteAnomalies.load(state.get(ANOMALIES), self._markets.thresholds(symbol))
        alerts = anomalies.on_quotes(quote_key.unpack(symbol, latest), quotes, crossed, now_us())
        state[ANOMALIES] = anomalies.dump()
        yield from map(self._records.alert, alerts)
