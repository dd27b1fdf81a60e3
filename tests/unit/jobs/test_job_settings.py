"""What the jobs' settings refuse, and what they become."""

import pytest
from pydantic import ValidationError

from jobs.domain.bars import Rules
from jobs.settings import JobSettings


def refusal(**changes: object) -> str:
    with pytest.raises(ValidationError) as refused:
        JobSettings(**changes)  # type: ignore[arg-type]
    return str(refused.value)


def test_the_defaults_hold_together() -> None:
    """And are the rules of a bar."""
    assert JobSettings().rules == Rules()


def test_settings_become_rules_in_microseconds() -> None:
    """Each its own."""
    settings = JobSettings(
        grace_ms=700, horizon_seconds=60, dedup_memory_seconds=90, live_every_ms=250, generation=4,
        live_budget_per_second=0, max_revised_bars=7,
    )  # fmt: skip
    assert settings.rules == Rules(700_000, 60_000_000, 90_000_000, 250_000, False, 4, 7)


def test_the_horizon_must_not_exceed_the_dedup_memory() -> None:
    """A trade that dedup has forgotten would be counted twice."""
    JobSettings(horizon_seconds=600, dedup_memory_seconds=600)
    message = refusal(horizon_seconds=601, dedup_memory_seconds=600)
    assert "HORIZON_SECONDS (601) must not exceed DEDUP_MEMORY_SECONDS (600)" in message
    assert "counted twice" in message


def test_watermark_delay_grace_and_horizon_stand_in_order() -> None:
    """A bar that is final before its last slice has come would always be corrected."""
    JobSettings(watermark_delay_ms=499, grace_ms=500)
    JobSettings(watermark_delay_ms=0, grace_ms=0)
    assert "WATERMARK_DELAY_MS < GRACE_MS" in refusal(watermark_delay_ms=500, grace_ms=500)
    assert "GRACE_MS <= HORIZON_SECONDS" in refusal(grace_ms=1001, horizon_seconds=1)


@pytest.mark.parametrize("slice_ms", [10, 100, 200, 1000, 60_000])
def test_a_slice_that_divides_a_minute_is_taken(slice_ms: int) -> None:
    """No bar boundary cuts it."""
    assert JobSettings(slice_ms=slice_ms).slice_ms == slice_ms


@pytest.mark.parametrize("slice_ms", [70, 7000, 45_000, 120_000])
def test_a_slice_that_does_not_is_refused(slice_ms: int) -> None:
    """It would span two bars."""
    assert f"SLICE_MS ({slice_ms}) must divide a minute" in refusal(slice_ms=slice_ms)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slice_ms", 0),
        ("grace_ms", -1),
        ("horizon_seconds", 0),
        ("generation", -1),
        ("generation", 2**29 + 1),
        ("parallelism", 0),
        ("state_backend", "memory"),
        ("cassandra_retry_seconds", 0),
    ],
)
def test_out_of_range_is_refused_with_the_name(name: str, value: object) -> None:
    """Zero, negative, unknown."""
    assert name in refusal(**{name: value})


def test_each_setting_comes_from_the_variable_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """In capitals; an empty one counts as not set."""
    monkeypatch.setenv("SLICE_MS", "1000")
    monkeypatch.setenv("CHECKPOINT_DIR", "s3://bucket/checkpoints")
    monkeypatch.setenv("GRACE_MS", "")
    settings = JobSettings()
    assert (settings.slice_ms, settings.checkpoint_dir, settings.grace_ms) == (
        1000,
        "s3://bucket/checkpoints",
        500,
    )
