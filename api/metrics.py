"""Every metric of the API, in one list.

tickstream_api_requests_total{method, route, status}   answered requests; route is the template or "unmatched"
tickstream_api_request_seconds{route}                  time from the request to the end of its answer
tickstream_api_queries_total{statement, outcome}       queries to Cassandra; outcome ok or failed
tickstream_api_query_seconds{statement}                time of a query, waiting for a free slot included
tickstream_api_queries_in_flight                       queries that wait for a slot or for Cassandra
tickstream_api_cache_requests_total{cache, result}     what was looked for in memory: hit; fill: it waited for
                                                       Cassandra; miss: Cassandra answered; bypass: it had to,
                                                       memory being not (yet) to be trusted
tickstream_api_cache_fills_total{cache, outcome}       reads of Cassandra, or of the provider of lookups, that
                                                       fill the cache; ok or failed
tickstream_api_cache_resets_total{cache}               times that everything was dropped: the feed broke off
tickstream_api_cache_entries{cache}                    what is held: bars of candles, symbols of the others
tickstream_api_refused_total{code}                     refused by the guard, for who asks or how often
tickstream_api_key_lookups_total{outcome}              of API keys: cached, found, unknown or failed
tickstream_api_part_ready{part}                        1 or 0 as /ready saw it last
tickstream_api_feed_connected                          1 while the live feed reads from Kafka
tickstream_api_feed_events_total{channel}              events that it has read
tickstream_api_feed_refused_total{reason}              records that it could not show
tickstream_api_feed_delay_seconds                      from a trade to its arrival here: newest of each batch
tickstream_api_ws_clients                              WebSocket connections
tickstream_api_ws_ended_total{reason}                  those that ended: left, too_slow, refused or fault
tickstream_api_ws_refused_total{code}                  handshakes that were refused: origin, too_many_clients,
                                                       too_many_connections
tickstream_api_ws_errors_total{code}                   error messages to clients
tickstream_api_ws_sent_total{channel}                  messages sent; channel "answer": what is no event
tickstream_api_ws_skipped_total{channel}               messages that slow clients did not get
tickstream_api_ws_lag_seconds                          longest that a message waits for its client now
tickstream_api_ws_delay_seconds                        from a trade to its sending: oldest of each turn
and process_* (CPU, memory, open files) of this process
"""

from collections import Counter as TallyOf
from collections import defaultdict

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from api.meters import Rates, Recent

