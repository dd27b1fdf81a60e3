"""The summary of the system, of parts that the test holds."""

import asyncio
from typing import Any, cast

from structlog.testing import capture_logs

from api.live.continuity import Continuity, Place
from api.metrics import ApiMetrics
from api.stats.reports import Reports
from schemas.topics import Topics

TRADES, CANDLES, LETTERS = ("market.trades", 0), ("market.candles", 0), ("market.dead-letter", 0)
NOW = 1_000_000_000_000_000
ENDS = {TRADES: 100, CANDLES: 50, LETTERS: 3}


class Offsets:
    """One partition of three topics; the store has not committed yet."""

    topics = Topics("market")

    async def places(self) -> list[Place]:
        return list(ENDS)

    async def ends(self, places: list[Place]) -> dict[Place, int]:
        return {place: ENDS[place] for place in places}

    async def starts(self, places: list[Place]) -> dict[Place, int]:
        return dict.fromkeys(places, 0)

    async def at(self, places: list[Place], time_ms: int) -> dict[Place, int]:
        assert time_ms == NOW // 1000 - 3_600_000
        return {place: ENDS[place] - 2 for place in places}

    async def committed(self) -> dict[str, dict[Place, int]]:
        return {"market.bars": {TRADES: 58}, "market.store": {}}


def test_the_summary_has_lag_and_clients() -> None:
    """By reader; what cannot be asked is null with its reason, and nothing else suffers for it."""
    continuity = Continuity(lambda: NOW)
    continuity.positions = {TRADES: 100, CANDLES: 49}
    absent: Any = None
    reports = Reports(absent, absent, absent, cast(Any, Offsets()), continuity, ApiMetrics(), absent)
    with capture_logs():
        summary = asyncio.run(reports.summary(1, clients=3))
    assert summary.clients == 3
    assert summary.lag == {"market.bars": 42, "market.store": None, "api": 1}
    assert (summary.bars, summary.dead_letters) == (2, 2)
    assert set(summary.problems) == {"trades", "alerts"}
