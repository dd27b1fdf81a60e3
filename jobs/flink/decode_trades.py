"""The vectorised function that turns raw records into the columns that bars are made of."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from pyflink.table import DataTypes, FunctionContext, ScalarFunction
from pyflink.table.udf import udf

from jobs.domain import amounts, order_key
from jobs.domain.trade_batch import TradeReader
from jobs.flink.worker_logs import configure_worker_logging
from schemas.avro_codec import Decoder, SchemaJson
from schemas.events import Trade
from schemas.registry import RegistryLookup

RESULT = {
    "symbol": DataTypes.STRING(),  # null for a heartbeat and for poison, which the store job reports
    "source": DataTypes.STRING(),
    "trade_id": DataTypes.STRING(),
    "event_time": DataTypes.BIGINT(),
    "on_time": DataTypes.BOOLEAN(),  # the record's timestamp is the event time
    "order_key": DataTypes.STRING(),  # null where the trade sets no price
    "price": DataTypes.DOUBLE(),  # likewise
    "volume_units": DataTypes.BIGINT(),
    "volume_billionths": DataTypes.BIGINT(),
    "notional_units": DataTypes.BIGINT(),
    "notional_billionths": DataTypes.BIGINT(),
    "counts": DataTypes.BIGINT(),  # 1 where it sets a price or adds volume
}


class DecodeTrades(ScalarFunction):
    """``decode_trades(payload, record_time) -> ROW(RESULT)``, by the batch."""

    def __init__(self, registry_url: str, known: Mapping[int, SchemaJson]) -> None:
        self._registry_url = registry_url
        self._known = known

    def open(self, function_context: FunctionContext) -> None:  # noqa: ARG002 -- Flink's signature
        configure_worker_logging()
        decoder = Decoder(Trade, RegistryLookup(self._registry_url), self._known)
        self._reader = TradeReader(decoder)

    def eval(self, payloads: "pd.Series[Any]", record_times: "pd.Series[Any]") -> pd.DataFrame:
        batch = self._reader.read(payloads, milliseconds(record_times))
        sets_price = np.array(batch.columns["updates_open_close"], dtype=bool)
        adds_volume = np.array(batch.columns["updates_volume"], dtype=bool)
        volume = amounts.split(np.where(adds_volume, batch.size, 0.0))
        notional = amounts.split(np.where(adds_volume, batch.price * batch.size, 0.0))
        keys = np.array(order_key.pack(batch.event_time, batch.sequence, batch.price), dtype=object)
        keys[~sets_price] = None
        columns = {
            "symbol": batch.columns["symbol"],
            "source": batch.columns["source"],
            "trade_id": batch.columns["trade_id"],
            "event_time": batch.event_time,
            "on_time": batch.on_time,
            "order_key": keys,
            "price": np.where(sets_price, batch.price, np.nan),
            "volume_units": volume[0],
            "volume_billionths": volume[1],
            "notional_units": notional[0],
            "notional_billionths": notional[1],
            "counts": (sets_price | adds_volume).astype(np.int64),
        }
        return pd.DataFrame({n: spread(v, batch.positions, len(payloads)) for n, v in columns.items()})


def spread(values: Any, positions: list[int], length: int) -> np.ndarray[Any, Any]:
    """A column as long as the batch, with the values at their positions and null (text) or 0 elsewhere.

    Plain numpy types only: Arrow's conversion in PyFlink refuses pandas' nullable ones.
    """
    array = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
    if len(positions) == length:
        return array
    column = np.full(length, None if array.dtype == object else 0, dtype=array.dtype)
    column[positions] = array
    return column


def milliseconds(record_times: "pd.Series[Any]") -> np.ndarray[Any, np.dtype[np.int64]]:
    """Record timestamps as milliseconds since 1970 UTC."""
    return record_times.to_numpy(dtype="datetime64[ms]").astype(np.int64)


def decode_trades(registry_url: str, known: Mapping[int, SchemaJson]) -> Any:
    """The function as Flink registers it."""
    return udf(
        DecodeTrades(registry_url, known),
        result_type=DataTypes.ROW([DataTypes.FIELD(name, kind) for name, kind in RESULT.items()]),
        func_type="pandas",
    )
