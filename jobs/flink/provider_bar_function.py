"""The keyed function that gives the bars of a provider their indicators: load state, ask the domain, save
state."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from jobs.domain import provider_bars
from jobs.domain.context import Market
from jobs.domain.indicator_cache import IndicatorCache
from jobs.domain.provider_bars import ProviderSeries
from jobs.flink.decode_functions import PROVIDER_BAR, UNKNOWN
from jobs.flink.markets import Markets
from jobs.flink.records import Records
from jobs.flink.state_mapping import StateMapping
from jobs.flink.worker import prepare_worker
from jobs.settings import JobSettings
from schemas.events import ProviderBar
from schemas.topics import Topics

PROVIDER_BAR_COLUMNS = (*PROVIDER_BAR, "from_partition", "from_offset", "payload")
"""Of a bar as it comes from SQL; the first one, the series, is the key."""
FIELDS = tuple(PROVIDER_BAR)[1:-2]
CACHED_STATES = 2_000
"""Of indicators, about 4 kB each."""
EARLIER = "earlier "
"""Before the interval, in the name of a series that was brought later and lies before another one. There is
one of them: the next one from before it takes its place."""
PUBLISH_EVERY_MS = 500
"""Bars that follow a changed one are published anew together, by the wall clock: these bars have no other."""


class ProviderBarFunction(KeyedProcessFunction):
    """Bars of one symbol and provider in, encoded bars with indicators and dead letters out."""

    def __init__(self, settings: JobSettings, schema_ids: Mapping[str, int]) -> None:
        self._settings = settings
        self._schema_ids = schema_ids

    def open(self, runtime_context: RuntimeContext) -> None:
        prepare_worker()
        self._series = StateMapping(runtime_context, "provider_series")
        self._markets = Markets(self._settings)
        self._topics = Topics(self._settings.topic_prefix)
        self._records = Records(self._topics, self._schema_ids)
        self._cache = IndicatorCache(CACHED_STATES)

    def process_element(self, row: Any, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        *values, reason, detail, partition, offset, payload = row[1:]
        if reason is not None:
            topic = self._topics.provider_bars
            yield self._records.letter(reason, detail, partition, offset, payload, topic)
            return
        bar = _bar(values)
        name, series = self._series_of(bar)
        published = series.add(bar, self._market(series), self._cache)
        self._series[name] = provider_bars.dump(series)
        yield from map(self._records.provider_bar, published)
        if series.is_due:
            timers = ctx.timer_service()
            at = timers.current_processing_time() // PUBLISH_EVERY_MS + 1
            timers.register_processing_time_timer(at * PUBLISH_EVERY_MS)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:  # noqa: ARG002
        symbol, source = ctx.get_current_key().split(" ", 1)
        for name in list(self._series):
            series = self._load(symbol, source, name)
            if series.is_due:
                most = self._settings.max_revised_bars
                published = series.publish_due(self._market(series), self._cache, most)
                self._series[name] = provider_bars.dump(series)
                yield from map(self._records.provider_bar, published)

    def _series_of(self, bar: ProviderBar) -> tuple[str, ProviderSeries]:
        """The series that a bar belongs to, and its name in the state."""
        newest = self._load(bar.symbol, bar.source, bar.interval)
        if newest.takes(bar.start):
            return bar.interval, newest
        name = f"{EARLIER}{bar.interval}"
        earlier = self._load(bar.symbol, bar.source, name)
        if earlier.takes(bar.start):
            return name, earlier
        return name, ProviderSeries(bar.symbol, bar.source, bar.interval)

    def _load(self, symbol: str, source: str, name: str) -> ProviderSeries:
        return provider_bars.load(symbol, source, name.removeprefix(EARLIER), self._series.get(name))

    def _market(self, series: ProviderSeries) -> Market:
        return self._markets.market(series.symbol)


def _bar(values: Iterable[Any]) -> ProviderBar:
    fields = dict(zip(FIELDS, values, strict=True))
    if fields["trades"] == UNKNOWN:
        fields["trades"] = None
    return ProviderBar(**fields)
