"""Every provider with a WebSocket: how it is made of the settings, and what is known about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from producer.providers.binance import Binance
from producer.providers.coinbase import Coinbase
from producer.providers.contract import Adapter
from producer.providers.finage import Finage
from producer.providers.finnhub import Finnhub
from producer.providers.polygon import Polygon
from producer.providers.settings import ProviderSettings
from producer.symbols import SymbolNames
from schemas.errors import ConfigurationError

Make = Callable[[ProviderSettings, SymbolNames], Adapter]


@dataclass(frozen=True, slots=True)
class Provider:
    """``needs``: settings without which there is no connection. ``recorded``: whether the parser has been
    proven on messages that the provider itself has sent. ``quotes_only``: it has no trades. ``stocks``: it
    serves US stocks, above all."""

    about: str
    make: Make
    needs: tuple[str, ...] = ()
    recorded: bool = True
    quotes_only: bool = False
    stocks: bool = False


WEB_SOCKETS: Mapping[str, Provider] = {
    "binance": Provider(
        "trades and quotes of Binance spot",
        lambda settings, names: Binance(settings.binance_url, names.of("binance"), settings.binance_trades),
    ),
    "coinbase": Provider(
        "trades and quotes of Coinbase Exchange",
        lambda settings, names: Coinbase(settings.coinbase_url, names.of("coinbase")),
    ),
    "finnhub": Provider(
        "trades: of US stocks those of IEX",
        lambda settings, names: Finnhub(settings.finnhub_url, names.of("finnhub"), settings.finnhub_api_key),
        needs=("FINNHUB_API_KEY",),
        stocks=True,
    ),
    "polygon": Provider(
        "trades and quotes of all US venues",
        lambda settings, names: Polygon(settings.polygon_url, names.of("polygon"), settings.polygon_api_key),
        needs=("POLYGON_API_KEY",),
        stocks=True,
    ),
    "finage": Provider(
        "quotes of US stocks, no trades",
        lambda settings, names: Finage(settings.finage_url, names.of("finage"), settings.finage_socket_key),
        needs=("FINAGE_SOCKET_KEY", "FINAGE_URL"),
        recorded=False,
        quotes_only=True,
        stocks=True,
    ),
}


def make_adapter(name: str, settings: ProviderSettings) -> Adapter:
    """The adapter of a provider of WEB_SOCKETS.

    Raises ConfigurationError where a setting is missing that it needs, or the table of names is wrong."""
    provider = WEB_SOCKETS[name]
    if missing := [setting for setting in provider.needs if not getattr(settings, setting.lower())]:
        raise ConfigurationError(f"SOURCE {name} needs {' and '.join(missing)}: set {_them(missing)}")
    return provider.make(settings, SymbolNames.load(settings.symbol_names_file))


def _them(missing: list[str]) -> str:
    return "it in the environment or in .env" if len(missing) == 1 else "them in the environment or in .env"
