"""The settings of providers: keys, addresses, and how patient to be."""

from typing import Literal

from pydantic import Field

from schemas.settings import SessionSettings


class ProviderSettings(SessionSettings):
    """Keys are never shown: neither in logs, nor in errors, nor in metrics."""

    finnhub_api_key: str = Field(
        "", repr=False, description="key of Finnhub, for SOURCE=finnhub and for lookups of the API"
    )
    polygon_api_key: str = Field(
        "", repr=False, description="key of Polygon, which is called Massive now, for SOURCE=polygon"
    )
    alpha_vantage_api_key: str = Field(
        "", repr=False, description="key of Alpha Vantage, for SOURCE=alpha_vantage"
    )
    fmp_api_key: str = Field("", repr=False, description="key of Financial Modeling Prep, for SOURCE=fmp")
    finage_socket_key: str = Field(
        "", repr=False, description="socket key of Finage, for SOURCE=finage; its REST key is another one"
    )
    finage_url: str = Field(
        "", description="the address that Finage gives an account: wss://<sub>.finage.ws:<port>/"
    )
    binance_url: str = Field(
        "wss://stream.binance.com:9443/stream",
        description="Binance's stream; in the United States wss://stream.binance.us:9443/stream",
    )
    binance_trades: Literal["trade", "aggTrade"] = Field(
        "trade", description="trade: every trade; aggTrade: the trades of an order at one price as one"
    )
    coinbase_url: str = Field("wss://ws-feed.exchange.coinbase.com", description="Coinbase Exchange's stream")
    finnhub_url: str = Field("wss://ws.finnhub.io", description="Finnhub's stream")
    polygon_url: str = Field(
        "wss://socket.massive.com/stocks",
        description="Polygon's stream; 15 minutes later: wss://delayed.massive.com/stocks; pairs: .../crypto",
    )
    alpha_vantage_url: str = Field(
        "https://www.alphavantage.co/query", description="Alpha Vantage's REST API"
    )
    alpha_vantage_poll_seconds: float = Field(
        60.0, gt=0, description="time between two rounds of requests; the limits below win"
    )
    alpha_vantage_requests_per_minute: float = Field(
        5.0, gt=0, description="what the plan of the key allows; a free one 5"
    )
    alpha_vantage_requests_per_day: int = Field(
        25, ge=0, description="what the plan of the key allows; a free one 25; 0: no limit"
    )
    fmp_url: str = Field(
        "https://financialmodelingprep.com/stable", description="Financial Modeling Prep's REST API"
    )
    fmp_poll_seconds: float = Field(
        60.0, gt=0, description="time between two rounds of requests; the limits below win"
    )
    fmp_requests_per_minute: float = Field(
        300.0, gt=0, description="what the plan of the key allows: 300, 750 or 3000"
    )
    fmp_requests_per_day: int = Field(
        250, ge=0, description="what the plan of the key allows; a free one 250; 0: no limit"
    )
    fmp_symbols_per_request: int = Field(
        1, ge=1, le=500, description="above 1: batch-quote, which is not part of every plan"
    )
    yahoo_url: str = Field(
        "https://query1.finance.yahoo.com/v8/finance/chart", description="Yahoo Finance's charts"
    )
    yahoo_poll_seconds: float = Field(
        30.0, gt=0, description="time between two rounds of requests; the limit below wins"
    )
    yahoo_requests_per_minute: float = Field(
        30.0, gt=0, description="Yahoo names no limit and refuses those who ask too often"
    )
    provider_bars: Literal["none", "1m", "5m", "15m", "1h"] = Field(
        "1m",
        description="SOURCE=alpha_vantage or yahoo: the bars of theirs that are published beside their"
        " quotes, marked as the provider's",
    )
    symbol_names_file: str = Field(
        "",
        description="JSON file of what providers call symbols, over ours: the form is in"
        " producer/symbols.py; empty: none",
    )
    provider_queue_items: int = Field(
        100_000,
        ge=100,
        description="trades and quotes that may wait between reading and publishing; when they are this many,"
        " nothing more is read, and the provider has to wait",
    )
    provider_max_frame_bytes: int = Field(
        16_777_216, ge=65_536, description="longest message that is taken from a provider"
    )
    provider_handshake_seconds: float = Field(
        10.0, gt=0, description="how long a provider may take to open a connection, and to accept the key"
    )
    provider_request_seconds: float = Field(
        30.0, gt=0, description="how long a provider may take to answer a REST request, to its last byte"
    )
    provider_silence_seconds: float = Field(
        60.0,
        gt=0,
        description="a connection without data for so long, while a market of its symbols is open, is made"
        " anew",
    )
    provider_ping_seconds: float = Field(
        15.0, gt=0, description="time between pings, and how long their answers may take"
    )
    provider_healthy_seconds: float = Field(
        60.0, gt=0, description="a connection that lasted so long was good: the waits begin anew"
    )
    provider_backoff_seconds: float = Field(
        1.0, gt=0, description="longest wait after the first failure; each further one doubles it"
    )
    provider_backoff_cap_seconds: float = Field(60.0, gt=0, description="longest wait between two attempts")
    provider_ca_file: str = Field(
        "", description="certificates to trust beside the system's, such as a proxy's; empty: none"
    )
