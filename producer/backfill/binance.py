"""Binance's history: ``/api/v3/aggTrades`` by time, ``/api/v3/historicalTrades`` by id.

* ``[{"a":id,"p","q","f":first,"l":last,"T":ms}]``: trades of one order at one price as one; ``f`` is the id
  of the first of them. ``startTime`` and ``endTime`` may be an hour apart.
* ``[{"id","price","qty","time":ms}]``: single trades from ``fromId`` on. They have no times to ask by: the
  first one is found by the former.

Not proven against recorded answers: there are none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from producer.backfill.history import Asked, Page, rows
from producer.providers.binance import Binance
from producer.providers.http import Request
from producer.providers.reading import whole
from producer.providers.request_gate import RequestLimits

MOST = 1000
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class BinanceHistory:
    """See ``producer.backfill.history.History``. A position is ``at:MS``, before the first trade is found, or
    ``id:ID``, the id from which the next page begins."""

    url: str
    adapter: Binance
    limits: RequestLimits

    def request(self, asked: Asked, position: str) -> Request:
        query = {"symbol": self.adapter.names.theirs(asked.symbol), "limit": str(MOST)}
        kind, _, value = position.partition(":")
        if kind == "id":
            path = "historicalTrades" if self.adapter.trades == "trade" else "aggTrades"
            return Request(f"{self.url}/api/v3/{path}", {**query, "fromId": value})
        start, end = _window(asked, position)
        times = {"startTime": str(start), "endTime": str(end - 1), "limit": "1"}
        return Request(f"{self.url}/api/v3/aggTrades", {**query, **times})

    def page(self, asked: Asked, position: str, document: Any) -> Page:
        found = rows(document)
        if not position.startswith("id:"):
            if found:
                first = whole(found[0], "f" if self.adapter.trades == "trade" else "a", "invalid_identity")
                return Page([], f"id:{first}")
            _, end = _window(asked, position)
            return Page([], f"at:{end}" if end * 1000 < asked.end else None)
        single = self.adapter.trades == "trade"
        items = [self._item(asked.symbol, row, single=single) for row in found]
        if len(items) < MOST or items[-1]["T"] * 1000 >= asked.end:
            return Page(_frames(items), None)
        return Page(_frames(items), f"id:{items[-1]['t' if single else 'a'] + 1}")

    def _item(self, symbol: str, row: Mapping[str, Any], *, single: bool) -> Mapping[str, Any]:
        """A row as the stream has it."""
        name = self.adapter.names.theirs(symbol)
        if not single:
            at_ms, number = whole(row, "T", "implausible_time"), whole(row, "a", "invalid_identity")
            return {"e": "aggTrade", "s": name, "a": number, "p": row.get("p"), "q": row.get("q"), "T": at_ms}
        at_ms, number = whole(row, "time", "implausible_time"), whole(row, "id", "invalid_identity")
        return {"e": "trade", "s": name, "t": number, "p": row.get("price"), "q": row.get("qty"), "T": at_ms}


def _window(asked: Asked, position: str) -> tuple[int, int]:
    """The time (ms) in which the first trade is looked for."""
    start = int(position.partition(":")[2]) if position else asked.start // 1000
    return start, min(start + HOUR_MS, -(-asked.end // 1000))


def _frames(items: Sequence[Mapping[str, Any]]) -> Sequence[bytes]:
    return [orjson.dumps({"stream": "", "data": item}) for item in items]
