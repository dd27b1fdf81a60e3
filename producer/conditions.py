"""What each trade updates, by its condition codes: decided once, before Kafka."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import structlog

from producer.metrics import ProducerMetrics
from producer.sources import Batch, Columns
from schemas.conditions import ConditionRules
from schemas.events import Correction, Trade
from schemas.symbol_classes import SymbolClasses

log = structlog.get_logger()

OTHER = "other"
"""The label of all providers that have no rules: recordings can bring any name."""

MAX_SAID = 1_000
"""Unknown codes that are logged, each once; what is beyond is in the metric only."""

EventT = TypeVar("EventT", Trade, Correction)


class Stamp:
    """Sets ``updates_open_close``, ``updates_high_low`` and ``updates_volume`` of trades and corrections that
    have condition codes, by the rules for their ``source``. Those without codes stay as they are, and so do
    batches whose source has decided itself, and columns, which have no codes."""

    def __init__(self, rules: ConditionRules, classes: SymbolClasses, metrics: ProducerMetrics) -> None:
        self._rules = rules
        self._classes = classes
        self._unknown = metrics.unknown_conditions
        self._providers = frozenset(rules.providers)
        self._said: set[tuple[str, str]] = set()

    def apply(self, batch: Batch) -> Batch:
        """The same batch with its flags set."""
        if batch.decided:
            return batch
        trades = batch.trades if isinstance(batch.trades, Columns) else self._stamped(batch.trades)
        return replace(batch, trades=trades, corrections=self._stamped(batch.corrections))

    def _stamped(self, events: Sequence[EventT]) -> Sequence[EventT]:
        if not any(event.conditions for event in events):
            return events
        return [self._decide(event) if event.conditions else event for event in events]

    def _decide(self, event: EventT) -> EventT:
        if isinstance(event, Trade):
            traded_us, size = event.event_time, event.size
        else:
            # The size of a cancel does not matter: nothing is left of its trade.
            traded_us = event.event_time if event.trade_time is None else event.trade_time
            size = event.size or 0.0
        updates = self._rules.updates(
            event.source,
            event.conditions,
            regular_hours=self._classes.calendar(event.symbol).is_regular(traded_us),
            size=size,
        )
        if unknown := self._rules.unknown(event.source, event.conditions):
            self._tell(event.source, unknown)
        return replace(
            event,
            updates_open_close=updates.open_close,
            updates_high_low=updates.high_low,
            updates_volume=updates.volume,
        )

    def _tell(self, provider: str, codes: Sequence[str]) -> None:
        self._unknown.labels(provider if provider in self._providers else OTHER).inc(len(codes))
        for code in codes:
            if (provider, code) not in self._said and len(self._said) < MAX_SAID:
                self._said.add((provider, code))
                log.warning(
                    "unknown_condition",
                    provider=provider,
                    code=code,
                    detail="it restricts nothing; schemas/trade_conditions.json says what each code means",
                )
