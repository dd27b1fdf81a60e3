"""The gaps of a symbol that a backfill may fill, as the ledger has them."""

from producer.told_gaps import told_gaps
from schemas.events import Gap
from schemas.settings import KafkaSettings


def unfilled_gaps(settings: KafkaSettings, symbol: str, start: int, end: int) -> list[Gap]:
    """The gaps of a symbol that touch ``[start, end)`` (us), are closed and not filled, by their start, each
    as it was told last. Raises UnavailableError."""
    found = [
        gap
        for gap in told_gaps(settings, start, symbol)
        if gap.closed and not gap.filled and gap.start < gap.end and gap.start < end and gap.end > start
    ]
    return sorted(found, key=lambda gap: (gap.start, gap.gap_id))
