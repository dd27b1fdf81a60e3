"""Every provider: how it is made of the settings, and what is known about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from producer.providers import binance, coinbase, finage, finnhub, polygon
from producer.providers.alpha_vantage import AlphaVantage
from producer.providers.binance import Binance
from producer.providers.coinbase import Coinbase
from producer.providers.contract import Adapter, Limits, PolledAdapter
from producer.providers.finage import Finage
from producer.providers.finnhub import Finnhub
from producer.providers.fmp import Fmp
from producer.providers.polygon import Polygon
from producer.providers.request_gate import RequestLimits
from producer.providers.settings import ProviderSettings
from producer.providers.yahoo import Yahoo
from producer.symbols import SymbolNames
from schemas.errors import ConfigurationError

Made = TypeVar("Made", bound=Adapter | PolledAdapter)
Made_co = TypeVar("Made_co", bound=Adapter | PolledAdapter, covariant=True)


@dataclass(frozen=True, slots=True)
class Provider(Generic[Made_co]):
    """``limits``: of its connections, or of requests to it, by the settings. ``needs``: settings without
    which there is no connection. ``recorded``: whether the parser has been proven on messages that the
    provider itself has sent. ``quotes_only``: it has no trades. ``stocks``: it serves US stocks, above all.
    ``bars``: where it is the only source its own bars are published, marked as such. ``gives``: what comes of
    it, in the words of ``schemas.producer_state``."""

    about: str
    make: Callable[[ProviderSettings, SymbolNames], Made_co]
    limits: Callable[[ProviderSettings], Limits | RequestLimits]
    needs: tuple[str, ...] = ()
    recorded: bool = True
    quotes_only: bool = False
    stocks: bool = False
    bars: bool = False
    gives: tuple[str, ...] = ("trades", "quotes")


WEB_SOCKETS: Mapping[str, Provider[Adapter]] = {
    "binance": Provider(
        "trades and quotes of Binance spot",
        lambda settings, names: Binance(settings.binance_url, names.of("binance"), settings.binance_trades),
        lambda _: binance.LIMITS,
    ),
    "coinbase": Provider(
        "trades and quotes of Coinbase Exchange",
        lambda settings, names: Coinbase(settings.coinbase_url, names.of("coinbase")),
        lambda _: coinbase.LIMITS,
    ),
    "finnhub": Provider(
        "trades: of US stocks those of IEX",
        lambda settings, names: Finnhub(settings.finnhub_url, names.of("finnhub"), settings.finnhub_api_key),
        lambda _: finnhub.LIMITS,
        needs=("FINNHUB_API_KEY",),
        stocks=True,
        gives=("trades",),
    ),
    "polygon": Provider(
        "trades and quotes of all US venues",
        lambda settings, names: Polygon(settings.polygon_url, names.of("polygon"), settings.polygon_api_key),
        lambda _: polygon.LIMITS,
        needs=("POLYGON_API_KEY",),
        stocks=True,
    ),
    "finage": Provider(
        "quotes of US stocks, no trades",
        lambda settings, names: Finage(settings.finage_url, names.of("finage"), settings.finage_socket_key),
        lambda _: finage.LIMITS,
        needs=("FINAGE_SOCKET_KEY", "FINAGE_URL"),
        recorded=False,
        quotes_only=True,
        stocks=True,
        gives=("quotes",),
    ),
}
"""Those that send by themselves."""


def _alpha_vantage_limits(settings: ProviderSettings) -> RequestLimits:
    return RequestLimits(settings.alpha_vantage_requests_per_minute, settings.alpha_vantage_requests_per_day)


def _fmp_limits(settings: ProviderSettings) -> RequestLimits:
    return RequestLimits(settings.fmp_requests_per_minute, settings.fmp_requests_per_day)


def _yahoo_limits(settings: ProviderSettings) -> RequestLimits:
    return RequestLimits(settings.yahoo_requests_per_minute)


POLLED: Mapping[str, Provider[PolledAdapter]] = {
    "alpha_vantage": Provider(
        "last prices and intraday bars of stocks, no trades",
        lambda settings, names: AlphaVantage(
            settings.alpha_vantage_url,
            names.of("alpha_vantage"),
            settings.alpha_vantage_api_key,
            _alpha_vantage_limits(settings),
            settings.alpha_vantage_poll_seconds,
            settings.provider_bars,
        ),
        _alpha_vantage_limits,
        needs=("ALPHA_VANTAGE_API_KEY",),
        recorded=False,
        quotes_only=True,
        stocks=True,
        bars=True,
        gives=("quotes", "provider_bars"),
    ),
    "fmp": Provider(
        "last prices of US stocks, no trades",
        lambda settings, names: Fmp(
            settings.fmp_url,
            names.of("fmp"),
            settings.fmp_api_key,
            _fmp_limits(settings),
            settings.fmp_poll_seconds,
            settings.fmp_symbols_per_request,
        ),
        _fmp_limits,
        needs=("FMP_API_KEY",),
        recorded=False,
        quotes_only=True,
        stocks=True,
        gives=("quotes",),
    ),
    "yahoo": Provider(
        "last prices and bars, no trades; not a public API",
        lambda settings, names: Yahoo(
            settings.yahoo_url,
            names.of("yahoo"),
            _yahoo_limits(settings),
            settings.yahoo_poll_seconds,
            settings.provider_bars,
        ),
        _yahoo_limits,
        recorded=False,
        quotes_only=True,
        stocks=True,
        bars=True,
        gives=("quotes", "provider_bars"),
    ),
}
"""Those that have to be asked."""

PROVIDERS: Mapping[str, Provider[Adapter | PolledAdapter]] = {**WEB_SOCKETS, **POLLED}


def make_adapter(name: str, settings: ProviderSettings) -> Adapter:
    """The adapter of a provider of WEB_SOCKETS.

    Raises ConfigurationError where a setting is missing that it needs, or the table of names is wrong."""
    return _make(name, WEB_SOCKETS[name], settings)


def make_polled(name: str, settings: ProviderSettings) -> PolledAdapter:
    """The adapter of a provider of POLLED; raises like ``make_adapter``."""
    return _make(name, POLLED[name], settings)


def _make(name: str, provider: Provider[Made], settings: ProviderSettings) -> Made:
    if missing := [setting for setting in provider.needs if not getattr(settings, setting.lower())]:
        raise ConfigurationError(f"SOURCE {name} needs {' and '.join(missing)}: set {_them(missing)}")
    return provider.make(settings, SymbolNames.load(settings.symbol_names_file))


def _them(missing: list[str]) -> str:
    return "it in the environment or in .env" if len(missing) == 1 else "them in the environment or in .env"
