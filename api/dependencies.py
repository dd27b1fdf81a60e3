"""What routes ask for: the parts of the application, known symbols, and their parameters."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Path, Query, Request

from api.alert_store import AlertStore
from api.bars import BarReader
from api.cached import Cached
from api.correction_store import CorrectionStore
from api.downloads import Downloads
from api.errors import UnknownSymbol
from api.gap_store import GapStore
from api.hot.parts import HotParts
from api.live.server import LiveServer
from api.lookups.lookups import Lookups
from api.metrics import ApiMetrics
from api.models import Readiness, Symbol
from api.parameters import (
    AlertPage,
    CandlePage,
    ComparedDay,
    CorrectionPage,
    GapPage,
    HistoryPage,
    IndicatorPage,
    SymbolList,
)
from api.producer import OrderWriter, ProducerClient
from api.provider_store import ProviderStore
from api.quote_store import QuoteStore
from api.stats.reports import Reports
from api.store import Store
from schemas.symbols import one_spelling
from schemas.validation import SYMBOL


@dataclass(frozen=True, slots=True)
class Services:
    """What one application is made of; built in ``main.create_app``."""

    store: Store
    bars: BarReader
    providers: ProviderStore
    downloads: Downloads
    alerts: AlertStore
    gaps: GapStore
    corrections: CorrectionStore
    quotes: QuoteStore
    hot: HotParts
    reports: Reports
    symbols: Cached[list[Symbol]]
    readiness: Cached[Readiness]
    metrics: ApiMetrics
    live: LiveServer
    producer: ProducerClient
    orders: OrderWriter
    lookups: Lookups
    configured: tuple[str, ...]
    """The symbols of SYMBOLS."""


async def services(request: Request) -> Services:
    """Async although it waits for nothing: FastAPI would run a plain function on another thread."""
    return cast(Services, request.app.state.services)


ServicesDep = Annotated[Services, Depends(services)]


async def stored_name(symbol: str, store: Store) -> str:
    """A symbol in upper or lower case, and BRK-B for BRK.B, as it is stored; raises UnknownSymbol."""
    name = symbol.upper()
    for spelling in dict.fromkeys((name, one_spelling(name))):
        if SYMBOL.fullmatch(spelling) and await store.is_known(spelling):
            return spelling
    raise UnknownSymbol(symbol)


SymbolPath = Annotated[str, Path(description="upper or lower case", examples=["AAPL"])]


async def known_symbol(symbol: SymbolPath, parts: ServicesDep) -> str:
    """The symbol of the path as it is stored; raises UnknownSymbol."""
    return await stored_name(symbol, parts.store)


KnownSymbol = Annotated[str, Depends(known_symbol)]

TradePageDep = Annotated[HistoryPage, Query()]
CandlePageDep = Annotated[CandlePage, Query()]
IndicatorPageDep = Annotated[IndicatorPage, Query()]
AlertPageDep = Annotated[AlertPage, Query()]
GapPageDep = Annotated[GapPage, Query()]
CorrectionPageDep = Annotated[CorrectionPage, Query()]
ComparedDayDep = Annotated[ComparedDay, Query()]
SymbolListDep = Annotated[SymbolList, Query()]
