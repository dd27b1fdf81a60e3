"""The gate before Kafka: what passes is published, the rest becomes a dead letter with its reason."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

from producer.clock import Clock
from producer.sources import Batch, Columns, Kind, Rejected
from schemas.errors import PoisonError
from schemas.events import Correction, ProviderBar, Quote, Trade
from schemas.validation import check_correction, check_provider_bar, check_quote, check_trade

EARLIEST_US = 631_152_000_000_000
"""1990-01-01: no recording of ours is older; a time in other units than it claims lands before it."""

AHEAD_US = 5_000_000
"""How far an event may be ahead of our clock: two clocks are never the same."""

INT64_MAX = 2**63 - 1
TRADE_FIELDS = tuple(field.name for field in fields(Trade))
CORRECTION_FIELDS = tuple(field.name for field in fields(Correction))
QUOTE_FIELDS = tuple(field.name for field in fields(Quote))

EventT = TypeVar("EventT", Trade, Correction, Quote)


class Validator:
    """Checks every event of a batch: values, known symbol, plausible time.

    ``symbols``: those that were asked for; None takes all. ``max_age_us``: how old a live event may be; None
    for recordings, which may be of any time since 1990.
    """

    def __init__(self, clock: Clock, symbols: Sequence[str] | None, max_age_us: int | None) -> None:
        self._clock = clock
        self._symbols = None if symbols is None else frozenset(symbols)
        self._max_age_us = max_age_us

    def check(self, batch: Batch) -> Batch:
        """The same batch without what must not be published, which is added to ``rejected``."""
        now_us = self._clock.now_us()
        earliest = EARLIEST_US if self._max_age_us is None else now_us - self._max_age_us
        rejected: list[Rejected] = []

        def passed(
            events: Sequence[EventT],
            kind: Kind,
            names: tuple[str, ...],
            check: Callable[[Mapping[str, Any]], None],
        ) -> Sequence[EventT]:
            if isinstance(events, Columns) and events.valid():
                return events  # made here, just now, of the symbols that were asked for
            good = []
            for event in events:
                values = {name: getattr(event, name) for name in names}
                try:
                    check(values)
                    self._check_symbol(event.symbol)
                    _check_numbers(event)
                    _check_time(event.event_time, earliest, now_us + AHEAD_US)
                except PoisonError as error:
                    rejected.append(refuse(event, kind, error))
                else:
                    good.append(event)
            return good

        trades = passed(batch.trades, "trade", TRADE_FIELDS, check_trade)
        corrections = passed(batch.corrections, "correction", CORRECTION_FIELDS, check_correction)
        quotes = passed(batch.quotes, "quote", QUOTE_FIELDS, check_quote)
        bars = []
        for bar in batch.bars:
            try:
                check_provider_bar(bar)
                self._check_symbol(bar.symbol)
                _check_time(bar.start, EARLIEST_US, now_us + AHEAD_US)
            except PoisonError as error:
                rejected.append(refuse(bar, "provider_bar", error))
            else:
                bars.append(bar)
        return replace(
            batch,
            trades=trades,
            corrections=corrections,
            quotes=quotes,
            bars=bars,
            rejected=(*batch.rejected, *rejected),
        )

    def _check_symbol(self, symbol: str) -> None:
        if self._symbols is not None and symbol not in self._symbols:
            raise PoisonError("unknown_symbol", f"{symbol} is none of SYMBOLS")


def refuse(event: Trade | Correction | Quote | ProviderBar, kind: Kind, error: PoisonError) -> Rejected:
    """The dead letter of an event; its payload is the event as one JSON line, which a replay can read."""
    payload = json.dumps(asdict(event), default=str).encode()
    symbol = event.symbol if isinstance(event.symbol, str) else ""
    return Rejected(error.reason, error.detail, payload, kind, symbol)


def _check_numbers(event: Trade | Correction | Quote) -> None:
    """What Avro's long cannot hold must not reach the encoder."""
    if event.sequence > INT64_MAX:
        raise PoisonError("invalid_identity", f"sequence {event.sequence} does not fit 64 bits")
    if not 0 <= event.received_at <= INT64_MAX:
        raise PoisonError("implausible_time", f"received_at is {event.received_at} us")
    if isinstance(event, Correction) and not 0 <= (event.trade_time or 0) <= INT64_MAX:
        raise PoisonError("implausible_time", f"trade_time is {event.trade_time} us")


def _check_time(event_time_us: int, earliest: int, latest: int) -> None:
    if event_time_us < earliest:
        raise PoisonError(
            "implausible_time",
            f"event time {event_time_us} us is {(earliest - event_time_us) / 1e6:.1f} s too old",
        )
    if event_time_us > latest:
        raise PoisonError(
            "implausible_time",
            f"event time {event_time_us} us is {(event_time_us - latest + AHEAD_US) / 1e6:.1f} s ahead",
        )
