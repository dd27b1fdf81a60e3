"""Every source by its name: what SOURCE and SOURCES may say."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import structlog

from producer.clock import Clock
from producer.conditions import Stamp
from producer.demo import Demo, recorded_symbols
from producer.failover.before import find_before
from producer.failover.members import Member, ProviderMember, SourceMember
from producer.failover.source import FollowedSources
from producer.merged import Merged
from producer.providers.catalogue import POLLED, PROVIDERS, make_adapter, make_polled
from producer.providers.contract import Limits
from producer.providers.deliveries import Notice
from producer.providers.feed import Feed
from producer.providers.source import ProviderSource
from producer.replay import Replay
from producer.runtime import Runtime
from producer.settings import ProducerSettings
from producer.simulator.resume import find_resume
from producer.simulator.source import Simulator
from producer.sources import Source
from producer.startup import Destination, patiently
from schemas.conditions import ConditionRules
from schemas.errors import ConfigurationError
from schemas.symbol_classes import SymbolClasses

log = structlog.get_logger()


class Making(NamedTuple):
    """What a source can be made of."""

    settings: ProducerSettings
    destination: Destination
    runtime: Runtime

    @property
    def heartbeat_us(self) -> int:
        return self.settings.heartbeat_interval_ms * 1000


MakeSource = Callable[[Making], Source]


def _simulator(making: Making, clock: Clock | None = None) -> Source:
    settings, runtime = making.settings, making.runtime
    schema_ids = making.destination.schema_ids
    resume = patiently(lambda: find_resume(settings, schema_ids, settings.symbols), runtime)
    return Simulator(settings, making.heartbeat_us, clock or runtime.clock, runtime.metrics, resume)


def _demo(making: Making) -> Source:
    """The recordings, and beside them the simulator for the symbols that are not in them."""
    settings, runtime = making.settings, making.runtime
    stamp = Stamp(ConditionRules.load(), SymbolClasses(settings), runtime.metrics)

    def recordings(clock: Clock) -> Source:
        return Demo(settings, making.heartbeat_us, clock, stamp.apply)

    recorded = recorded_symbols(settings, runtime.clock.now_us())
    others = tuple(symbol for symbol in settings.symbols if symbol not in recorded)
    if settings.demo_with == "none" or not others:
        return recordings(runtime.clock)
    simulated = making._replace(settings=settings.model_copy(update={"symbols": others}))
    return Merged([lambda clock: _simulator(simulated, clock), recordings], runtime.clock)


def _replay(making: Making) -> Source:
    return Replay(making.settings, making.heartbeat_us, making.runtime.clock)


MAKERS: Mapping[str, MakeSource] = {"simulator": _simulator, "replay": _replay, "demo": _demo}
SOURCES = (*MAKERS, *PROVIDERS)
ALONE = {"replay", "demo"}
"""Sources that are not one of several."""

IEX = (
    "IEX Cloud closed on 2024-08-31; SOURCE=finnhub with FINNHUB_API_KEY has the trades of the same exchange"
)
GONE: Mapping[str, str] = dict.fromkeys(("iex", "iex_cloud", "iexcloud"), IEX)
"""Sources that people may still ask for, and what to use instead."""


def check_sources(names: Sequence[str]) -> None:
    """Raises ConfigurationError where a source is none of ours, named twice, or a recording among others."""
    for name in names:
        if name in GONE:
            raise ConfigurationError(f"no source {name!r} any more: {GONE[name]}")
        if name not in SOURCES:
            raise ConfigurationError(f"no source {name!r}: SOURCE is one of {', '.join(SOURCES)}")
    if len(set(names)) < len(names):
        raise ConfigurationError(f"SOURCES names one twice ({', '.join(names)}): name each once")
    for alone in sorted(ALONE.intersection(names)) if len(names) > 1 else ():
        raise ConfigurationError(
            f"SOURCES names {alone} among others, and a recording is played by itself (DEMO_WITH=simulator: a"
            " demo with the simulator beside it)"
        )


def stream_symbols(settings: ProducerSettings, now_us: int) -> tuple[str, ...]:
    """The symbols that are produced. Raises ConfigurationError where a demo's recordings cannot be read."""
    if "demo" not in settings.source_names:
        return settings.symbols
    recorded = recorded_symbols(settings, now_us)
    others = () if settings.demo_with == "none" else settings.symbols
    return tuple(dict.fromkeys((*recorded, *others)))


def make_source(names: Sequence[str], making: Making) -> Source:
    """The source of that name; of several, by priority, the one that is fit, symbol by symbol.

    Raises ConfigurationError for what only its user can put right."""
    if len(names) == 1 and names[0] in MAKERS:
        return MAKERS[names[0]](making)
    if len(names) == 1 and PROVIDERS[names[0]].quotes_only:  # worth having, though no bars of ours are
        feed = _feed(names[0], making)
        return ProviderSource(feed, making.heartbeat_us, making.settings.provider_delay_ms)
    settings, runtime = making.settings, making.runtime
    members = [member(name, making, symbols) for name, symbols in shares(names, settings).items()]
    return FollowedSources(
        members, settings, runtime, lambda: patiently(lambda: find_before(settings), runtime)
    )


def shares(names: Sequence[str], settings: ProducerSettings) -> Mapping[str, tuple[str, ...]]:
    """The symbols that each of several sources is asked for: the first ones, where it serves fewer than there
    are. The one with trades that serves most is asked for all: beyond that nobody would have the others."""

    def most(name: str) -> float:
        limits = None if name in MAKERS else PROVIDERS[name].limits(settings)
        return limits.symbols * limits.connections if isinstance(limits, Limits) else math.inf

    traders = [name for name in names if name in MAKERS or not PROVIDERS[name].quotes_only]
    widest = max(traders, key=most, default=None)
    symbols = settings.symbols
    count = len(symbols)
    return {name: symbols[: count if name == widest else int(min(count, most(name)))] for name in names}


def member(name: str, making: Making, symbols: tuple[str, ...] | None = None) -> Member:
    """One of several sources, asked for these of SYMBOLS, or for all: beside trades no bars of a provider's
    own are asked for."""
    settings, runtime = making.settings, making.runtime
    if name in MAKERS:
        return SourceMember(MAKERS[name](making), settings.symbols, runtime.clock)
    update: dict[str, Any] = {"provider_bars": "none"}
    left_out = None
    if symbols is not None and (others := settings.symbols[len(symbols) :]):
        update["symbols"] = symbols
        detail = f"it serves {len(symbols)} symbols"
        left_out = Notice("symbol_refused", name, others, runtime.clock.now_us(), detail=detail)
        log.warning(
            "provider_serves_fewer",
            provider=name,
            symbols=len(symbols),
            detail=f"the other {len(others)} of SYMBOLS are left to the other sources: name those first that"
            " it is to have",
        )
    feed = _feed(name, making._replace(settings=settings.model_copy(update=update)))
    return ProviderMember(feed, settings.provider_delay_ms, left_out)


def _feed(name: str, making: Making) -> Feed:
    settings = making.settings
    if PROVIDERS[name].stocks and not settings.symbol_classes:
        log.warning(
            "stocks_without_hours",
            provider=name,
            detail="taken for a market that never closes: nights count as silence, days end at midnight UTC;"
            " SYMBOL_CLASSES=*=us_equities says otherwise",
        )
    adapter = make_polled(name, settings) if name in POLLED else make_adapter(name, settings)
    return Feed(adapter, settings.symbols, settings, making.runtime)
