"""Which alerts have a place in the tables: whatever lies in the topic, no row may stop the store job."""

from dataclasses import replace

import pytest

from jobs.sinks.event_rows import AlertRows
from schemas.errors import PoisonError
from schemas.events import Alert
from schemas.validation import LATEST_US, MAX_NAME_LENGTH, check_alert

ALERT = Alert("rsi:AAPL:1m", 0, "AAPL", "rsi_overbought", "low", "raised", 0, 0, 71.0, 70.0, "RSI is 71")


@pytest.mark.parametrize(
    "alert",
    [
        ALERT,
        replace(ALERT, symbol="*"),
        replace(ALERT, alert_id="𝄞" * MAX_NAME_LENGTH, symbol="𝄞" * MAX_NAME_LENGTH),
        replace(ALERT, revision=2**31 - 1, event_time=LATEST_US - 1),
        replace(ALERT, bar_start=-(2**63), bar_version=2**63 - 1, updated_at=-(2**63)),
        replace(ALERT, bar_start=2**63 - 1, bar_version=-(2**63), value=float("nan"), threshold=float("inf")),
        replace(ALERT, type="", message=""),
    ],
)
def test_an_alert_that_is_taken_has_its_rows(alert: Alert) -> None:
    """Up to and including each bound, and whatever its schema can hold beside its key."""
    check_alert(alert)
    assert len(list(AlertRows().rows([alert]))) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"symbol": ""},
        {"symbol": "A" * (MAX_NAME_LENGTH + 1)},
        {"alert_id": ""},
        {"alert_id": "a" * (MAX_NAME_LENGTH + 1)},
        {"event_time": -1},
        {"event_time": LATEST_US},
        {"revision": -1},
    ],
)
def test_any_other_is_refused(changes: dict[str, object]) -> None:
    """With a reason, and a message that is short enough for a letter."""
    with pytest.raises(PoisonError) as refused:
        check_alert(replace(ALERT, **changes))  # type: ignore[arg-type]
    assert refused.value.reason == "invalid_identity"
    assert len(refused.value.detail) < 200
