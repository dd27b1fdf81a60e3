"""Every provider whose history can be pulled, and how that is made of the settings."""

from collections.abc import Callable, Mapping
from typing import cast

from producer.backfill.binance import BinanceHistory
from producer.backfill.coinbase import CoinbaseHistory
from producer.backfill.history import History
from producer.backfill.polygon import PolygonHistory
from producer.backfill.provider_bars import AlphaVantageBars, YahooBars
from producer.backfill.settings import BackfillSettings
from producer.providers.alpha_vantage import AlphaVantage
from producer.providers.binance import Binance
from producer.providers.catalogue import make_adapter, make_polled
from producer.providers.coinbase import Coinbase
from producer.providers.contract import Adapter, PolledAdapter
from producer.providers.polygon import Polygon
from producer.providers.request_gate import RequestLimits
from producer.providers.yahoo import Yahoo
from schemas.errors import ConfigurationError


def _polygon(settings: BackfillSettings, adapter: Adapter) -> History:
    limits = RequestLimits(settings.polygon_requests_per_minute)
    return PolygonHistory(settings.polygon_rest_url, cast(Polygon, adapter), limits, settings.polygon_api_key)


def _binance(settings: BackfillSettings, adapter: Adapter) -> History:
    limits = RequestLimits(settings.binance_requests_per_minute)
    return BinanceHistory(settings.binance_rest_url, cast(Binance, adapter), limits)


def _coinbase(settings: BackfillSettings, adapter: Adapter) -> History:
    limits = RequestLimits(settings.coinbase_requests_per_minute)
    return CoinbaseHistory(settings.coinbase_rest_url, cast(Coinbase, adapter), limits)


TRADES: Mapping[str, Callable[[BackfillSettings, Adapter], History]] = {
    "polygon": _polygon,
    "binance": _binance,
    "coinbase": _coinbase,
}
BARS: Mapping[str, Callable[[PolledAdapter], History]] = {
    "yahoo": lambda adapter: YahooBars(cast(Yahoo, adapter)),
    "alpha_vantage": lambda adapter: AlphaVantageBars(cast(AlphaVantage, adapter)),
}
HISTORIES = (*TRADES, *BARS)


def make_history(name: str, settings: BackfillSettings) -> History:
    """The history of a provider: of trades, or of bars where it has no trades. Raises ConfigurationError
    where it has none, or a setting is missing."""
    if name in TRADES:
        return TRADES[name](settings, make_adapter(name, settings))
    if name in BARS:
        if settings.provider_bars == "none":
            raise ConfigurationError(f"{name} has bars only: PROVIDER_BARS says of which interval")
        return BARS[name](make_polled(name, settings))
    raise ConfigurationError(f"no history from {name!r}: SOURCE is one of {', '.join(HISTORIES)}")
