"""The bars that providers keep: Yahoo's charts and Alpha Vantage's months. They are published as the
provider's own, beside ours, and enter none of ours.

Neither is proven against recorded answers: there are none.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from producer.backfill.history import Asked, Page
from producer.providers.alpha_vantage import INTERVAL_NAMES, NEW_YORK, AlphaVantage
from producer.providers.http import Request
from producer.providers.request_gate import RequestLimits
from producer.providers.yahoo import Yahoo

S = 1_000_000
CHUNK_S = {"1m": 7 * 86_400}
"""Yahoo gives so much at once, of an interval; of others 50 days."""

OTHER_CHUNK_S = 50 * 86_400


@dataclass(frozen=True, slots=True)
class YahooBars:
    """See ``producer.backfill.history.History``. A position is the second at which the next page begins."""

    adapter: Yahoo

    @property
    def limits(self) -> RequestLimits:
        return self.adapter.limits

    def request(self, asked: Asked, position: str) -> Request:
        return self.adapter.chart(asked.symbol, *self._span(asked, position))

    def page(self, asked: Asked, position: str, document: Any) -> Page:
        _, end = self._span(asked, position)
        return Page([orjson.dumps(document)], str(end) if end * S < asked.end else None)

    def _span(self, asked: Asked, position: str) -> tuple[int, int]:
        start = int(position) if position else asked.start // S
        return start, min(start + CHUNK_S.get(self.adapter.bars, OTHER_CHUNK_S), -(-asked.end // S))


@dataclass(frozen=True, slots=True)
class AlphaVantageBars:
    """See ``producer.backfill.history.History``. A position is the month of the next page, ``2026-01``, in
    New York."""

    adapter: AlphaVantage

    @property
    def limits(self) -> RequestLimits:
        return self.adapter.limits

    def request(self, asked: Asked, position: str) -> Request:
        return self.adapter.request(
            "TIME_SERIES_INTRADAY",
            asked.symbol,
            interval=INTERVAL_NAMES[self.adapter.bars],
            month=position or _month(asked.start),
            outputsize="full",
        )

    def page(self, asked: Asked, position: str, document: Any) -> Page:
        month = position or _month(asked.start)
        year, number = (int(part) for part in month.split("-"))
        following = f"{year + number // 12:04d}-{number % 12 + 1:02d}"
        return Page([orjson.dumps(document)], following if following <= _month(asked.end - 1) else None)


def _month(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / S, UTC).astimezone(NEW_YORK).strftime("%Y-%m")