DELAYS = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.2, 0.35, 0.5, 1.0, 2.0, 5.0, 10.0)
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class ApiMetrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "tickstream_api_requests_total",
            "Answered requests",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "tickstream_api_request_seconds",
            "Time from the request to the end of its answer",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.queries = Counter(
            "tickstream_api_queries_total",
            "Queries to Cassandra",
            ["statement", "outcome"],
            registry=self.registry,
        )
        self.query_seconds = Histogram(
            "tickstream_api_query_seconds",
            "Time of a query to Cassandra, waiting for a free slot included",
            ["statement"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.queries_in_flight = Gauge(
            "tickstream_api_queries_in_flight",
            "Queries that wait for a slot or for Cassandra",
            registry=self.registry,
        )
        self.part_ready = Gauge(
            "tickstream_api_part_ready", "1 or 0 as /ready saw it last", ["part"], registry=self.registry
        )
        self.cache = CacheMetrics(self.registry)
        self.security = SecurityMetrics(self.registry)
        self.live = LiveMetrics(self.registry)
        self.recent_requests: defaultdict[str, Recent] = defaultdict(Recent)
        self.statuses: TallyOf[int] = TallyOf()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered; ``route`` is a template, so there are few of them."""
        self.requests.labels(method, route, status).inc()
        self.request_seconds.labels(route).observe(seconds)
        self.recent_requests[route].add(seconds)
        self.statuses[status] += 1


class CacheMetrics:
    """The metrics of what is answered from memory. Caches: candles, quotes, summary, companies,
    quote_lookups, history_lookups."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "tickstream_api_cache_requests_total",
            "What was looked for in memory",
            ["cache", "result"],
            registry=registry,
        )
        self.fills = Counter(
            "tickstream_api_cache_fills_total",
            "Reads that fill a cache",
            ["cache", "outcome"],
            registry=registry,
        )
        self.resets = Counter(
            "tickstream_api_cache_resets_total",
            "Times that everything in a cache was dropped",
            ["cache"],
            registry=registry,
        )
        self.entries = Gauge(
            "tickstream_api_cache_entries", "What a cache holds", ["cache"], registry=registry
        )
        self.counts: TallyOf[tuple[str, str]] = TallyOf()

    def count(self, cache: str, result: str) -> None:
        """Something was looked for: hit, fill, miss or bypass."""
        self._requests.labels(cache, result).inc()
        self.counts[cache, result] += 1


class SecurityMetrics:
    """The metrics of the guard. None names a key: what anybody may send must not become a time series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.refused = Counter(
            "tickstream_api_refused_total",
            "Requests and handshakes refused for who asks or how often",
            ["code"],
            registry=registry,
        )
        lookups = Counter(
            "tickstream_api_key_lookups_total", "Lookups of API keys", ["outcome"], registry=registry
        )
        self.lookups_cached = lookups.labels("cached")
        self.lookups_found = lookups.labels("found")
        self.lookups_unknown = lookups.labels("unknown")
        self.lookups_failed = lookups.labels("failed")


class LiveMetrics:
    """The metrics of the live feed and its clients."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.feed_connected = Gauge(
            "tickstream_api_feed_connected", "1 while the live feed reads from Kafka", registry=registry
        )
        self.feed_events = Counter(
            "tickstream_api_feed_events_total", "Events read by the live feed", ["channel"], registry=registry
        )
        self.feed_refused = Counter(
            "tickstream_api_feed_refused_total",
            "Records that the live feed could not show",
            ["reason"],
            registry=registry,
        )
        self.feed_delay = Histogram(
            "tickstream_api_feed_delay_seconds",
            "From a trade to its arrival at the live feed, newest of each batch",
            buckets=DELAYS,
            registry=registry,
        )
        self.clients = Gauge("tickstream_api_ws_clients", "WebSocket connections", registry=registry)
        self.ended = Counter(
            "tickstream_api_ws_ended_total", "WebSocket connections that ended", ["reason"], registry=registry
        )
        self.refused = Counter(
            "tickstream_api_ws_refused_total", "WebSocket handshakes refused", ["code"], registry=registry
        )
        self.errors = Counter(
            "tickstream_api_ws_errors_total", "Error messages to clients", ["code"], registry=registry
        )
        self.sent = Counter(
            "tickstream_api_ws_sent_total", "Messages sent to clients", ["channel"], registry=registry
        )
        self.skipped = Counter(
            "tickstream_api_ws_skipped_total",
            "Messages that slow clients did not get",
            ["channel"],
            registry=registry,
        )
        self.lag = Gauge(
            "tickstream_api_ws_lag_seconds",
            "Longest that a message waits for its client now",
            registry=registry,
        )
        self.delay = Histogram(
            "tickstream_api_ws_delay_seconds",
            "From a trade to its sending to a client, oldest of each turn",
            buckets=DELAYS,
            registry=registry,
        )

        self.events: Rates = Rates()
        self.sends: Rates = Rates()
        self.totals: TallyOf[str] = TallyOf()
        self.recent_delay = Recent()
        self.recent_bar_delay = Recent()

    def skip(self, channel: str, count: int) -> None:
        """So many messages of a channel will not be sent to a client."""
        self.skipped.labels(channel).inc(count)
        self.totals["skipped"] += count

    def send(self, channel: str, count: int) -> None:
        """So many messages of a channel were sent."""
        self.sent.labels(channel).inc(count)
        self.sends.add(channel, count)
        self.totals["sent"] += count
