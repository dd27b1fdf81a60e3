"""Which candles have a place in the tables: whatever lies in the topic, no row may stop the store job."""

from dataclasses import replace

import pytest

from jobs.sinks.event_rows import CandleRows
from schemas.errors import PoisonError
from schemas.events import Candle
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.validation import check_candle

CANDLE = Candle("AAPL", "1m", 0, MINUTE_US, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, True, 3, ("sim",))
LAST_MINUTE = 253_402_300_800_000_000 - MINUTE_US


@pytest.mark.parametrize(
    "candle",
    [
        CANDLE,
        *(replace(CANDLE, interval=interval) for interval in INTERVALS),
        replace(CANDLE, start=LAST_MINUTE, end=LAST_MINUTE + 1),
        replace(CANDLE, end=1, updated_at=-(2**63), late_trades=2**63 - 1, quality=float("nan")),
        replace(CANDLE, version=0),
        replace(CANDLE, version=2**63 - 1),
        replace(CANDLE, start=MINUTE_US, end=2 * MINUTE_US, version=2**63 - 1 - MINUTE_US),
    ],
)
def test_a_candle_that_is_taken_has_its_rows(candle: Candle) -> None:
    """Up to and including each bound."""
    check_candle(candle)
    assert len(list(CandleRows().rows([candle]))) == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"symbol": "aapl"}, "invalid_symbol"),
        ({"symbol": "A" * 70_000}, "invalid_symbol"),
        ({"interval": "2m"}, "invalid_identity"),
        ({"start": 1}, "invalid_identity"),
        ({"end": 0}, "invalid_identity"),
        ({"end": -MINUTE_US}, "invalid_identity"),
        ({"start": -MINUTE_US}, "invalid_identity"),
        ({"start": LAST_MINUTE + MINUTE_US, "end": LAST_MINUTE + 2 * MINUTE_US}, "invalid_identity"),
        ({"version": -1}, "invalid_identity"),
        ({"start": MINUTE_US, "end": 2 * MINUTE_US, "version": 2**63 - MINUTE_US}, "invalid_identity"),
    ],
)
def test_any_other_is_refused(changes: dict[str, object], reason: str) -> None:
    """With a reason, and a message that is short enough for a letter."""
    with pytest.raises(PoisonError) as refused:
        check_candle(replace(CANDLE, **changes))  # type: ignore[arg-type]
    assert refused.value.reason == reason
    assert len(refused.value.detail) < 200
