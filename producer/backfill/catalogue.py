"""Every provider whose history can be pulled, and how that is made of the settings."""

from collections.abc import Callable, Mapping
from typing import cast

from producer.backfill.binance import BinanceHistory
from producer.backfill.coinbase import CoinbaseHistory
from producer.backfill.history import History
from producer.backfill.polygon import PolygonHistory
from producer.backfill.settings import BackfillSettings
from producer.providers.binance import Binance
from producer.providers.catalogue import make_adapter
from producer.providers.coinbase import Coinbase
from producer.providers.contract import Adapter, RequestLimits
from producer.providers.polygon import Polygon
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


HISTORIES: Mapping[str, Callable[[BackfillSettings, Adapter], History]] = {
    "polygon": _polygon,
    "binance": _binance,
    "coinbase": _coinbase,
}


def make_history(name: str, settings: BackfillSettings) -> History:
    """The history of a provider. Raises ConfigurationError where it has none, or a setting is missing."""
    if name not in HISTORIES:
        raise ConfigurationError(
            f"no history of trades from {name!r}: SOURCE is one of {', '.join(HISTORIES)}"
        )
    return HISTORIES[name](settings, make_adapter(name, settings))
