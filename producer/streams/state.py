"""What the producer tells of itself: ``schemas.producer_state``, made when somebody asks for it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from producer.failover.source import FollowedSources
from producer.providers.catalogue import POLLED, PROVIDERS, Provider
from producer.providers.contract import Adapter, Limits, PolledAdapter
from producer.providers.request_gate import RequestLimits
from producer.runtime import Runtime
from producer.settings import ProducerSettings
from producer.simulator.columns import SOURCE as SIMULATOR
from producer.sources import Source
from producer.streams.desk import StreamDesk
from schemas.producer_state import ProducerState, ProviderBudget, ProviderLimits, ProviderState, StreamState

Labels = tuple[tuple[str, str], ...]
Samples = Mapping[tuple[str, Labels], float]


class StateReport:
    """Reads what other threads write: each number is right, though not all are of the same moment."""

    def __init__(
        self, settings: ProducerSettings, source: Source, desk: StreamDesk, runtime: Runtime
    ) -> None:
        self._settings = settings
        self._source = source
        self._desk = desk
        self._runtime = runtime

    def json(self) -> bytes:
        """As it is served."""
        return self.state().model_dump_json().encode()

    def state(self) -> ProducerState:
        """As of now."""
        samples = _samples(self._runtime.metrics.registry)
        providers = [self._provider(name, PROVIDERS[name], samples) for name in PROVIDERS]
        return ProducerState(
            at=_time(self._runtime.clock.now_us()),
            providers=[*providers, self._simulator()],
            streams=[self._stream(symbol) for symbol in self._desk.symbols],
        )

    def _provider(
        self, name: str, provider: Provider[Adapter | PolledAdapter], samples: Samples
    ) -> ProviderState:
        mine = (("provider", name),)
        disconnects = {
            dict(labels)["reason"]: round(value)
            for (metric, labels), value in samples.items()
            if metric == "producer_provider_disconnects_total" and mine[0] in labels
        }
        rejected = samples.get(("producer_provider_outcomes_total", (("outcome", "rejected"), *mine)), 0)
        heard = samples.get(("producer_provider_last_message_timestamp_seconds", mine))
        tallies = self._desk.tallies
        return ProviderState(
            name=name,
            about=provider.about,
            kind="polling" if name in POLLED else "websocket",
            gives=list(provider.gives),
            needs=list(provider.needs),
            configured=all(getattr(self._settings, need.lower()) for need in provider.needs),
            proven=provider.recorded,
            limits=_limits(provider.limits(self._settings)),
            connections=round(samples.get(("producer_provider_connections", mine), 0)),
            received=round(samples.get(("producer_provider_items_total", mine), 0)),
            published=tallies.published[name],
            refused=round(rejected) + tallies.refused[name],
            last_message=None if heard is None else _time(round(heard * 1e6)),
            disconnects=disconnects,
            reconnects=sum(disconnects.values()),
            budget=_budget(samples, mine),
            **self._use(name),
        )

    def _simulator(self) -> ProviderState:
        tallies, use = self._desk.tallies, self._use(SIMULATOR)
        published, refused = tallies.published[SIMULATOR], tallies.refused[SIMULATOR]
        last_us = tallies.last_of_source.get(SIMULATOR)
        return ProviderState(
            name=SIMULATOR,
            about="a market that is made up, trades and quotes",
            kind="simulator",
            gives=["trades", "quotes"],
            needs=[],
            configured=True,
            proven=True,
            limits=None,
            connections=0,
            received=published + refused,
            published=published,
            refused=refused,
            last_message=None if last_us is None else _time(last_us),
            disconnects={},
            reconnects=0,
            budget=None,
            **use,
        )

    def _use(self, name: str) -> dict[str, Any]:
        """What the sources in use are to each other."""
        names, source = self._settings.source_names, self._source
        beside = "demo" in names and self._settings.demo_with == name
        several = source if isinstance(source, FollowedSources) and name in names else None
        return {
            "in_use": name in names or beside,
            "priority": names.index(name) + 1 if name in names else None,
            "health": several and several.fitness(name),
            "following": several and several.following(name),
        }

    def _stream(self, symbol: str) -> StreamState:
        tallies = self._desk.tallies
        since, last = self._runtime.stopped.since.get(symbol), tallies.last(symbol)
        return StreamState(
            symbol=symbol,
            status="running" if since is None else "stopped",
            stopped_since=None if since is None else _time(since),
            source=self._desk.followed(symbol),
            trades=tallies.trades(symbol),
            quotes=tallies.quotes(symbol),
            last_event=_time(last) if last else None,
        )


def _limits(limits: Limits | RequestLimits) -> ProviderLimits:
    of_requests = limits if isinstance(limits, RequestLimits) else None
    of_connections = limits if isinstance(limits, Limits) else None
    return ProviderLimits(
        symbols_per_connection=of_connections and of_connections.symbols,
        connections=of_connections and of_connections.connections,
        messages_per_second=of_connections and of_connections.messages_per_second,
        requests_per_minute=of_requests and of_requests.per_minute,
        requests_per_day=(of_requests and of_requests.per_day) or None,
    )


def _budget(samples: Samples, mine: Labels) -> ProviderBudget | None:
    """None where nothing has been asked for."""
    left = samples.get(("producer_provider_requests_left", mine))
    if left is None:
        return None
    until_s = samples.get(("producer_provider_paused_until_timestamp_seconds", mine), 0.0)
    return ProviderBudget(requests=left, paused_until=_time(round(until_s * 1e6)) if until_s else None)


def _samples(registry: CollectorRegistry) -> dict[tuple[str, Labels], float]:
    """(name, labels in order) -> value of everything that is counted by provider."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in registry.collect()
        if metric.name.startswith("producer_provider_")
        for sample in metric.samples
    }


def _time(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)
