"""A small market for the live page: the real page and the real WebSocket sessions, over data of our own.

It runs in a thread of the test process, with no server behind it. What a test publishes, the page gets; what
it changes here, REST answers from then on.
"""

import asyncio
import dataclasses
import random
import threading
import time
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from api.live.current import CurrentBars
from api.live.hub import Hub
from api.live.messages import ALL_ALERTS, from_event
from api.live.session import Session, Shared
from api.live.wire import WireProtocol
from api.metrics import ApiMetrics
from api.routes.page import page_router
from api.settings import ApiSettings
from api.times import parse_time, wall_clock
from api.web.assets import load_assets
from schemas.events import Alert, Candle, Correction, Event, Quote, Trade
from schemas.intervals import INTERVALS
from schemas.symbols import one_spelling
from tests.support.api import alert_json, candle_json, correction_json, trade_json, utc
from tests.support.ports import free_ports

T = TypeVar("T")
MINUTE = 60_000_000
NAMES = ("AAPL", "AMZN", "GOOGL", "JNJ", "JPM", "META", "MSFT", "NVDA", "TSLA", "V")


class Market:
    """``address`` is where its page is. Everything else may be read and changed from the test's thread."""

    def __init__(self, symbols: Iterable[str] = NAMES, bars: int = 400, seed: int = 1) -> None:
        self.symbols = list(symbols)
        self.key: str | None = None
        """What clients must know, where it is not None."""
        self.alerts: list[Alert] = []
        self.trades: dict[str, list[Trade]] = {symbol: [] for symbol in self.symbols}
        self.corrections: list[Correction] = []
        self.provider: str | None = None
        """Whose bars REST gives, None: ours."""
        self.requests: list[str] = []
        """Path and query of every request to REST."""
        self._random = random.Random(seed)
        self._bars = bars
        self._candles: dict[tuple[str, str], dict[int, Candle]] = {}
        self._prices = {symbol: round(40 + 400 * self._random.random(), 2) for symbol in self.symbols}
        self._settings = ApiSettings(ws_heartbeat_seconds=1.0, ws_max_symbols=2_000)
        self._metrics = ApiMetrics()
        self.hub = Hub(2_000)
        self._sockets: set[WebSocket] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        [self._port] = free_ports(1)
        self.address = f"http://127.0.0.1:{self._port}/"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    # --- its life

    def start(self) -> None:
        routes = [
            Route("/api/v1/market-summary", self._summary),
            Route("/api/v1/symbols", self._symbols),
            Route("/api/v1/candles/{symbol}", self._candle_page),
            Route("/api/v1/trades/{symbol}", self._trade_page),
            Route("/api/v1/corrections/{symbol}", self._correction_page),
            Route("/api/v1/quotes/{symbol}", self._quote),
            Route("/api/v1/alerts", self._alert_page),
            WebSocketRoute("/ws", self._live),
        ]
        app = FastAPI(openapi_url=None)
        app.include_router(page_router(load_assets("9.9.9")))
        app.router.routes.extend(routes)
        config = uvicorn.Config(
            app, host="127.0.0.1", port=self._port, log_config=None, ws=WireProtocol, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, args=(self._server,), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < deadline, "the market does not start"
            time.sleep(0.01)

    def stop(self) -> None:
        """As a server does that is killed: connections break."""
        assert self._server is not None
        assert self._thread is not None
        self._server.force_exit = self._server.should_exit = True
        self._thread.join(20)
        self._loop = None
        self._sockets.clear()

    def restart(self) -> None:
        """Another process: it knows nothing of the events before."""
        self.hub = Hub(2_000)
        self.start()

    def _run(self, server: uvicorn.Server) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await server.serve()

        asyncio.run(serve())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    # --- what happens in it

    def publish(self, *events: Event) -> None:
        """Events reach the clients, and REST knows them."""
        for event in events:
            if isinstance(event, Candle):
                held = self.candles(event.symbol, event.interval)
                if event.start not in held or held[event.start].version < event.version:
                    held[event.start] = event
            elif isinstance(event, Trade):
                self.trades[event.symbol].append(event)
            elif isinstance(event, Correction):
                self.corrections.append(event)
            elif isinstance(event, Alert):
                self.alerts = [each for each in self.alerts if each.alert_id != event.alert_id] + [event]
        self._do(self.hub.publish([from_event(event) for event in events]))

    def flood(self, *trades: Trade) -> None:
        """Trades reach the hub in one turn of its loop, so no client is sent any of them in between."""

        async def at_once() -> None:
            published = self.hub.publish([from_event(trade) for trade in trades])
            with suppress(StopIteration):
                while True:
                    published.send(None)  # goes on where the hub lets others run

        self._do(at_once())

    def miss(self, candle: Candle) -> None:
        """REST knows a bar of which the clients are told nothing."""
        self.candles(candle.symbol, candle.interval)[candle.start] = candle

    def drop_connections(self) -> None:
        """Every WebSocket breaks; the server stays."""

        async def drop() -> None:
            for socket in list(self._sockets):
                with suppress(RuntimeError):
                    await socket.close(1012)

        self._do(drop())

    @property
    def clients(self) -> int:
        return len(self._sockets)

    @property
    def alerted(self) -> int:
        """So many clients get alerts. A page that does not yet would miss what is published."""

        async def listeners() -> int:
            return len(self.hub.listeners(ALL_ALERTS))

        return self._do(listeners())

    def candles(self, symbol: str, interval: str) -> dict[int, Candle]:
        """Bars by their start; made when they are asked for first."""
        key = (symbol, interval)
        if key not in self._candles:
            self._candles[key] = {bar.start: bar for bar in self._history(symbol, interval)}
        return self._candles[key]

    def last(self, symbol: str, interval: str = "1m") -> Candle:
        held = self.candles(symbol, interval)
        return held[max(held)]

    def _history(self, symbol: str, interval: str) -> list[Candle]:
        """A random walk up to now; its last bar is live."""
        step = INTERVALS[interval]
        count = self._bars if interval in ("1m", "5m") else min(self._bars, 400)
        last = wall_clock() // step * step
        price, closes, made = self._prices[symbol], [], []
        gains, losses, fast, slow, signal = 0.5, 0.5, price, price, 0.0
        for number in range(count):
            start = last - (count - 1 - number) * step
            opening = price
            price = round(price * (1 + self._random.gauss(0, 0.0012)), 2)
            high = round(max(opening, price) * (1 + abs(self._random.gauss(0, 0.0005))), 2)
            low = round(min(opening, price) * (1 - abs(self._random.gauss(0, 0.0005))), 2)
            closes.append(price)
            window = closes[-20:]
            mean = sum(window) / len(window)
            spread = (sum((close - mean) ** 2 for close in window) / len(window)) ** 0.5
            gains += (max(0.0, price - opening) - gains) / 14
            losses += (max(0.0, opening - price) - losses) / 14
            fast += (price - fast) * 2 / 13
            slow += (price - slow) * 2 / 27
            signal += (fast - slow - signal) * 2 / 10
            indicators = {
                "session_vwap": sum(closes[-60:]) / len(closes[-60:]), "sma_20": mean,
                "bollinger_upper_20_2": mean + 2 * spread, "bollinger_middle_20_2": mean,
                "bollinger_lower_20_2": mean - 2 * spread, "rsi_14": 100 * gains / (gains + losses),
                "macd_12_26_9": fast - slow, "macd_signal_12_26_9": signal,
                "macd_histogram_12_26_9": fast - slow - signal, "ema_12": fast, "atr_14": high - low,
            }  # fmt: skip
            volume = round(abs(self._random.gauss(0, 4000)) + 100)
            final = number < count - 1
            made.append(
                Candle(
                    symbol, interval, start, start + step, opening, high, low, price, float(volume),
                    volume * price, (high + low + price) / 3, 20 + volume // 50, final,
                    2 * (number + 1) + final, ("simulator",), 2 if number % 90 == 60 else 0, start + step,
                    1.0,
                    indicators if number >= 20 else {},
                )
            )  # fmt: skip
        return made

    # --- its REST

    def _refused(self, request: Request) -> Response | None:
        self.requests.append(f"{request.url.path}?{request.url.query}")
        symbol = request.path_params.get("symbol")
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return _error(401, "unauthorized", "give an API key")
        if symbol is None:
            return None
        name = one_spelling(symbol)
        if name not in self.symbols:
            return _error(404, "unknown_symbol", f"no symbol '{symbol}'")
        request.path_params["symbol"] = name
        return None

    async def _symbols(self, request: Request) -> Response:
        return self._refused(request) or JSONResponse(
            {"symbols": [{"symbol": name} for name in self.symbols]}
        )

    async def _summary(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        return JSONResponse({"symbols": list(map(self.summary, self.symbols)), "time": utc(wall_clock())})

    def summary(self, symbol: str) -> dict[str, Any]:
        """A line of /market-summary."""
        bars = sorted(self.candles(symbol, "1m").items())[-60:]
        newest = bars[-1][1]
        previous = self._prices[symbol]
        assert newest.close is not None
        change = newest.close - previous
        return {
            "symbol": symbol, "price": newest.close, "change": change,
            "change_percent": change / previous * 100,
            "previous_close": previous, "volume": sum(bar.volume for _, bar in bars),
            "high": max(bar.high or 0 for _, bar in bars), "low": min(bar.low or 0 for _, bar in bars),
            "time": utc(newest.start), "age_seconds": 1.0, "stale": symbol == self.symbols[-1],
            "quality": newest.quality, "sparkline": [bar.close for _, bar in bars],
        }  # fmt: skip

    async def _candle_page(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        symbol, query = request.path_params["symbol"], request.query_params
        held = self.candles(symbol, query["interval"])
        before = int(query.get("cursor", 1 << 62))
        starts = sorted((start for start in held if start < before), reverse=True)
        shown = starts[: int(query["limit"])]
        more = str(shown[-1]) if len(starts) > len(shown) else None
        mark = {"provider_bar": self.provider} if self.provider else {}
        found = [
            candle_json(held[start]) | mark | {"indicators": dict(held[start].indicators)} for start in shown
        ]
        return JSONResponse({"symbol": symbol, "candles": found, "next_cursor": more})

    async def _trade_page(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        symbol = request.path_params["symbol"]
        newest = sorted(self.trades[symbol], key=lambda trade: -trade.event_time)
        found = [trade_json(trade) for trade in newest[: int(request.query_params["limit"])]]
        return JSONResponse({"symbol": symbol, "trades": found, "next_cursor": None})

    async def _correction_page(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        symbol, query = request.path_params["symbol"], request.query_params
        span = range(parse_time(query["from"]), parse_time(query["to"]))
        found = [each for each in self.corrections if each.symbol == symbol and each.event_time in span]
        newest = sorted(found, key=lambda each: -each.event_time)
        corrections = [correction_json(each) for each in newest]
        return JSONResponse({"symbol": symbol, "corrections": corrections, "next_cursor": None})

    async def _quote(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        symbol = request.path_params["symbol"]
        day, price = self.last(symbol, "1d"), self.last(symbol).close
        assert price is not None
        answer = {
            "symbol": symbol, "last_price": price, "last_size": 100.0,
            "last_time": utc(self.last(symbol).start),
            "bid": price - 0.02, "bid_size": 300.0, "ask": price + 0.02, "ask_size": 200.0, "mid": price,
            "spread": 0.04, "quote_time": utc(wall_clock() - 10_000_000),
            "previous_close": self._prices[symbol],
            "day": candle_json(day), "source": "simulator", "delayed": False, "age_seconds": 1.0,
        }  # fmt: skip
        return JSONResponse(answer)

    async def _alert_page(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        query = request.query_params
        wanted = [
            alert
            for alert in sorted(self.alerts, key=lambda each: -each.event_time)
            if all(
                name not in query or getattr(alert, name) in query[name].split(",")
                for name in ("symbol", "type", "severity", "status")
            )
        ]
        first, limit = int(query.get("cursor", 0)), int(query["limit"])
        more = str(first + limit) if len(wanted) > first + limit else None
        found = [alert_json(alert) for alert in wanted[first : first + limit]]
        return JSONResponse({"alerts": found, "next_cursor": more})

    # --- its WebSocket

    async def _live(self, socket: WebSocket) -> None:
        offered = socket.headers.get("sec-websocket-protocol", "")
        if self.key is not None and f"bearer.{self.key}" not in offered:
            await socket.close()
            return
        known = set(self.symbols)

        async def is_known(symbol: str) -> bool:
            return symbol in known

        bars = CurrentBars(self.hub.latest, wall_clock)
        shared = Shared(self.hub, self._settings, self._metrics.live, is_known, bars, wall_clock)
        self._sockets.add(socket)
        try:
            await Session(socket, shared).run(None, "tickstream" if "tickstream" in offered else None)
        finally:
            self._sockets.discard(socket)


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "request_id": "1"}}, status_code=status)


def next_version(bar: Candle, close: float, *, final: bool = False, late: int = 0) -> Candle:
    """The bar one trade later."""
    assert bar.high is not None
    assert bar.low is not None
    return dataclasses.replace(
        bar, close=close, high=max(bar.high, close), low=min(bar.low, close), volume=bar.volume + 10,
        version=(bar.version // 2 + 1) * 2 + final, final=final, late_trades=late, trades=bar.trades + 1,
    )  # fmt: skip


def a_trade(symbol: str, price: float, number: int, age_us: int = 5_000) -> Trade:
    at = wall_clock() - age_us
    return Trade(symbol, at, at + 1000, price, 100.0 + number, f"t{number}", number, "simulator", "SIM")


def a_quote(symbol: str, bid: float, ask: float, number: int) -> Quote:
    at = wall_clock()
    return Quote(symbol, at, at, bid, 300.0, ask, 200.0, number, "simulator", "SIM")


def a_cancel(trade: Trade, number: int) -> Correction:
    at = wall_clock()
    return Correction(
        trade.symbol, at, at, f"c{number}", number, trade.source, trade.trade_id, trade.event_time, "cancel"
    )


def an_alert(
    symbol: str, kind: str, severity: str, number: int, *, status: str = "raised", revision: int = 0
) -> Alert:
    at = wall_clock() - number * MINUTE
    return Alert(
        f"{kind}:{symbol}:{number}", revision, symbol, kind, severity, status, at, at, 6.4, 5.0,  # type: ignore[arg-type]
        f"{symbol} {kind.replace('_', ' ')} number {number}: 6.4, more than 5.0",
        "1m", at // MINUTE * MINUTE, 7,
    )  # fmt: skip
