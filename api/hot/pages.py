"""Pages of bars from memory, in the very words that ``routes.history`` has for those from Cassandra."""

from collections.abc import Collection, Sequence
from typing import Any

import orjson
from fastapi import Request, Response

from api.answers import conditional_body
from api.bars import BarQuery
from api.cursors import candle_cursor
from api.hot.bars import Held, page_json
from api.hot.candles import PRICES, CandleCache
from api.store import Span
from api.times import Now


class HotPages:
    """None where only Cassandra can tell."""

    def __init__(self, candles: CandleCache, settled_seconds: int, now: Now) -> None:
        self._candles = candles
        self._settled = settled_seconds * 1_000_000
        self._now = now

    async def candles(self, request: Request, query: BarQuery) -> Response | None:
        """A ``models.Candles``."""
        found = await self._page(query)
        if found is None:
            return None
        shown = found[: query.limit]
        return self._answer(
            request, query, found, b'"candles":' + page_json(shown, indicators=query.indicators)
        )

    async def indicators(self, request: Request, query: BarQuery, names: Collection[str]) -> Response | None:
        """A ``models.Indicators``; without names with all of them."""
        found = await self._page(query)
        if found is None:
            return None
        rows = [_indicators(bar, names) for bar in found[: query.limit]]
        return self._answer(request, query, found, b'"indicators":' + orjson.dumps(rows))

    async def _page(self, query: BarQuery) -> list[Held] | None:
        """One more than the page holds, where more follow."""
        if query.as_of is not None or query.fill or query.provider is not None:
            return None
        span = Span(query.start, query.end)
        return await self._candles.page(query.symbol, query.interval, span, query.limit + 1)

    def _answer(self, request: Request, query: BarQuery, found: Sequence[Held], rows: bytes) -> Response:
        more = candle_cursor(found[query.limit - 1].start) if len(found) > query.limit else None
        head = orjson.dumps({"symbol": query.symbol, "interval": query.interval})[:-1]
        body = b"%b,%b,%b" % (head, rows, orjson.dumps({"next_cursor": more})[1:])
        return conditional_body(request, body, settled=self._is_settled(query, found[: query.limit]))

    def _is_settled(self, query: BarQuery, shown: Sequence[Held]) -> bool:
        """As ``BarReader.is_settled`` has it."""
        last = max([query.end, *(bar.end for bar in shown[:1])]) + self._settled
        if not query.fixed or last > self._now() or not all(bar.final for bar in shown):
            return False
        newest = self._candles.held(query.symbol, "1m", Span(last, self._now() + self._settled), 1, PRICES)
        return bool(newest)


def _indicators(bar: Held, names: Collection[str]) -> dict[str, Any]:
    fields = bar.fields()
    values = fields.get("indicators", {})
    return {
        "start": fields["start"],
        "end": fields["end"],
        "final": bar.final,
        "version": bar.version,
        "values": {name: values[name] for name in values if not names or name in names},
    }
