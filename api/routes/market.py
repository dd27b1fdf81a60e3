"""Symbols and quotes."""

import asyncio

from fastapi import APIRouter

from api.dependencies import KnownSymbol, Services, ServicesDep, SymbolListDep, stored_name
from api.errors import COMMON_RESPONSES, SYMBOL_RESPONSES
from api.models import Quote, Quotes, Symbols

router = APIRouter(prefix="/api/v1", tags=["market"])


@router.get("/symbols", responses=COMMON_RESPONSES)
async def symbols(parts: ServicesDep) -> Symbols:
    """Every symbol that is configured or has stored bars, with its newest price."""
    return Symbols(symbols=await parts.symbols.get())


@router.get("/quotes", responses=SYMBOL_RESPONSES)
async def quotes(asked: SymbolListDep, parts: ServicesDep) -> Quotes:
    """Snapshots of several symbols, as `/quotes/{symbol}` gives them, in the order asked for."""
    names = [await stored_name(symbol, parts.store) for symbol in asked.symbols]
    found = await parts.quotes.quotes(list(dict.fromkeys(names)))
    return Quotes(quotes=list(await asyncio.gather(*(_or_looked_up(quote, parts) for quote in found))))


@router.get("/quotes/{symbol:path}", responses=SYMBOL_RESPONSES)
async def quote(symbol: KnownSymbol, parts: ServicesDep) -> Quote:
    """What is known of a symbol now: last trade, bid and ask, its day so far, and the change since the
    close of the day before. Unknown is null.

    The last trade is the newest one that may set a price. Where it has been cancelled or corrected since,
    `last_price` is the close of the newest 1m bar as soon as that is final, and `last_size` and `last_time`
    are null; so they are where the trade itself is no longer kept.

    Of a symbol of which nothing has ever been streamed the provider of lookups is asked, where one is
    configured: then `looked_up` is true, and `source` names it.
    """
    return await _or_looked_up(await parts.quotes.quote(symbol), parts)


async def _or_looked_up(quote: Quote, parts: Services) -> Quote:
    """What is streamed always wins."""
    if quote.last_price is not None or quote.bid is not None:
        return quote
    return await parts.lookups.quote(quote.symbol) or quote
