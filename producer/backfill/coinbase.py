"""Coinbase Exchange's history, ``/products/BTC-USD/trades``: all trades, by their ids only.

* ``[{"time","trade_id","price","size","side"}]``, the newest first, up to 1000; ``after=ID`` gives those with
  lower ids. Ids count the trades of a product without holes, so the first of a time is found by halving.
* The sequence of the stream is not there: the id, which grows with it, stands for it.

Not proven against recorded answers: there are none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from producer.backfill.history import Asked, Page, rows
from producer.providers.coinbase import Coinbase, time_of
from producer.providers.http import Request
from producer.providers.reading import whole
from producer.providers.request_gate import RequestLimits

MOST = 1000


@dataclass(frozen=True, slots=True)
class CoinbaseHistory:
    """See ``producer.backfill.history.History``. A position is ``between:LOW:HIGH``, ids of which the first
    is too old and the second is not, or ``id:ID``, the id from which the next page begins."""

    url: str
    adapter: Coinbase
    limits: RequestLimits

    def request(self, asked: Asked, position: str) -> Request:
        name = quote(self.adapter.names.theirs(asked.symbol), safe="")
        kind, *ids = position.split(":")
        if kind == "id":
            query = {"after": str(int(ids[0]) + MOST), "limit": str(MOST)}
        elif kind == "between":
            query = {"after": str(_middle(position) + 1), "limit": "1"}
        else:
            query = {"limit": "1"}
        return Request(f"{self.url}/products/{name}/trades", query)

    def page(self, asked: Asked, position: str, document: Any) -> Page:
        found = sorted(rows(document), key=_number)
        if position.startswith("id:"):
            first = int(position.partition(":")[2])
            inside = [row for row in found if _number(row) >= first]
            over = not inside or _number(inside[-1]) < first + MOST - 1
            over = over or time_of(inside[-1]) >= asked.end
            frames = [self._frame(asked.symbol, row) for row in inside]
            return Page(frames, None if over else f"id:{first + MOST}")
        young = bool(found) and time_of(found[-1]) >= asked.start
        if not position:
            return Page([], _between(0, _number(found[-1])) if young else None)
        low, high = (int(number) for number in position.split(":")[1:])
        middle = _middle(position)
        return Page([], _between(low, middle) if young else _between(middle, high))

    def _frame(self, symbol: str, row: Mapping[str, Any]) -> bytes:
        """A row as the stream has it."""
        product = self.adapter.names.theirs(symbol)
        return orjson.dumps({**row, "type": "match", "product_id": product, "sequence": row.get("trade_id")})


def _between(low: int, high: int) -> str:
    """Where to go on: a page is little more than a single trade."""
    return f"between:{low}:{high}" if high - low > MOST else f"id:{low + 1}"


def _middle(position: str) -> int:
    low, high = (int(number) for number in position.split(":")[1:])
    return (low + high) // 2


def _number(row: Mapping[str, Any]) -> int:
    return whole(row, "trade_id", "invalid_identity")
