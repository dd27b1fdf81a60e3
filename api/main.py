"""The application, wired in one place."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version

import httpx
from fastapi import FastAPI

from api import alert_store, as_of, correction_store, gap_store, provider_store, quote_store
from api.alert_store import AlertStore
from api.as_of import AsOfStore
from api.bars import BarReader
from api.cached import Cached
from api.correction_store import CorrectionStore
from api.database import Database
from api.dependencies import Services
from api.downloads import Downloads
from api.errors import install_error_handlers
from api.gap_store import GapStore
from api.hot.newest import NewestBars
from api.hot.parts import hot_parts, keep_warm
from api.live.gate import Gate
from api.live.server import LiveServer
from api.lookups.lookups import Lookups, http_client, provider_of
from api.metrics import ApiMetrics
from api.models import Readiness, Symbol
from api.producer import OrderWriter, ProducerClient
from api.provider_store import ProviderStore
from api.quote_store import StoredQuotes
from api.readiness import FreshnessCheck, all_checks, assess
from api.routes import (
    alerts,
    comparison,
    gaps,
    history,
    live,
    market,
    operations,
    stats,
    streams,
    summary,
)
from api.routes import lookups as lookup_routes
from api.routes.docs import add_docs
from api.routes.page import page_router
from api.security import key_store
from api.security.documents import DocumentedApi
from api.security.key_store import KeyStore
from api.security.layers import add_layers
from api.security.rates import Rates
from api.security.startup import connect
from api.security.verifier import KeyVerifier
from api.settings import ApiSettings
from api.stats.kafka import KafkaOffsets
from api.stats.reports import Reports
from api.store import Store, statements
from api.times import Now, wall_clock
from api.tracing import telemetry_for
from api.web.assets import load_assets
from schemas.kafka_admin import admin_client
from schemas.symbol_classes import SymbolClasses
from schemas.topics import Topics
from schemas.tracing import open_tracing

READY_CACHE_SECONDS = 1.0
SYMBOLS_CACHE_SECONDS = 1.0
DESCRIPTION = """Trades, quotes, candles, indicators and alerts of the market data pipeline.

Times are UTC. They are written as ISO 8601 (`2024-08-09T12:00:00Z`), as a date (`2024-08-09`) or in
milliseconds since 1970 (`1723204800000`); `from` is inclusive, `to` exclusive. Lists are newest first, with
an opaque `next_cursor` to what is older. Every error has the same shape, and a request id that is also in
the `X-Request-ID` header, which you may set yourself."""


def create_app(settings: ApiSettings, now: Now = wall_clock) -> FastAPI:  # noqa: PLR0915 -- all wiring
    """The API as an ASGI application. It starts whether or not any server is there; ``/ready`` says what is
    missing, and Cassandra is connected as soon as it comes."""
    metrics = ApiMetrics()
    tracing = open_tracing(settings, "api", settings.tracing_request_ratio)
    keyspace = settings.cassandra_keyspace
    queries = statements(keyspace) | alert_store.statements(keyspace) | quote_store.statements(keyspace)
    queries |= gap_store.statements(keyspace) | key_store.statements(keyspace)
    queries |= correction_store.statements(keyspace)
    queries |= as_of.statements(keyspace) | provider_store.statements(keyspace)
    classes = SymbolClasses(settings)
    rates = Rates(settings, settings.ws_messages_per_second)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(
            settings,
            queries,
            metrics,
            timeout_seconds=settings.api_query_timeout_seconds,
            max_queries=settings.api_max_queries,
        )
        store = Store(database, settings.symbols, now)
        providers = ProviderStore(database, now)
        known = AsOfStore(database, store, settings.versions_ttl_days, settings.api_settled_seconds, now)
        stored_keys = KeyStore(database)
        keys = KeyVerifier(stored_keys.find, settings.api_key_cache_seconds, metrics.security, now)
        app.state.keys = keys
        gate = Gate(settings, keys, rates.messages)
        live_server = LiveServer(settings, metrics.live, store.is_known, now, gate)
        hot = hot_parts(settings, database, store, live_server, metrics.cache)
        live_server.read_bars(NewestBars(hot.candles, store).read)
        if tracing is not None:
            database.tracing = tracing
            live_server.trace(tracing)
        symbols: Cached[list[Symbol]] = Cached(store.symbols, SYMBOLS_CACHE_SECONDS)
        # Our own servers: a proxy meant for the internet must not get between.
        async with (
            httpx.AsyncClient(timeout=settings.ready_timeout_seconds, trust_env=False) as http,
            http_client(settings) as outside,
        ):
            lookups = Lookups(provider_of(settings, outside, now), settings, metrics.cache, now)
            producer = ProducerClient(http, settings.producer_metrics_url)
            stored_quotes = StoredQuotes(database, store, now)
            oldest_s = settings.ready_max_age_seconds
            freshness = FreshnessCheck(store, stored_quotes, producer, symbols, oldest_s, now)
            checks = all_checks(settings, http, store, freshness, now)

            async def look() -> Readiness:
                return await assess(checks, settings.ready_timeout_seconds, metrics)

            alert_reader = AlertStore(database, settings.alerts_ttl_days)
            offsets = KafkaOffsets(admin_client(settings), Topics(settings.topic_prefix))
            reports = Reports(hot, store, alert_reader, offsets, live_server.continuity, metrics, lookups)
            app.state.services = Services(
                store=store,
                bars=BarReader(
                    store, providers, known, classes, settings.api_settled_seconds, now, hot.candles.page
                ),
                providers=providers,
                downloads=Downloads(settings.api_max_downloads, settings.api_download_rows),
                alerts=alert_reader,
                gaps=GapStore(database, settings.gaps_ttl_days),
                corrections=CorrectionStore(database, settings.silver_ttl_days),
                quotes=hot.quotes,
                hot=hot,
                reports=reports,
                symbols=symbols,
                readiness=Cached(look, READY_CACHE_SECONDS),
                metrics=metrics,
                live=live_server,
                producer=producer,
                orders=OrderWriter(settings),
                lookups=lookups,
                configured=settings.symbols,
            )
            connecting = asyncio.create_task(connect(database, settings, settings.api_host, stored_keys, now))
            feeding = asyncio.create_task(live_server.run())
            warming = asyncio.create_task(keep_warm(hot, live_server, settings.symbols))
            first_lookups = asyncio.create_task(
                lookups.warm(settings.symbols[: settings.lookup_warm_symbols])
            )
            try:
                yield
            finally:
                connecting.cancel()
                feeding.cancel()
                warming.cancel()
                first_lookups.cancel()
                await asyncio.wait((feeding, warming, first_lookups))
                await asyncio.to_thread(database.close)
                if tracing is not None:
                    await asyncio.to_thread(tracing.close)

    app = DocumentedApi(
        title="Tickstream",
        version=version("tickstream"),
        description=DESCRIPTION,
        lifespan=lifespan,
        telemetry=telemetry_for(tracing),
        docs_url=None,  # ours asks no other host
        redoc_url=None,
    )
    install_error_handlers(app)
    add_layers(app, settings, rates, metrics)
    app.include_router(market.router)
    app.include_router(history.router)
    app.include_router(summary.router)
    app.include_router(stats.router)
    app.include_router(alerts.router)
    app.include_router(gaps.router)
    app.include_router(comparison.router)
    app.include_router(streams.router)
    app.include_router(lookup_routes.router)
    app.include_router(operations.router)
    app.include_router(live.router)
    add_docs(app)
    app.include_router(page_router(load_assets(app.version)))
    return app
