"""Symbols as people write them."""

import asyncio
from typing import cast

import pytest

from api.dependencies import stored_name
from api.errors import UnknownSymbol
from api.store import Store


class KnowsSome:
    """A store that has these symbols."""

    async def is_known(self, symbol: str) -> bool:
        return symbol in {"BRK.B", "BTC-USD", "AB-C"}


def find(symbol: str) -> str:
    return asyncio.run(stored_name(symbol, cast("Store", KnowsSome())))


@pytest.mark.parametrize("symbol", ["BRK.B", "brk.b", "BRK-B", "brk/b"])
def test_a_class_of_shares_is_found_however_it_is_written(symbol: str) -> None:
    """One symbol, three spellings."""
    assert find(symbol) == "BRK.B"


def test_what_is_stored_under_its_name_is_found_under_it() -> None:
    """A recording may have spelt it otherwise."""
    assert find("AB-C") == "AB-C"
    assert find("btc-usd") == "BTC-USD"
    with pytest.raises(UnknownSymbol):
        find("BTCUSD")
