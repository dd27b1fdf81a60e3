"""The key that orders the quotes of a symbol and holds them."""

from dataclasses import replace
from itertools import pairwise

import pytest

from jobs.domain import quote_key
from schemas.events import Quote
from schemas.validation import MAX_AMOUNT
from tests.unit.jobs.builders import START_US
from tests.unit.jobs.payloads import milliseconds, payload, quote_reader

QUOTE = Quote("AAPL", START_US, START_US + 5, 99.5, 2.0, 100.25, 3.0, 4, "sim")


def keys(*quotes: Quote) -> list[str]:
    times = milliseconds(*(quote.event_time for quote in quotes))
    batch = quote_reader().read(map(payload, quotes), times)
    assert len(batch.positions) == len(quotes)
    return quote_key.pack(batch)


@pytest.mark.parametrize(
    "quote",
    [
        QUOTE,
        replace(QUOTE, event_time=0, sequence=0, received_at=0, bid_size=0.0, ask_size=0.0, source="取ü"),
        replace(
            QUOTE, sequence=2**63 - 1, received_at=2**63 - 1, bid=MAX_AMOUNT, ask=5e-324, source="f" * 256
        ),
        replace(QUOTE, received_at=-1, ask_size=0.1 + 0.2),
    ],
)
def test_a_key_holds_its_quote(quote: Quote) -> None:
    """To the bit; of any that is valid, by itself and among others."""
    assert quote_key.unpack("AAPL", keys(quote)[0]) == quote
    assert [quote_key.unpack("AAPL", key) for key in keys(QUOTE, quote, QUOTE)] == [QUOTE, quote, QUOTE]


def test_the_exchange_is_left_out() -> None:
    """Nothing that judges quotes asks for it."""
    [key] = keys(replace(QUOTE, exchange="XNAS"))
    assert quote_key.unpack("AAPL", key) == QUOTE


def test_keys_sort_as_quotes_do() -> None:
    """By event time, then by sequence: MAX in SQL finds the latest, whatever its prices and source."""
    order = [
        replace(QUOTE, event_time=255, sequence=2**62, source="z"),
        replace(QUOTE, event_time=256, sequence=0, bid=1e9),
        replace(QUOTE, event_time=256, sequence=9),
        replace(QUOTE, event_time=256, sequence=10, bid=1e-9),
        replace(QUOTE, event_time=256, sequence=2**63 - 1),
        replace(QUOTE, event_time=START_US, sequence=0, source="a"),
    ]
    assert all(before < after for before, after in pairwise(keys(*order)))
    assert keys() == []
